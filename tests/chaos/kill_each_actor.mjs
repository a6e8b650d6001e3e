#!/usr/bin/env node
// A thousand payments while each actor in turn is killed (SIGKILL) in the middle of them.
//
//   node tests/chaos/kill_each_actor.mjs [--payments 1000] [--width 16] [--only ledger,broker]
//                                        [--running] [--verbose]
//
// starts an instance of its own in a temporary folder and takes it down at the end. With --running it
// uses the one that FLORIN_HOME and FLORIN_PORT name, and leaves it running.
//
// The clients do as a careful merchant does: each payment has an idempotency key, and whatever
// happens (no connection, no answer, 409, 429, 5xx) they ask again with the same key until they hear
// something definite. Then is true, or the run fails:
//
//   1. every payment ends in one definite state;
//   2. the same key asked again answers the same status and body, byte for byte;
//   3. what was told to have succeeded has one charge, and nothing else has been charged;
//   4. a webhook endpoint has heard of every payment that succeeded;
//   5. `florin audit` finds nothing;
//   6. a payment begun after a kill succeeds within 2 s of it (Postgres: 5 s).
import {execFileSync} from 'node:child_process';
import {randomUUID} from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';

const checkout = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const {values: options} = parseArgs({options: {
    payments: {type: 'string', default: '1000'},
    width: {type: 'string', default: '16'},
    only: {type: 'string'},
    running: {type: 'boolean', default: false},
    verbose: {type: 'boolean', default: false},
}});
const wanted = Number(options.payments);
const width = Number(options.width);
const limits = {postgres: 5000};
const limitOf = (name) => limits[name.replace(/-\d+$/, '')] ?? 2000;
const tryMs = 10000; // a try without an answer is given up; above what Postgres may take to come back, so that
// what is measured is the system and not the pauses between a client's tries
const payMs = 90000; // a payment must have become definite by then

const florin = (...words) => execFileSync(path.join(checkout, 'florin'), words,
    {encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28});
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// --- an instance of our own ------------------------------------------------------------------------

