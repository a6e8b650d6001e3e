#!/usr/bin/env node
// Fails the nth call of one process while a payment is authorized, captured and refunded and its
// webhooks are delivered; for every process, every class of calls, every n and every kind of failure.
//
//   node tests/nth_call/sweep.mjs --bin FOLDER --shim nth.so [--seconds 75] [--from SEED] [--jobs 2] [--only payments,ledger]
//        [--classes memory,zmq] [--kinds killed] [--calls 7 or 7-30] [--until FAILURES]
//        [--patience SECONDS] [--verbose]
//
// With --seconds it takes as many cases as fit, spread evenly over all there are (each run says how
// many that were, of how many), else all of them. After each case must be true:
//   1. each step, asked again with its key until it is definite, succeeds;
//   2. asked once more it answers the same status and body, byte for byte;
//   3. the payment has one charge, captured in full and refunded in full, once;
//   4. its webhooks are heard.
// and of each Florin, every AUDIT_EVERY cases and at its end, that `florin audit` finds nothing.
//
// Most of a case is waiting: for a process that begins anew, for a client's patience. So --jobs
// Florins run at the same time, each with a fault of its own, and take the cases from one list. A
// Florin in which a case failed is put away, and the next case gets a new one.
import {execFile} from 'node:child_process';
import {randomInt, randomUUID} from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import {parseArgs, promisify} from 'node:util';

const {values: options} = parseArgs({options: {
    bin: {type: 'string'}, shim: {type: 'string'}, seconds: {type: 'string'}, from: {type: 'string', default: '1'}, jobs: {type: 'string', default: '2'},
    only: {type: 'string'}, classes: {type: 'string'}, kinds: {type: 'string'}, calls: {type: 'string'}, until: {type: 'string', default: '3'}, patience: {type: 'string', default: '30'}, verbose: {type: 'boolean', default: false},
}});
const bin = path.resolve(options.bin);
const classes = ['memory', 'socket', 'zmq', 'libpq', 'redis', 'disk'];
const kinds = ['failed', 'killed', 'killed after', 'interrupted', 'short'];
const kindsOf = {memory: [0, 1], socket: [0, 1, 2, 3, 4], zmq: [0, 1, 2], libpq: [0, 1, 2], redis: [0, 1, 2], disk: [0, 1, 2, 3, 4]};
// A name, or how several begin: whichever of the two ledgers leads is the one that is on trial.
const trials = [
    ['gateway', ['memory', 'socket', 'zmq', 'redis']],
    ['broker', ['memory', 'socket', 'zmq']],
    ['payments', ['memory', 'socket', 'zmq', 'libpq']],
    ['ledger', ['memory', 'socket', 'zmq', 'libpq']],
    ['network', ['memory', 'socket', 'zmq', 'disk']],
    ['vault', ['memory', 'socket', 'zmq', 'libpq']],
    ['webhooks', ['memory', 'socket', 'zmq', 'libpq']],
];
const AUDIT_EVERY = 250;
const REST_MS = 3500; // a little more than BACKOFF_FORGIVEN_MS of the supervisor
const SAY_EVERY_MS = 30000;
const definiteMs = Number(options.patience) * 1000;
const patienceMs = Math.min(3000, definiteMs); // of a client with one request; what a reset has swallowed it asks again
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const run = promisify(execFile);

const same = (first, again, what) => {
    if (first.status !== again.status || first.body !== again.body)
        throw new Error(`${what} answered twice, differently: ${first.status} ${first.body}\n and then ${again.status} ${again.body}`);
};
const must = (condition, what) => { if (!condition) throw new Error(what); };
const isDefinite = ({error, status, headers}) => !error && headers['stripe-should-retry'] !== 'true' && status !== 409 &&
    status !== 429 && (status < 500 || headers['stripe-should-retry'] === 'false');

// --- the merchants' endpoint ----------------------------------------------------------------------------

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

// --- a card that no vault has seen ------------------------------------------------------------------------

