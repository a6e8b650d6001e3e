// What all tests share: clients of the official library, a server that receives webhooks, and the
// record of every answer, which the last test holds against the published schema.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import Stripe from 'stripe';

export {Stripe};
export const url = new URL(process.env.FLORIN_URL ?? 'http://127.0.0.1:8420');
export const secretKey = process.env.FLORIN_SECRET_KEY;
export const publishableKey = process.env.FLORIN_PUBLISHABLE_KEY;
export const account = process.env.FLORIN_ACCOUNT;
export const checkout = process.env.FLORIN_CHECKOUT;
export const shared = process.env.FLORIN_SHARED;
export const recordFolder = process.env.FLORIN_RECORD;

if (!secretKey) throw new Error('FLORIN_SECRET_KEY is not set: run tests/stripe/run.sh');

// --- the record of answers ---------------------------------------------------------------------

const recordFile = recordFolder && path.join(recordFolder, `${process.pid}.jsonl`);

function record(line) {
    if (recordFile) fs.appendFileSync(recordFile, JSON.stringify(line) + '\n');
}

// The library's own HTTP client, listened to.
function listeningClient(key) {
    const client = Stripe.createNodeHttpClient();
    const makeRequest = client.makeRequest.bind(client);
    client.makeRequest = async (host, port, path, method, ...rest) => {
        const response = await makeRequest(host, port, path, method, ...rest);
        const toJSON = response.toJSON.bind(response);
        response.toJSON = async () => {
            const body = await toJSON();
            record({operation: `${method} ${path.split('?')[0]}`, status: response.getStatusCode(), body,
                publishable: key === publishableKey});
            return body;
        };
        return response;
    };
    return client;
}

export function client(key = secretKey, options = {}) {
    return new Stripe(key, {
        host: url.hostname,
        port: url.port,
        protocol: url.protocol.replace(':', ''),
        maxNetworkRetries: 3,
        telemetry: false,
        httpClient: listeningClient(key),
        ...options,
    });
}

export const stripe = client();
export const publishable = client(publishableKey);

// For what the library would not let through: a request as it goes over the wire.
export async function raw(method, path, {body, headers = {}, key = secretKey} = {}) {
    const all = {...headers};
    if (key) all.Authorization ??= `Bearer ${key}`;
    if (body !== undefined) all['Content-Type'] ??= 'application/x-www-form-urlencoded';
    const response = await fetch(new URL(path, url), {method, body, headers: all});
    const text = await response.text();
    let json;
    try {
        json = JSON.parse(text);
        record({operation: `${method} ${path.split('?')[0]}`, status: response.status, body: json});
    } catch {
        json = undefined;
    }
    return {status: response.status, headers: response.headers, text, json};
}

// --- payments ------------------------------------------------------------------------------------

export const card = {payment_method_types: ['card']};

export function pay(amount = 2000, more = {}, options = {}) {
    return stripe.paymentIntents.create(
        {amount, currency: 'usd', confirm: true, payment_method: 'pm_card_visa', ...card, ...more}, options);
}

// 2.9 % and 30 minor units, halves up, in integers; never more than the payment.
export function fee(amount) {
    return Math.min(amount, Math.floor((amount * 29 + 500) / 1000) + 30);
}

export async function refused(promise) {
    try {
        await promise;
    } catch (error) {
        return error;
    }
    throw new Error('this should have been refused');
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

export async function all(list) {
    const objects = [];
    for await (const object of list) objects.push(object);
    return objects;
}

// --- waiting -------------------------------------------------------------------------------------

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

// --- a merchant's server --------------------------------------------------------------------------

// Receives webhooks. `answer(delivery, response)` may do as it likes; without it: 200.
export async function receiver(answer) {
    const deliveries = [];
    const server = http.createServer((request, response) => {
        const chunks = [];
        request.on('data', (chunk) => chunks.push(chunk));
        request.on('end', () => {
            const delivery = {
                body: Buffer.concat(chunks),
                headers: request.headers,
                method: request.method,
                path: request.url,
                at: Date.now(),
            };
            delivery.event = JSON.parse(delivery.body);
            deliveries.push(delivery);
            if (answer) answer(delivery, response, deliveries);
            else response.end();
        });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return {
        deliveries,
        url: `http://127.0.0.1:${server.address().port}/webhooks`,
        // The first delivery that fits.
        next: (what, fits, ms) => until(what, () => deliveries.find(fits), ms),
        close() {
            server.closeAllConnections();
            return new Promise((resolve) => server.close(resolve));
        },
    };
}

// An endpoint with a server of its own, both gone when the test ends.
export async function listen(t, enabled_events, answer, more = {}) {
    const server = await receiver(answer);
    const endpoint = await stripe.webhookEndpoints.create({url: server.url, enabled_events, ...more});
    t.after(async () => {
        await stripe.webhookEndpoints.del(endpoint.id).catch(() => {});
        await server.close();
    });
    return {...server, endpoint};
}