let folder;
async function freePort() {
    const server = net.createServer();
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const {port} = server.address();
    await new Promise((resolve) => server.close(resolve));
    return port;
}
async function start() {
    if (!options.running) {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), 'florin-chaos.'));
        fs.chmodSync(folder, 0o711); // Postgres runs as a user of its own, and must get to its cluster
        process.env.FLORIN_HOME = path.join(folder, 'home');
        process.env.FLORIN_PORT = String(await freePort());
        florin('up', '--detach');
    }
    for (const line of florin('env').split('\n')) {
        const found = /^(?:export )?(FLORIN_\w+)=(.*)$/.exec(line);
        if (found) process.env[found[1]] ??= found[2].replace(/^(['"])(.*)\1$/, '$2');
    }
}
function stop() {
    if (!folder) return;
    try {
        florin('down');
    } catch (error) {
        console.error(`florin down: ${error.stderr || error.message}`);
        process.exitCode = 1;
    }
    if (process.exitCode && process.env.FLORIN_KEEP_LOGS)
        fs.cpSync(path.join(process.env.FLORIN_HOME, 'log'), process.env.FLORIN_KEEP_LOGS, {recursive: true});
    fs.rmSync(folder, {recursive: true, force: true});
}

// [{name, pid, state, restarts, uptime…}], whatever the list is wrapped in.
function actors() {
    const told = JSON.parse(florin('status', '--json'));
    const list = Array.isArray(told) ? told : told.actors ?? told.processes ?? Object.values(told).find(Array.isArray);
    return list.filter((a) => a.name && a.pid);
}

// --- the client ---------------------------------------------------------------------------------------

const agent = new http.Agent({keepAlive: true, maxSockets: 256});

// One try: {status, headers, body}, or an error's word.
function ask(method, path, {body, key, timeout = tryMs} = {}) {
    return new Promise((resolve) => {
        const base = new URL(process.env.FLORIN_URL);
        const request = http.request({agent, method, path, host: base.hostname, port: base.port, headers: {
            Authorization: `Bearer ${process.env.FLORIN_SECRET_KEY}`,
            ...(body === undefined ? {} : {'Content-Type': 'application/x-www-form-urlencoded',
                'Content-Length': Buffer.byteLength(body)}),
            ...(key ? {'Idempotency-Key': key} : {}),
        }});
        const timer = setTimeout(() => request.destroy(new Error('no answer in time')), timeout);
        request.on('error', (error) => {
            clearTimeout(timer);
            resolve({error: error.code ?? error.message});
        });
        request.on('response', (response) => {
            const chunks = [];
            response.on('data', (chunk) => chunks.push(chunk));
            response.on('error', (error) => resolve({error: error.code ?? error.message}));
            response.on('end', () => {
                clearTimeout(timer);
                if (!response.complete) return resolve({error: 'cut short'});
                resolve({status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString()});
            });
        });
        request.end(body);
    });
}

// An answer that will not change. 5xx is one only when it says that asking again is of no use.
function isDefinite({error, status, headers}) {
    if (error) return false;
    if (headers['stripe-should-retry'] === 'true') return false;
    if (status === 409 || status === 429) return false;
    if (status >= 500) return headers['stripe-should-retry'] === 'false' || headers['idempotent-replayed'] === 'true';
    return true;
}

const kinds = [
    {share: 8, name: 'paid', fields: 'payment_method=pm_card_visa', expect: 'succeeded'},
    {share: 1, name: 'declined', fields: 'payment_method=pm_card_visa_chargeDeclined', expect: 'requires_payment_method'},
    {share: 1, name: 'held', fields: 'payment_method=pm_card_visa&capture_method=manual', expect: 'requires_capture'},
];
const deck = kinds.flatMap((kind) => Array(kind.share).fill(kind));
const run = randomUUID();
const payments = [];
let tries = 0;
const seen = new Map(); // what the clients had to bear

async function pay(kind = deck[payments.length % deck.length]) {
    const payment = {key: randomUUID(), kind, begun: Date.now(), tries: 0};
    payments.push(payment);
    payment.request = `amount=${1000 + payments.length}&currency=usd&confirm=true&payment_method_types[]=card` +
        `&${kind.fields}&metadata[run]=${run}&metadata[number]=${payments.length}`;
    for (let wait = 50; Date.now() - payment.begun < payMs; wait = Math.min(wait * 2, 500)) {
        tries++;
        payment.tries++;
        const answer = await ask('POST', '/v1/payment_intents', {body: payment.request, key: payment.key});
        if (isDefinite(answer)) {
            payment.answer = answer;
            payment.ended = Date.now();
            return payment;
        }
        const what = answer.error ?? `${answer.status} ${/"code": "(\w+)"/.exec(answer.body)?.[1] ?? ''}`.trim();
        seen.set(what, (seen.get(what) ?? 0) + 1);
        if (options.verbose) console.error(`${payment.key} try ${payment.tries}: ${what}`);
        await pause(wait);
    }
    payment.ended = Date.now();
    return payment;
}

const succeeded = (payment) => payment.answer?.status === 200 && JSON.parse(payment.answer.body).status === 'succeeded';

// --- the killing --------------------------------------------------------------------------------------

// Payments begun after the kill, one every 20 ms, until one of them has succeeded.
async function firstSuccess(killed) {
    let first, open = 0;
    while (first === undefined && Date.now() - killed < 30000) {
        if (open < 64) {
            open++;
            pay(kinds[0]).then((payment) => {
                open--;
                if (first === undefined && succeeded(payment)) first = payment.ended - killed;
            });
        }
        await pause(20);
    }
    return first;
}

async function until(what, ask, ms = 60000) {
    for (const end = Date.now() + ms; Date.now() < end; await pause(50)) {
        try {
            if (await ask()) return;
        } catch {
            // not yet
        }
    }
    throw new Error(`waited ${ms} ms in vain: ${what}`);
}

async function killInTurn(load) {
    const table = [];
    const only = options.only?.split(',');
    const names = actors().map((a) => a.name).filter((name) => !only || only.some((o) => name.startsWith(o)));
    // The ledger that leads is not known from here: both are killed, each in its turn.
    for (const [i, name] of names.entries()) {
        const share = Math.floor(wanted * (i + 1) / (names.length + 1));
        await until('the payments before the next kill', () => load.done() >= share || load.idle(), 300000);
        const {pid} = actors().find((a) => a.name === name);
        const killed = Date.now();
        process.kill(pid, 'SIGKILL');
        const ms = await firstSuccess(killed);
        const limit = limitOf(name);
        table.push({name, pid, ms, limit, fine: ms !== undefined && ms <= limit});
        console.log(`${name.padEnd(14)} killed, first success after ${ms ?? '> 30000'} ms (at most ${limit})`);
        await until(`${name} is back`, () => {
            const back = actors().find((a) => a.name === name);
            return back && back.pid !== pid && /serving|standby|running|up/.test(back.state ?? 'serving');
        });
    }
    return table;
}

// --- a merchant's server --------------------------------------------------------------------------------

const heard = new Map(); // payment intent → how often it was told that it succeeded

async function listen() {
    const server = http.createServer((request, response) => {
        const chunks = [];
        request.on('data', (chunk) => chunks.push(chunk));
        request.on('end', () => {
            const {id} = JSON.parse(Buffer.concat(chunks)).data.object;
            heard.set(id, (heard.get(id) ?? 0) + 1);
            response.end();
        });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    server.unref();
    const answer = await ask('POST', '/v1/webhook_endpoints', {timeout: 20000,
        body: `url=http://127.0.0.1:${server.address().port}/&enabled_events[]=payment_intent.succeeded`});
    if (answer.status !== 200) throw new Error(`no endpoint: ${answer.error ?? answer.body}`);
    const {id} = JSON.parse(answer.body);
    return () => ask('DELETE', `/v1/webhook_endpoints/${id}`);
}

// --- what must be true afterwards ---------------------------------------------------------------------

async function listAll(path) {
    const objects = [];
    for (let after = ''; ;) {
        const answer = await ask('GET', `${path}?limit=100${after}`, {timeout: 20000});
        if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.error ?? answer.body}`);
        const page = JSON.parse(answer.body);
        objects.push(...page.data);
        if (!page.has_more) return objects;
        after = `&starting_after=${page.data.at(-1).id}`;
    }
}

const refusals = new Map(); // what clients were told for good instead of yes or no, and how often

async function problems() {
    const found = [];
    const complain = (text) => found.push(text);
    const queue = [...payments];
    await Promise.all(Array.from({length: 16}, async () => {
        for (let payment; (payment = queue.shift());) {
            const {key, kind, answer} = payment;
            if (!answer) {
                complain(`${key}: nothing definite in ${payMs} ms`);
                continue;
            }
            let again;
            for (let i = 0; i < 100; i++) {
                again = await ask('POST', '/v1/payment_intents', {body: payment.request, key, timeout: 20000});
                if (isDefinite(again)) break;
                await pause(200);
            }
            if (again.status !== answer.status || again.body !== answer.body)
                complain(`${key}: answered ${answer.status}, then ${again.status ?? again.error}\n${answer.body}\n${again.body}`);
            const body = JSON.parse(answer.body);
            const status = body.status ?? body.error?.payment_intent?.status;
            payment.outcome = answer.status >= 500 || (answer.status >= 400 && kind.name !== 'declined') ? 'failed' : status;
            if (payment.outcome === 'failed') {
                const words = `${answer.status} ${body.error?.code ?? ''}: ${body.error?.message}`;
                refusals.set(words, (refusals.get(words) ?? 0) + 1);
            }
            if (payment.outcome !== 'failed' && status !== kind.expect)
                complain(`${key}: a payment to be ${kind.name} is ${status}`);
        }
    }));

    const intents = (await listAll('/v1/payment_intents')).filter((i) => i.metadata.run === run);
    const charges = new Map();
    for (const charge of await listAll('/v1/charges')) {
        const list = charges.get(charge.payment_intent) ?? charges.set(charge.payment_intent, []).get(charge.payment_intent);
        list.push(charge);
    }
    const byNumber = new Map();
    for (const intent of intents) {
        if (byNumber.has(intent.metadata.number)) complain(`${intent.id}: payment ${intent.metadata.number} was made twice`);
        byNumber.set(intent.metadata.number, intent);
        if (intent.status === 'processing') complain(`${intent.id}: still processing`);
        const good = (charges.get(intent.id) ?? []).filter((c) => c.status === 'succeeded');
        const payment = payments[intent.metadata.number - 1];
        const due = ['succeeded', 'requires_capture'].includes(intent.status) ? 1 : 0;
        if (good.length !== due) complain(`${intent.id}: ${intent.status} with ${good.length} charges`);
        if (payment.outcome === 'failed' && due) complain(`${intent.id}: ${intent.status}, but the client was told ${payment.answer.status}`);
    }
    payments.forEach((payment, i) => {
        if (payment.answer?.status === 200 && !byNumber.has(String(i + 1))) complain(`${payment.key}: told 200, but not there`);
    });
    return found;
}

async function main() {
    await start();
    await until('a first payment', async () => succeeded(await pay(kinds[0])));
    const unlisten = await listen();
    const unheard = payments.length;

    let next = 0, done = 0, working = width;
    const load = {done: () => done, idle: () => working === 0};
    const workers = Array.from({length: width}, async () => {
        while (next++ < wanted) {
            await pay();
            done++;
        }
        working--;
    });
    const begun = Date.now();
    const table = await killInTurn(load);
    await Promise.all(workers);
    await until('no payment is open', () => payments.every((p) => p.ended));
    const seconds = (Date.now() - begun) / 1000;

    const found = await problems();
    const told = payments.slice(unheard).filter(succeeded).map((p) => JSON.parse(p.answer.body).id);
    await until('all events', () => told.every((id) => heard.has(id)))
        .catch(() => found.push(`${told.filter((id) => !heard.has(id)).length} payments that the endpoint never heard of`));
    let audit = '';
    try {
        // Fresh from the kills some deliveries and recoveries may be under way for a moment.
        await until('a clean audit', () => {
            try {
                audit = florin('audit');
                return true;
            } catch (error) {
                audit = `${error.stdout}${error.stderr}`;
                return false;
            }
        }, 60000);
    } catch {
        found.push(`florin audit:\n${audit}`);
    }
    const outcomes = {};
    for (const payment of payments) outcomes[payment.outcome] = (outcomes[payment.outcome] ?? 0) + 1;
    console.log(`${payments.length} payments in ${seconds.toFixed(1)} s, ${tries} tries; outcomes ${JSON.stringify(outcomes)}`);
    console.log(`webhooks: ${told.length} payments told, ${[...heard.values()].filter((n) => n > 1).length} of them more than once`);
    for (const [words, times] of refusals) console.log(`told for good, ${times} times: ${words}`);
    console.log(`borne by the clients: ${JSON.stringify(Object.fromEntries(seen))}`);
    for (const row of table.filter((r) => !r.fine)) found.push(`${row.name}: first success after ${row.ms} ms, more than ${row.limit}`);
    for (const text of found.slice(0, 20)) console.log(`WRONG  ${text}`);
    console.log(found.length ? `chaos: ${found.length} failed` : `chaos: ${table.length} kills, all well`);
    process.exitCode = found.length ? 1 : 0;
    await unlisten();
}

try {
    await main();
} catch (error) {
    console.error(error.stderr || error.stack);
    process.exitCode = 1;
} finally {
    stop();
    agent.destroy();
}
process.exit();