// A number of none of the test cards: it pays, and the vault has to keep it.
function freshCard() {
    const digits = [...'424242', ...String(randomInt(1e9)).padStart(9, '0')].map(Number);
    const sum = digits.reduce((all, digit, i) => all + (i % 2 ? digit : digit * 2 > 9 ? digit * 2 - 9 : digit * 2), 0);
    return [...digits, (10 - sum % 10) % 10].join('');
}

// --- a Florin of our own ----------------------------------------------------------------------------------

let undone = 0; // steps that recovery undid, and that were asked anew
const alive = new Set();

class Florin {
    #control;
    #base;
    #secret;
    home;
    folder;
    cases = 0;
    diedAt = new Map(); // process -> when a case killed it here

    static async start() {
        const florin = new Florin();
        alive.add(florin);
        florin.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'florin-nth.'));
        fs.chmodSync(florin.folder, 0o711); // Postgres runs as a user of its own, and must get to its cluster
        const controlPath = path.join(florin.folder, 'nth');
        fs.writeFileSync(controlPath, Buffer.alloc(4096));
        florin.#control = fs.openSync(controlPath, 'r+');
        florin.home = path.join(florin.folder, 'home');
        const server = net.createServer();
        await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
        const {port} = server.address();
        await new Promise((resolve) => server.close(resolve));
        fs.mkdirSync(florin.home, {mode: 0o700});
        fs.writeFileSync(path.join(florin.home, 'florin.conf'), `port = ${port}\nwebhook_retry_s = 1 1 1 1 1 1 1 1\nwebhook_jitter_percent = 0\nwebhook_timeout_ms = 3000\n`);
        await run(path.join(bin, 'florin-supervisor'), ['--home', florin.home, '--detach'],
            {env: {...process.env, FLORIN_HOME: florin.home, FLORIN_PORT: String(port), FLORIN_NTH: controlPath, LD_PRELOAD: path.resolve(options.shim)}});
        const told = {};
        for (const line of (await florin.ctl('env')).split('\n')) {
            const found = /^(?:export )?(FLORIN_\w+)=(.*)$/.exec(line);
            if (found) told[found[1]] = found[2].replace(/^(['"])(.*)\1$/, '$2');
        }
        florin.#base = new URL(told.FLORIN_URL);
        florin.#secret = told.FLORIN_SECRET_KEY;
        const made = await florin.definite('POST', '/v1/webhook_endpoints', `url=http://127.0.0.1:${endpoint.address().port}/&enabled_events[]=*`, randomUUID());
        must(made.status === 200, made.body);
        for (let i = 0; i < 3; i++) await florin.scenario();
        return florin;
    }

    async ctl(...words) {
        return (await run(path.join(bin, 'florin-ctl'), [words[0], '--home', this.home, ...words.slice(1)], {maxBuffer: 1 << 26})).stdout;
    }

    // What the audit finds, or nothing.
    async audit(waitSeconds) {
        try {
            await this.ctl('audit', '--wait', String(waitSeconds));
            return '';
        } catch (error) {
            return `${error.stdout ?? ''}${error.stderr ?? error.message}`.split('\n').filter((line) => !/ ok\b|ok$/.test(line)).join('\n');
        }
    }

    keepLogs(name) {
        if (process.env.FLORIN_KEEP_LOGS) fs.cpSync(path.join(this.home, 'log'), path.join(process.env.FLORIN_KEEP_LOGS, name), {recursive: true});
    }

    // Not in one go: a Florin that still answers somebody takes its time to end, and the clients of the
    // others must hear their answers meanwhile.
    async stop() {
        if (!alive.delete(this)) return;
        this.disarm();
        try {
            await run(path.join(bin, 'florin-supervisor'), ['--home', this.home, '--down']);
        } catch (error) {
            console.error(`down: ${error.message}`);
        }
        fs.rmSync(this.folder, {recursive: true, force: true});
    }

    // --- what the library is told: shim.h

    #put(at, number) {
        const bytes = Buffer.alloc(4);
        bytes.writeInt32LE(number);
        fs.writeSync(this.#control, bytes, 0, 4, at);
    }
    #get(at) {
        const bytes = Buffer.alloc(4);
        fs.readSync(this.#control, bytes, 0, 4, at);
        return bytes.readInt32LE();
    }
    arm(process_, callClass, kind, n) {
        this.#put(0, 0);
        const name = Buffer.alloc(32);
        name.write(process_);
        fs.writeSync(this.#control, name, 0, 32, 24);
        this.#put(4, classes.indexOf(callClass));
        this.#put(8, kind);
        this.#put(12, n);
        this.#put(16, 0);
        this.#put(20, 0);
        this.#put(0, 1);
    }
    disarm() { this.#put(0, 0); }
    counted() { return this.#get(16); }
    fired() { return this.#get(20) !== 0; }

    // --- the client

    ask(method, where, body, key) {
        return new Promise((resolve) => {
            const request = http.request({agent: false, method, path: where, host: this.#base.hostname, port: this.#base.port, headers: {
                Authorization: `Bearer ${this.#secret}`,
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
    async definite(method, where, body, key) {
        const until = Date.now() + definiteMs;
        let last;
        for (let wait = 20; Date.now() < until; wait = Math.min(wait * 2, 200)) {
            last = await this.ask(method, where, body, key);
            if (isDefinite(last)) return last;
            await pause(wait);
        }
        throw new Error(`${method} ${where} did not become definite: ${JSON.stringify(last)}`);
    }

    // A step that recovery has undone says so, definitely and once and for all; a merchant then asks
    // anew, with a key of its own.
    async step(where, bodyOf, fine) {
        for (const until = Date.now() + definiteMs; Date.now() < until; await pause(100)) {
            const [key, body] = [randomUUID(), bodyOf()];
            const answer = await this.definite('POST', where, body, key);
            same(answer, await this.definite('POST', where, body, key), where);
            if (answer.status === 200 && fine(JSON.parse(answer.body))) return JSON.parse(answer.body);
            // A refund that was undone is a refund that failed, told with 200.
            const refund = where === '/v1/refunds' && answer.status === 200 ? JSON.parse(answer.body) : undefined;
            must(refund ? refund.status === 'failed' && refund.failure_reason === 'unknown' : /processing_error|try again|network/i.test(answer.body),
                `${where}: ${answer.status} ${answer.body}`);
            undone++;
        }
        throw new Error(`${where} was undone again and again`);
    }

    async scenario() {
        // One that is written at once, and needs no network.
        const key = randomUUID();
        const customer = await this.definite('POST', '/v1/customers', 'name=Jenny', key);
        must(customer.status === 200, `a customer: ${customer.status} ${customer.body}`);
        same(customer, await this.definite('POST', '/v1/customers', 'name=Jenny', key), '/v1/customers');
        const read = await this.definite('GET', `/v1/customers/${JSON.parse(customer.body).id}`);
        must(read.status === 200, `a customer that was told of: ${read.status} ${read.body}`);
        // A card that is typed, and new each time: the vault keeps it, and tells it to the network.
        const fields = () => 'amount=2000&currency=usd&payment_method_types[]=card&confirm=true&capture_method=manual&payment_method_data[type]=card' +
            `&payment_method_data[card][number]=${freshCard()}&payment_method_data[card][exp_month]=12` +
            '&payment_method_data[card][exp_year]=2034&payment_method_data[card][cvc]=123';
        const payment = await this.step('/v1/payment_intents', fields, (p) => p.status === 'requires_capture');
        const captured = await this.step(`/v1/payment_intents/${payment.id}/capture`, () => '', (p) => p.status === 'succeeded');
        must(captured.amount_received === 2000, `captured ${captured.amount_received}`);
        await this.step('/v1/refunds', () => `payment_intent=${payment.id}`, (r) => r.status === 'succeeded');
        const charges = JSON.parse((await this.definite('GET', `/v1/charges?payment_intent=${payment.id}`)).body).data;
        const good = charges.filter((charge) => charge.status === 'succeeded');
        must(good.length === 1, `${good.length} charges of ${payment.id}`);
        must(good[0].amount_captured === 2000 && good[0].amount_refunded === 2000, `captured ${good[0].amount_captured}, refunded ${good[0].amount_refunded}`);
        const refunds = JSON.parse((await this.definite('GET', `/v1/refunds?payment_intent=${payment.id}`)).body).data;
        must(refunds.filter((refund) => refund.status === 'succeeded').length === 1, 'refunded more than once');
        const until = Date.now() + definiteMs;
        while (!mustHear.every((type) => heard.get(payment.id)?.has(type))) {
            must(Date.now() < until, `webhooks of ${payment.id}: only ${[...(heard.get(payment.id) ?? [])]}`);
            await pause(5);
        }
        heard.delete(payment.id);
    }
}

// --- the list of cases --------------------------------------------------------------------------------------

// How many calls there are: the most of some runs.
async function countCases(florin) {
    const cases = [];
    for (const [process_, wanted] of trials) {
        if (options.only && !options.only.split(',').includes(process_)) continue;
        for (const callClass of wanted) {
            if (options.classes && !options.classes.split(',').includes(callClass)) continue;
            let most = 0;
            for (let i = 0; i < (options.seconds ? 1 : 3); i++) {
                florin.arm(process_, callClass, 0, 0);
                await florin.scenario();
                most = Math.max(most, florin.counted());
                florin.disarm();
            }
            console.log(`${process_.padEnd(11)} ${callClass.padEnd(7)} ${String(most).padStart(6)} calls × ${kindsOf[callClass].length} kinds`);
            const [low, high] = options.calls ? options.calls.split('-').map(Number) : [1, most];
            for (let n = low; n <= (high ?? low); n++)
                for (const kind of kindsOf[callClass])
                    if (!options.kinds || options.kinds.split(',').includes(kinds[kind])) cases.push({process: process_, callClass, kind, n});
        }
    }
    return cases;
}

const groupBy = (list, nameOf) => {
    const groups = new Map();
    for (const one of list) groups.set(nameOf(one), [...groups.get(nameOf(one)) ?? [], one]);
    return groups;
};
const groupOf = (one) => `${one.process} ${one.callClass} ${kinds[one.kind]}`;
// Without memory a process may end, too.
const mayDie = (one) => one.kind === 1 || one.kind === 2 || one.callClass === 'memory';

// Every class of every process has its share of a short run, however few its calls; and not always
// the same first, because a short run does not come round.
function spread(cases, seed) {
    let random = Number(seed) >>> 0 || 1;
    const next = (below) => { random ^= random << 13; random ^= random >>> 17; random ^= random << 5; return (random >>> 0) % below; };
    const shuffle = (list) => { for (let i = list.length - 1; i > 0; i--) { const j = next(i + 1); [list[i], list[j]] = [list[j], list[i]]; } };
    const lists = [...groupBy(cases, groupOf).values()];
    lists.forEach(shuffle);
    shuffle(lists);
    const order = [];
    for (let i = 0; order.length < cases.length; i++) for (const list of lists) if (i < list.length) order.push(list[i]);
    return order;
}

// Who has died a moment ago is started again only after a while (supervisor/backoff.h), and so a Florin
// gets, of what is left, a case of whoever has lived long in it.
class Rest {
    #of = new Map(); // process and whether it may die -> cases
    constructor(cases) {
        for (const one of [...cases].reverse()) {
            const name = `${mayDie(one) ? 'dies' : 'lives'} ${one.process}`;
            if (!this.#of.has(name)) this.#of.set(name, []);
            this.#of.get(name).push(one);
        }
    }
    next(florin) {
        let best;
        for (const list of this.#of.values()) {
            if (!list.length) continue;
            const one = list[list.length - 1];
            const rested = Date.now() - (florin.diedAt.get(one.process) ?? 0);
            // Those who have rested, then those who need not, the longest list first; else who has rested longest.
            const rank = !mayDie(one) ? 1e6 + list.length : rested > REST_MS ? 2e6 + list.length : rested;
            if (!best || rank > best.rank) best = {rank, list};
        }
        if (!best) return undefined;
        return best.list.pop();
    }
}

// --- all of them ----------------------------------------------------------------------------------------

let failures = 0;
const tried = []; // cases, with what came of them
const fail = (words) => { failures++; console.log(`FAILED: ${words}`); };
const begun = Date.now();
const seconds = () => Math.round((Date.now() - begun) / 1000);

async function tryCase(florin, one) {
    florin.arm(one.process, one.callClass, one.kind, one.n);
    florin.cases++;
    const from = Date.now();
    let fine = true;
    try {
        await florin.scenario();
    } catch (error) {
        fine = false;
        fail(`call ${one.n} of ${one.callClass} in ${one.process}, ${kinds[one.kind]}: ${error.message}`);
    }
    one.fired = florin.fired();
    one.ms = Date.now() - from;
    florin.disarm();
    if (one.fired && mayDie(one)) florin.diedAt.set(one.process, Date.now());
    tried.push(one);
    if (options.verbose) console.log(`${one.process} ${one.callClass} ${kinds[one.kind]} ${one.n}${one.fired ? '' : ' (not reached)'} ${one.ms} ms`);
    return fine;
}

// One Florin after another, each as long as nothing fails in it.
async function work(first, take) {
    let florin = first;
    const put_away = async (waitSeconds) => {
        const found = await florin.audit(waitSeconds);
        if (found) fail(`the audit: ${found}`);
        if (failures) florin.keepLogs(path.basename(florin.folder));
        await florin.stop();
        florin = undefined;
    };
    for (let one; (one = take(florin));) {
        florin ??= await Florin.start();
        if (!await tryCase(florin, one)) {
            await put_away(1); // after a failure something may never end
        } else if (florin.cases % AUDIT_EVERY === 0) {
            const found = await florin.audit(60);
            if (found) fail(`the audit after ${florin.cases} cases: ${found}`);
        }
    }
    if (florin) await put_away(60);
}

function summarize(cases) {
    const groups = groupBy(tried, groupOf);
    if (!options.seconds) {
        console.log('\nprocess     class    kind           cases  reached  ms: median    most');
        for (const [name, list] of [...groups].sort()) {
            const ms = list.map((one) => one.ms).sort((a, b) => a - b);
            const [process_, callClass, ...kind] = name.split(' ');
            console.log(`${process_.padEnd(11)} ${callClass.padEnd(8)} ${kind.join(' ').padEnd(13)} ${String(list.length).padStart(6)} ` +
                `${String(list.filter((one) => one.fired).length).padStart(8)} ${String(ms[ms.length >> 1]).padStart(11)} ${String(ms.at(-1)).padStart(7)}`);
        }
    }
    const fired = tried.filter((one) => one.fired).length;
    console.log(`${tried.length} of ${cases.length} cases (n × kinds; ${new Set(cases.map(groupOf)).size} groups of process, class and kind) from seed ${options.from}; ` +
        `${fired} reached their call; ${undone} steps were undone and asked anew; ${failures} failures; ${seconds()} s`);
    if (failures || !tried.length || fired < tried.length / 4) process.exitCode = 1;
}

const stopAll = () => Promise.all([...alive].map((florin) => florin.stop()));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, async () => {
    await stopAll();
    process.exit(130);
});
let saying;
let ended = false;
try {
    await new Promise((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
    const first = await Florin.start();
    const cases = await countCases(first);
    const order = options.seconds ? spread(cases, options.from) : new Rest(spread(cases, options.from));
    const end = options.seconds ? Date.now() + Number(options.seconds) * 1000 : Infinity;
    const take = (florin) => {
        if (ended || Date.now() >= end || failures >= Number(options.until)) return undefined;
        return Array.isArray(order) ? order.shift() : order.next(florin ?? {diedAt: new Map()});
    };
    if (!options.seconds)
        saying = setInterval(() => console.log(`${tried.length} of ${cases.length} after ${seconds()} s; ${tried.filter((one) => one.fired).length} reached; ${failures} failures`), SAY_EVERY_MS);
    const jobs = Math.min(Number(options.jobs), cases.length);
    // The others begin while the first is at work already.
    await Promise.all(Array.from({length: jobs}, async (_, i) => work(i ? await Florin.start() : first, take)));
    summarize(cases);
} catch (error) {
    console.log(`FAILED: ${error.stack}`);
    process.exitCode = 1;
} finally {
    ended = true;
    clearInterval(saying);
    await stopAll();
    endpoint.close();
    endpoint.closeAllConnections?.();
}
