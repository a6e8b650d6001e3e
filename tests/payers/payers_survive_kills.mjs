#!/usr/bin/env node
// Payers on checkout pages and in front of challenges, while workers, ledgers, gateway and network
// are killed (SIGKILL) in turn; README.md says what must be true then. Starts an instance of its own
// and takes it down.
import {execFile, execFileSync} from 'node:child_process';
import {randomUUID} from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs, promisify} from 'node:util';

const checkout = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const {values: options} = parseArgs({options: {kills: {type: 'string', default: '24'}}});
const wanted = Number(options.kills);
const lanes = 6; // payers at once
const killEveryMs = 400;
const patienceMs = 90000; // of a payer, for one step
const victims = /^(payments|ledger|gateway|network)-/;
const back = 'https://shop.example/thanks';
const absent = 6; // payers who never answer
const expiryS = 30; // of a challenge: enough for those who do answer

const florin = (...words) => execFileSync(path.join(checkout, 'florin'), words,
    {encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28});
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const failures = [];
const expect = (what, holds) => holds || failures.push(what);

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'florin-payers.'));
fs.chmodSync(folder, 0o711); // Postgres runs as a user of its own, and must get to its cluster
process.env.FLORIN_HOME = path.join(folder, 'home');
process.env.FLORIN_PORT = await new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
        const {port} = server.address();
        server.close(() => resolve(String(port)));
    });
});

// --- asking until there is something definite ----------------------------------------------------

const borne = new Map(); // what the payers had to bear

async function definite(what, tries) {
    for (const end = Date.now() + patienceMs; Date.now() < end; await pause(100)) {
        try {
            const answer = await tries();
            if (answer) return answer;
        } catch (error) {
            const word = error.cause?.code ?? error.name;
            borne.set(word, (borne.get(word) ?? 0) + 1);
        }
    }
    throw new Error(`${what}: nothing definite in ${patienceMs} ms`);
}

// {status, text, location}, when it will not change.
const ask = (method, address, {body, key, secret} = {}) => definite(`${method} ${address}`, async () => {
    const response = await fetch(new URL(address, process.env.FLORIN_URL), {method, body, redirect: 'manual',
        signal: AbortSignal.timeout(8000), headers: {
            ...(secret ? {Authorization: `Bearer ${process.env.FLORIN_SECRET_KEY}`} : {}),
            ...(body === undefined ? {} : {'Content-Type': 'application/x-www-form-urlencoded'}),
            ...(key ? {'Idempotency-Key': key} : {})}});
    const {status} = response, text = await response.text();
    const again = status >= 500 || status === 429 || status === 409;
    if (again) borne.set(status, (borne.get(status) ?? 0) + 1);
    return again ? null : {status, text, location: response.headers.get('location')};
});

async function api(method, address, body, key) {
    const {status, text} = await ask(method, address, {body, key, secret: true});
    const json = JSON.parse(text);
    if (status !== 200) throw new Error(`${method} ${address}: ${status} ${json.error?.message}`);
    return json;
}

async function listed(address) {
    const objects = [];
    for (let after = '', more = true; more;) {
        const page = await api('GET', `${address}${address.includes('?') ? '&' : '?'}limit=100${after}`);
        objects.push(...page.data);
        more = page.has_more;
        if (more) after = `&starting_after=${page.data.at(-1).id}`;
    }
    return objects;
}

// --- payers ----------------------------------------------------------------------------------------

// What a browser does with the page of a challenge, until the payer is sent back to the shop. The page
// may say that it is busy, and sends the browser to itself then.
async function answerChallenge(address, decision) {
    const page = new URL(address), body = new URLSearchParams(page.searchParams);
    body.set('decision', decision);
    const action = `${page.pathname}/complete`;
    return definite(`the challenge ${page.pathname}`, async () => {
        let {location} = await ask('POST', action, {body: body.toString()});
        for (let i = 0; i < 50 && (!location || !location.startsWith(back)); i++) {
            await pause(50);
            ({location} = await ask('GET', page.pathname + page.search));
        }
        return location?.startsWith(back) ? new URL(location) : null;
    });
}

// Whether the shop is told that it has succeeded. It has not when the issuer's answer was lost with the
// network: then it was undone, and the payer may try again.
async function passChallenge(nextAction, payer) {
    payer.page = nextAction.redirect_to_url.url;
    const sent = await answerChallenge(payer.page, 'approve');
    payer.sent = sent.searchParams.get('redirect_status');
    return payer.sent === 'succeeded';
}

