#!/usr/bin/env node
// Fails the nth call of one process while a payment is authorized, captured and refunded and its
// webhooks are delivered; for every process, every class of calls, every n and every kind of failure.
//
//   node tests/nth_call/sweep.mjs --bin FOLDER --shim nth.so [--seconds 75] [--from SEED] [--only payments,ledger]
//        [--classes memory,zmq] [--kinds killed] [--calls 7 or 7-30] [--until FAILURES]
//        [--patience SECONDS] [--verbose]
//
// With --seconds it takes as many cases as fit, spread evenly over all there are (each run says how
// many that were, of how many), else all of them. After each case must be true:
//   1. each step, asked again with its key until it is definite, succeeds;
//   2. asked once more it answers the same status and body, byte for byte;
//   3. the payment has one charge, captured in full and refunded in full, once;
//   4. its webhooks are heard.
// and at the end, that `florin audit` finds nothing.
import {execFileSync} from 'node:child_process';
import {randomUUID} from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';

const {values: options} = parseArgs({options: {
    bin: {type: 'string'}, shim: {type: 'string'}, seconds: {type: 'string'}, from: {type: 'string', default: '1'},
    only: {type: 'string'}, classes: {type: 'string'}, kinds: {type: 'string'}, calls: {type: 'string'}, until: {type: 'string', default: '3'}, patience: {type: 'string', default: '30'}, verbose: {type: 'boolean', default: false},
}});
const bin = path.resolve(options.bin);
const classes = ['memory', 'socket', 'zmq', 'libpq', 'redis'];
const kinds = ['failed', 'killed', 'killed after', 'interrupted', 'short'];
const kindsOf = {memory: [0, 1], socket: [0, 1, 2, 3, 4], zmq: [0, 1, 2], libpq: [0, 1, 2], redis: [0, 1, 2]};
// A name, or how several begin: whichever of the two ledgers leads is the one that is on trial.
const trials = [
    ['gateway', ['memory', 'socket', 'zmq', 'redis']],
    ['broker', ['memory', 'socket', 'zmq']],
    ['payments', ['memory', 'socket', 'zmq', 'libpq']],
    ['ledger', ['memory', 'socket', 'zmq', 'libpq']],
    ['network', ['memory', 'socket', 'zmq']],
    ['webhooks', ['memory', 'socket', 'zmq', 'libpq']],
];
const definiteMs = Number(options.patience) * 1000;
const patienceMs = Math.min(3000, definiteMs); // of a client with one request; what a reset has swallowed it asks again
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// --- what the library is told: shim.h ------------------------------------------------------------------

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'florin-nth.'));
fs.chmodSync(folder, 0o711); // Postgres runs as a user of its own, and must get to its cluster
const controlPath = path.join(folder, 'nth');
fs.writeFileSync(controlPath, Buffer.alloc(4096));
const control = fs.openSync(controlPath, 'r+');
const put = (at, number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(number);
    fs.writeSync(control, bytes, 0, 4, at);
};
const get = (at) => {
    const bytes = Buffer.alloc(4);
    fs.readSync(control, bytes, 0, 4, at);
    return bytes.readInt32LE();
};
function arm(process, callClass, kind, n) {
    put(0, 0);
    const name = Buffer.alloc(32);
    name.write(process);
    fs.writeSync(control, name, 0, 32, 24);
    put(4, classes.indexOf(callClass));
    put(8, kind);
    put(12, n);
    put(16, 0);
    put(20, 0);
    put(0, 1);
}
const disarm = () => put(0, 0);

// --- an instance of our own ---------------------------------------------------------------------------

const home = path.join(folder, 'home');
const ctl = (...words) => execFileSync(path.join(bin, 'florin-ctl'), [words[0], '--home', home, ...words.slice(1)],
    {encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 26});
