#!/usr/bin/env node
// Refunds that are pending or come back later, while the workers, the ledger that leads and the
// network are killed (SIGKILL) again and again: each refund ends as its card says, once, its events
// are told once, and `florin audit` finds nothing. Starts an instance of its own and takes it down.
import {execFileSync} from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

const checkout = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const florin = (...words) => execFileSync(path.join(checkout, 'florin'), words,
    {encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28});
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const each = 20; // refunds of each kind
const ends = {pendingRefund: 'succeeded', refundFail: 'failed'};

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'florin-chaos.'));
fs.chmodSync(folder, 0o711); // Postgres runs as a user of its own, and must get to its cluster
process.env.FLORIN_HOME = path.join(folder, 'home');
process.env.FLORIN_PORT = await new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
        const {port} = server.address();
        server.close(() => resolve(String(port)));
    });
});

const failures = [];
const expect = (what, holds) => holds || failures.push(what);

// Asks until there is a definite answer, always with the same key.
async function ask(method, path, body, key) {
    for (const end = Date.now() + 60000; Date.now() < end; await pause(100)) {
        try {
            const response = await fetch(`${process.env.FLORIN_URL}${path}`, {method, body,
                signal: AbortSignal.timeout(5000), headers: {
                    Authorization: `Bearer ${process.env.FLORIN_SECRET_KEY}`,
                    'Content-Type': 'application/x-www-form-urlencoded',
                    ...(key ? {'Idempotency-Key': key} : {})}});
            if (response.status < 500 && response.status !== 409 && response.status !== 429)
                return await response.json();
        } catch {
            // killed just now
        }
    }
    throw new Error(`no definite answer: ${method} ${path}`);
}

const actors = () => JSON.parse(florin('status', '--json')).filter((a) => a.name && a.pid);

async function kill() {
    const killed = actors().filter((a) => /^(payments|ledger|network)-/.test(a.name));
    for (const {pid} of killed) {
        try {
            process.kill(pid, 'SIGKILL');
        } catch {
            // gone already
        }
    }
}

async function play() {
    const refunds = [];
    await Promise.all(Object.keys(ends).flatMap((card) => Array.from({length: each}, async (_, i) => {
        const intent = await ask('POST', '/v1/payment_intents', `amount=2000&currency=usd&confirm=true&` +
            `payment_method_types[]=card&payment_method=pm_card_${card}`, `pay-${card}-${i}`);
        const refund = await ask('POST', '/v1/refunds', `payment_intent=${intent.id}&amount=${500 + i}`,
            `refund-${card}-${i}`);
        refunds.push({card, id: refund.id, charge: intent.latest_charge, amount: 500 + i});
    })));
    for (let i = 0; i < 6; i++) {
        await kill();
        await pause(1500);
    }
    for (const end = Date.now() + 60000; ; await pause(500)) {
        const open = [];
        for (const refund of refunds) {
            refund.now = await ask('GET', `/v1/refunds/${refund.id}`);
            if (refund.now.status !== ends[refund.card]) open.push(refund);
        }
        if (open.length === 0) break;
        if (Date.now() > end) throw new Error(`${open.length} refunds did not end: ${open[0].id} is ${open[0].now.status}`);
    }
    for (const refund of refunds) {
        const charge = await ask('GET', `/v1/charges/${refund.charge}`);
        expect(`${refund.charge} has ${charge.amount_refunded} refunded`,
            charge.amount_refunded === (refund.card === 'refundFail' ? 0 : refund.amount));
    }
    for (const type of ['refund.updated', 'refund.failed']) {
        const told = new Map();
        for (let after = '', more = true; more;) {
            const page = await ask('GET', `/v1/events?type=${type}&limit=100${after}`);
            for (const event of page.data) told.set(event.data.object.id, (told.get(event.data.object.id) ?? 0) + 1);
            more = page.has_more;
            if (more) after = `&starting_after=${page.data.at(-1).id}`;
        }
        for (const refund of refunds.filter((r) => type === 'refund.updated' || r.card === 'refundFail'))
            expect(`${refund.id}: ${told.get(refund.id)} times ${type}`, told.get(refund.id) === 1);
    }
    florin('audit', '--wait', '30');
}

try {
    florin('up', '--detach');
    for (const line of florin('env').split('\n')) {
        const found = /^(?:export )?(FLORIN_\w+)=(.*)$/.exec(line);
        if (found) process.env[found[1]] = found[2].replace(/^(['"])(.*)\1$/, '$2');
    }
    await play();
} catch (error) {
    failures.push(`${error.message}\n${error.stdout ?? ''}`);
} finally {
    if (failures.length && process.env.FLORIN_KEEP_LOGS)
        fs.cpSync(path.join(process.env.FLORIN_HOME, 'log'), process.env.FLORIN_KEEP_LOGS, {recursive: true});
    try {
        florin('down');
    } catch (error) {
        failures.push(`florin down: ${error.stderr || error.message}`);
    }
    fs.rmSync(folder, {recursive: true, force: true});
}
for (const failure of failures) console.error(failure);
console.log(failures.length ? '0 passed, 1 failed' : '1 passed, 0 failed');
process.exitCode = failures.length ? 1 : 0;