// One try under a key of its own: true when the payer is through. What was answered is kept, to be
// asked for again.
async function attempt(payer, address, body, secret) {
    const asked = {address, body, key: randomUUID(), secret};
    const answer = await ask('POST', address, asked);
    payer.answers.push({asked, answer});
    const told = JSON.parse(answer.text);
    if (answer.status === 402 && told.error.code === 'processing_error') return false; // undone, and said so
    if (answer.status !== 200) throw new Error(`${answer.status} ${told.error?.message}`);
    payer.intent = told.id;
    return told.status === 'requires_action' ? passChallenge(told.next_action, payer) : told.status === 'succeeded';
}

async function untilThrough(payer, tries) {
    // A try that meets a network which is not there is undone at once, so whoever tries again waits a
    // little, as a person would; for as long as any process may take to come back.
    const end = Date.now() + patienceMs;
    for (payer.tries = 1; !await tries(); payer.tries++) {
        if (Date.now() > end) throw new Error(`${payer.tries} tries were undone`);
        await pause(100);
    }
}

const typed = (number) => `payment_method_data[type]=card&payment_method_data[card][number]=${number}` +
    '&payment_method_data[card][exp_month]=12&payment_method_data[card][exp_year]=2034' +
    '&payment_method_data[card][cvc]=123&email=ada@example.com';

async function onCheckout(payer, number) {
    const session = await api('POST', '/v1/checkout/sessions', 'mode=payment&success_url=' + back +
        `&line_items[0][quantity]=1&line_items[0][price_data][currency]=usd` +
        `&line_items[0][price_data][unit_amount]=${payer.amount}` +
        `&line_items[0][price_data][product_data][name]=Tea`, `session-${payer.name}`);
    payer.session = session.id;
    await untilThrough(payer, () => attempt(payer, `/v1/payment_pages/${session.id}/confirm`,
        `${typed(number)}&return_url=${back}`, false));
}

const kinds = {
    checkout: (payer) => onCheckout(payer, '4242424242424242'),
    'checkout-3ds': (payer) => onCheckout(payer, '4000002760003184'),
    '3ds': async (payer) => {
        const {id} = await api('POST', '/v1/payment_intents', `amount=${payer.amount}&currency=usd` +
            '&payment_method_types[]=card', `pay-${payer.name}`);
        await untilThrough(payer, () => attempt(payer, `/v1/payment_intents/${id}/confirm`,
            `payment_method=pm_card_authenticationRequired&return_url=${back}`, true));
    },
};

// --- the killing -----------------------------------------------------------------------------------

const run = promisify(execFile);
let killing = true; // false: the play was broken off
let kills = 0;

async function killInTurn() {
    for (let turn = 0; killing && kills < wanted; turn++) {
        const {stdout} = await run(path.join(checkout, 'florin'), ['status', '--json'], {maxBuffer: 1 << 28});
        const there = JSON.parse(stdout).filter((a) => victims.test(a.name) && a.pid);
        const victim = there[turn % there.length];
        try {
            process.kill(victim.pid, 'SIGKILL');
            kills++;
        } catch {
            // gone already
        }
        await pause(killEveryMs);
    }
}

async function inLanes(next, work) {
    await Promise.all(Array.from({length: lanes}, async () => {
        for (let one; (one = next());) await work(one).catch((error) => failures.push(`${one.name}: ${error.message}`));
    }));
}

// --- the play --------------------------------------------------------------------------------------