let base;
let secret;
async function start() {
    const server = net.createServer();
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const {port} = server.address();
    await new Promise((resolve) => server.close(resolve));
    fs.mkdirSync(home, {mode: 0o700});
    fs.writeFileSync(path.join(home, 'florin.conf'), `port = ${port}\nwebhook_retry_s = 1 1 1 1 1 1 1 1\nwebhook_jitter_percent = 0\nwebhook_timeout_ms = 3000\n`);
    execFileSync(path.join(bin, 'florin-supervisor'), ['--home', home, '--detach'], {stdio: ['ignore', 'inherit', 'inherit'],
        env: {...process.env, FLORIN_HOME: home, FLORIN_PORT: String(port), FLORIN_NTH: controlPath, LD_PRELOAD: path.resolve(options.shim)}});
    for (const line of ctl('env').split('\n')) {
        const found = /^(?:export )?(FLORIN_\w+)=(.*)$/.exec(line);
        if (found) process.env[found[1]] = found[2].replace(/^(['"])(.*)\1$/, '$2');
    }
    base = new URL(process.env.FLORIN_URL);
    secret = process.env.FLORIN_SECRET_KEY;
}
function stop() {
    try {
        execFileSync(path.join(bin, 'florin-supervisor'), ['--home', home, '--down'], {stdio: 'ignore'});
    } catch (error) {
        console.error(`down: ${error.message}`);
    }
    if (process.exitCode && process.env.FLORIN_KEEP_LOGS) fs.cpSync(path.join(home, 'log'), process.env.FLORIN_KEEP_LOGS, {recursive: true});
    fs.rmSync(folder, {recursive: true, force: true});
}

// --- the client ---------------------------------------------------------------------------------------

function ask(method, where, body, key) {
    return new Promise((resolve) => {
        const request = http.request({agent: false, method, path: where, host: base.hostname, port: base.port, headers: {
            Authorization: `Bearer ${secret}`,
            ...(body === undefined ? {} : {'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': Buffer.byteLength(body)}),
            ...(key ? {'Idempotency-Key': key} : {}),
        }});
        const timer = setTimeout(() => request.destroy(new Error('no answer in time')), patienceMs);
        const done = (answer) => { clearTimeout(timer); resolve(answer); };
        request.on('error', (error) => done({error: error.code ?? error.message}));
        request.on('response', (response) => {
            const chunks = [];
            response.on('data', (chunk) => chunks.push(chunk));
            response.on('error', (error) => done({error: error.message}));
            response.on('end', () => done(response.complete ? {status: response.statusCode, headers: response.headers,
                body: Buffer.concat(chunks).toString()} : {error: 'cut short'}));
        });
        request.end(body);
    });
}
const isDefinite = ({error, status, headers}) => !error && headers['stripe-should-retry'] !== 'true' && status !== 409 &&
    status !== 429 && (status < 500 || headers['stripe-should-retry'] === 'false');
async function definite(method, where, body, key) {
    const until = Date.now() + definiteMs;
    let last;
    for (let wait = 20; Date.now() < until; wait = Math.min(wait * 2, 200)) {
        last = await ask(method, where, body, key);
        if (isDefinite(last)) return last;
        await pause(wait);
    }
    throw new Error(`${method} ${where} did not become definite: ${JSON.stringify(last)}`);
}

// --- the merchant's endpoint ----------------------------------------------------------------------------

const heard = new Map(); // payment -> types of the events that told of it
const endpoint = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
        try {
            const event = JSON.parse(Buffer.concat(chunks));
            const of = event.data.object.payment_intent ?? event.data.object.id;
            if (!heard.has(of)) heard.set(of, new Set());
            heard.get(of).add(event.type);
        } catch { /* half a request: it is sent again */ }
        response.end('{}');
    });
});
const mustHear = ['payment_intent.succeeded', 'charge.refunded'];

// --- one case -------------------------------------------------------------------------------------------

const same = (first, again, what) => {
    if (first.status !== again.status || first.body !== again.body)
        throw new Error(`${what} answered twice, differently: ${first.status} ${first.body}\n and then ${again.status} ${again.body}`);
};
const must = (condition, what) => { if (!condition) throw new Error(what); };

async function scenario() {
    const keys = [randomUUID(), randomUUID(), randomUUID()];
    // One that is written at once, and needs no network.
    const key = randomUUID();
    const customer = await definite('POST', '/v1/customers', 'name=Jenny', key);
    must(customer.status === 200, `a customer: ${customer.status} ${customer.body}`);
    same(customer, await definite('POST', '/v1/customers', 'name=Jenny', key), '/v1/customers');
    const read = await definite('GET', `/v1/customers/${JSON.parse(customer.body).id}`);
    must(read.status === 200, `a customer that was told of: ${read.status} ${read.body}`);
    const fields = 'amount=2000&currency=usd&payment_method_types[]=card&payment_method=pm_card_visa&confirm=true&capture_method=manual';
    // A step that recovery has undone says so, definitely and once and for all; a merchant then asks
    // anew, with a key of its own.
    async function step(where, body, i, fine) {
        for (const until = Date.now() + definiteMs; Date.now() < until; await pause(100)) {
            const key = keys[i];
            const answer = await definite('POST', where, body, key);
            same(answer, await definite('POST', where, body, key), where);
            if (answer.status === 200 && fine(JSON.parse(answer.body))) return JSON.parse(answer.body);
            // A refund that was undone is a refund that failed, told with 200.
            const refund = where === '/v1/refunds' && answer.status === 200 ? JSON.parse(answer.body) : undefined;
            must(refund ? refund.status === 'failed' && refund.failure_reason === 'unknown' : /processing_error|try again|network/i.test(answer.body),
                `${where}: ${answer.status} ${answer.body}`);
            undone++;
            keys[i] = randomUUID();
        }
        throw new Error(`${where} was undone again and again`);
    }
    const payment = await step('/v1/payment_intents', fields, 0, (p) => p.status === 'requires_capture');
    const captured = await step(`/v1/payment_intents/${payment.id}/capture`, '', 1, (p) => p.status === 'succeeded');
    must(captured.amount_received === 2000, `captured ${captured.amount_received}`);
    await step('/v1/refunds', `payment_intent=${payment.id}`, 2, (r) => r.status === 'succeeded');
    const charges = JSON.parse((await definite('GET', `/v1/charges?payment_intent=${payment.id}`)).body).data;
    const good = charges.filter((charge) => charge.status === 'succeeded');
    must(good.length === 1, `${good.length} charges of ${payment.id}`);
    must(good[0].amount_captured === 2000 && good[0].amount_refunded === 2000, `captured ${good[0].amount_captured}, refunded ${good[0].amount_refunded}`);
    const refunds = JSON.parse((await definite('GET', `/v1/refunds?payment_intent=${payment.id}`)).body).data;
    must(refunds.filter((refund) => refund.status === 'succeeded').length === 1, 'refunded more than once');
    const until = Date.now() + definiteMs;
    while (!mustHear.every((type) => heard.get(payment.id)?.has(type))) {
        must(Date.now() < until, `webhooks of ${payment.id}: only ${[...(heard.get(payment.id) ?? [])]}`);
        await pause(5);
    }
}

