// What the tests here share: where Florin is, waiting, raw sockets, counting.
import net from 'node:net';

export const url = new URL(process.env.FLORIN_URL);
export const key = process.env.FLORIN_SECRET_KEY;
export const publishableKey = process.env.FLORIN_PUBLISHABLE_KEY;
export const home = process.env.FLORIN_HOME;

let passed = 0, failed = 0;
export function check(what, holds) {
    if (holds) passed++; else failed++;
    console.log(`${holds ? 'ok    ' : 'FAILED'} ${what}`);
}
export function finish() {
    console.log(`${passed} passed, ${failed} failed`);
    process.exit(failed ? 1 : 0);
}

// Asks again and again until the answer is truthy.
export async function until(what, ask, ms = 20000) {
    const end = Date.now() + ms;
    for (;;) {
        const answer = await ask();
        if (answer) return answer;
        if (Date.now() > end) throw new Error(`waited ${ms} ms in vain: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 25));
    }
}

// At most `width` at once.
export async function inParallel(count, width, work) {
    const results = new Array(count);
    let next = 0;
    await Promise.all(Array.from({length: Math.min(width, count)}, async () => {
        while (next < count) {
            const i = next++;
            results[i] = await work(i);
        }
    }));
    return results;
}

// A request as it goes over the wire.
export async function ask(method, target, {params, key: as = key, headers = {}} = {}) {
    const from = performance.now();
    const response = await fetch(new URL(target, url), {method, body: params && new URLSearchParams(params).toString(),
        headers: {Authorization: `Bearer ${as}`, ...(params ? {'Content-Type': 'application/x-www-form-urlencoded'} : {}), ...headers}});
    const text = await response.text();
    const ms = performance.now() - from;
    let json;
    try { json = JSON.parse(text); } catch { json = undefined; }
    return {status: response.status, headers: response.headers, text, json, error: json?.error, ms};
}