async function play() {
    const gone = await Promise.all(Array.from({length: absent}, (_, i) => api('POST', '/v1/payment_intents',
        'amount=777&currency=usd&confirm=true&payment_method_types[]=card&return_url=' + back +
        '&payment_method=pm_card_authenticationRequired', `gone-${i}`)));
    const payers = [], names = Object.keys(kinds);
    const begun = Date.now();
    let done = false;
    const killer = killInTurn().finally(() => {
        done = true;
    });
    await inLanes(() => {
        if (done) return null;
        const i = payers.length, kind = names[i % names.length];
        payers.push({kind, name: `${kind}-${i}`, amount: 1000 + i, answers: []});
        return payers[i];
    }, (payer) => kinds[payer.kind](payer));
    await killer;
    const seconds = (Date.now() - begun) / 1000;

    const charges = await listed('/v1/charges');
    const tellings = async (type) => (await listed(`/v1/events?type=${type}`)).map((event) => event.data.object.id);
    const succeeded = await tellings('payment_intent.succeeded');
    const completed = await tellings('checkout.session.completed');
    const count = (list, id) => list.filter((one) => one === id).length;
    const through = payers.filter(({intent}) => intent);
    expect(`${payers.length - through.length} payers were not through`, through.length === payers.length);
    await inLanes(() => through.shift(), async (payer) => {
        const intent = await api('GET', `/v1/payment_intents/${payer.intent}`);
        expect(`${payer.name}: ${intent.id} is ${intent.status}`, intent.status === 'succeeded');
        const paid = charges.filter((charge) => charge.payment_intent === intent.id && charge.paid);
        expect(`${payer.name}: ${paid.length} charges`, paid.length === 1 && paid[0].amount === payer.amount);
        expect(`${payer.name}: told ${count(succeeded, intent.id)} times`, count(succeeded, intent.id) === 1);
        if (payer.session) {
            const session = await api('GET', `/v1/checkout/sessions/${payer.session}`);
            expect(`${payer.name}: the session is ${session.status}, ${session.payment_status}`,
                session.status === 'complete' && session.payment_status === 'paid');
            expect(`${payer.name}: its session was told ${count(completed, session.id)} times`,
                count(completed, session.id) === 1);
        }
        for (const {asked, answer} of payer.answers) {
            const again = await ask('POST', asked.address, asked);
            expect(`${payer.name}: answered ${answer.status}, then ${again.status}\n${answer.text}\n${again.text}`,
                again.status === answer.status && again.text === answer.text);
        }
        if (payer.page) {
            const sent = await answerChallenge(payer.page, 'fail');
            expect(`${payer.name}: sent back with ${payer.sent}, then ${sent.searchParams.get('redirect_status')}`,
                sent.searchParams.get('redirect_status') === payer.sent);
        }
    });
    for (const {id} of gone) {
        const intent = await definite(`${id} ends by itself`, async () => {
            const now = await api('GET', `/v1/payment_intents/${id}`);
            return now.status !== 'requires_action' && now;
        });
        expect(`${id}: ${intent.status}, ${intent.last_payment_error?.code}`, intent.status === 'requires_payment_method' &&
            intent.last_payment_error.code === 'payment_intent_authentication_failure');
    }
    const failed = await tellings('payment_intent.payment_failed');
    for (const {id} of gone) expect(`${id} was told ${count(failed, id)} times`, count(failed, id) === 1);
    expect(`${charges.filter((c) => c.paid).length} charges for ${payers.length} payers`,
        charges.filter((c) => c.paid).length === payers.length);
    for (const kind of names) {
        const of = payers.filter((payer) => payer.kind === kind).length;
        expect(`only ${of} payers of ${kind} in ${kills} kills`, of >= wanted / 2);
    }
    florin('audit', '--wait', '30');
    console.log(`${payers.length} payers in ${seconds.toFixed(1)} s, ${kills} kills, ` +
        `${payers.reduce((sum, payer) => sum + payer.tries - 1, 0)} tries undone and tried again, ` +
        `borne: ${JSON.stringify(Object.fromEntries(borne))}`);
}

try {
    fs.mkdirSync(process.env.FLORIN_HOME, {mode: 0o700});
    fs.writeFileSync(path.join(process.env.FLORIN_HOME, 'florin.conf'), `challenge_expiry_s = ${expiryS}\n`);
    florin('up', '--detach');
    for (const line of florin('env').split('\n')) {
        const found = /^(?:export )?(FLORIN_\w+)=(.*)$/.exec(line);
        if (found) process.env[found[1]] = found[2].replace(/^(['"])(.*)\1$/, '$2');
    }
    await play();
} catch (error) {
    failures.push(`${error.stack}\n${error.stdout ?? ''}${error.stderr ?? ''}`);
} finally {
    killing = false;
    if (failures.length && process.env.FLORIN_KEEP_LOGS)
        fs.cpSync(path.join(process.env.FLORIN_HOME, 'log'), process.env.FLORIN_KEEP_LOGS, {recursive: true});
    try {
        florin('down');
    } catch (error) {
        failures.push(`florin down: ${error.stderr || error.message}`);
    }
    fs.rmSync(folder, {recursive: true, force: true});
}
for (const failure of failures.slice(0, 20)) console.error(`WRONG  ${failure}`);
console.log(failures.length ? '0 passed, 1 failed' : '1 passed, 0 failed');
process.exit(failures.length ? 1 : 0);