// --- all of them ----------------------------------------------------------------------------------------

let undone = 0;
let done = 0;
let fired = 0;
let failures = 0;
try {
    await start();
    await new Promise((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
    const made = await definite('POST', '/v1/webhook_endpoints', `url=http://127.0.0.1:${endpoint.address().port}/&enabled_events[]=*`, randomUUID());
    must(made.status === 200, made.body);
    for (let i = 0; i < 3; i++) await scenario();

    // How many calls there are: the most of some runs.
    const cases = [];
    for (const [process_, wanted] of trials) {
        if (options.only && !options.only.split(',').includes(process_)) continue;
        for (const callClass of wanted) {
            if (options.classes && !options.classes.split(',').includes(callClass)) continue;
            let most = 0;
            for (let i = 0; i < (options.seconds ? 1 : 3); i++) {
                arm(process_, callClass, 0, 0);
                await scenario();
                most = Math.max(most, get(16));
                disarm();
            }
            console.log(`${process_.padEnd(11)} ${callClass.padEnd(7)} ${String(most).padStart(6)} calls × ${kindsOf[callClass].length} kinds`);
            const [low, high] = options.calls ? options.calls.split('-').map(Number) : [1, most];
            for (let n = low; n <= (high ?? low); n++)
                for (const kind of kindsOf[callClass])
                    if (!options.kinds || options.kinds.split(',').includes(kinds[kind])) cases.push([process_, callClass, kind, n]);
        }
    }
    // Every class of every process has its share of a short run, however few its calls.
    const groups = new Map();
    for (const one of cases) {
        const group = `${one[0]} ${one[1]} ${one[2]}`;
        if (!groups.has(group)) groups.set(group, []);
        groups.get(group).push(one);
    }
    let order = cases;
    if (options.seconds) {
        let random = Number(options.from) >>> 0 || 1;
        const next = (below) => { random ^= random << 13; random ^= random >>> 17; random ^= random << 5; return (random >>> 0) % below; };
        for (const list of groups.values()) for (let i = list.length - 1; i > 0; i--) { const j = next(i + 1); [list[i], list[j]] = [list[j], list[i]]; }
        // Not always the same first: a short run does not come round.
        const lists = [...groups.values()];
        for (let i = lists.length - 1; i > 0; i--) { const j = next(i + 1); [lists[i], lists[j]] = [lists[j], lists[i]]; }
        order = [];
        for (let i = 0; order.length < cases.length; i++) for (const list of lists) if (i < list.length) order.push(list[i]);
    }
    const end = options.seconds ? Date.now() + Number(options.seconds) * 1000 : Infinity;
    for (const [process_, callClass, kind, n] of order) {
        if (Date.now() >= end || failures >= Number(options.until)) break;
        arm(process_, callClass, kind, n);
        try {
            await scenario();
            if (get(20)) fired++;
        } catch (error) {
            failures++;
            console.log(`FAILED: call ${n} of ${callClass} in ${process_}, ${kinds[kind]}: ${error.message}`);
        }
        disarm();
        done++;
        if (options.verbose) console.log(`${process_} ${callClass} ${kinds[kind]} ${n}${get(20) ? '' : ' (not reached)'}`);
    }
    try {
        ctl('audit', '--wait', failures ? '1' : '60'); // after a failure something may never end
    } catch (error) {
        failures++;
        console.log(`FAILED: the audit: ${(error.stdout || '') + (error.stderr || '')}`.split('\n').filter((line) => !/ ok\b|ok$/.test(line)).join('\n'));
    }
    console.log(`${done} of ${cases.length} cases (n × kinds; ${groups.size} groups of process, class and kind) from seed ${options.from}; ` +
        `${fired} reached their call; ${undone} steps were undone and asked anew; ${failures} failures`);
    if (failures || !done || fired < done / 4) process.exitCode = 1;
} catch (error) {
    console.log(`FAILED: ${error.stack}`);
    process.exitCode = 1;
} finally {
    disarm();
    stop();
    endpoint.close();
    endpoint.closeAllConnections?.();
}
