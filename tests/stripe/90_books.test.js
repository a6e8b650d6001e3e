// After all that the tests before have done.
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import path from 'node:path';
import {test} from 'node:test';
import {promisify} from 'node:util';
import {all, checkout, fee, stripe} from './helpers.js';

test('the balance is the sum of its transactions, in each currency', async () => {
    const sums = {};
    for (const t of await all(stripe.balanceTransactions.list({limit: 100}))) {
        assert.equal(t.net, t.amount - t.fee);
        sums[t.currency] = (sums[t.currency] ?? 0) + t.net;
    }
    const balance = await stripe.balance.retrieve();
    const told = {};
    for (const part of [...balance.pending, ...balance.available])
        told[part.currency] = (told[part.currency] ?? 0) + part.amount;
    for (const currency of Object.keys(sums)) assert.equal(told[currency] ?? 0, sums[currency], currency);
    for (const currency of Object.keys(told)) assert.equal(told[currency], sums[currency] ?? 0, currency);
});

test('every charge that took money has a balance transaction for each capture, of what it took less the fee', async () => {
    const charges = await all(stripe.charges.list({limit: 100}));
    const moved = new Map();
    for (const t of await all(stripe.balanceTransactions.list({type: 'charge', limit: 100}))) {
        assert.equal(t.fee, fee(t.amount), t.id);
        moved.set(t.source, [...moved.get(t.source) ?? [], t]);
    }
    for (const charge of charges) {
        const own = moved.get(charge.id) ?? [];
        assert.equal(own.reduce((sum, t) => sum + t.amount, 0), charge.status === 'succeeded' ? charge.amount_captured : 0, charge.id);
        assert.equal(charge.balance_transaction, own[0]?.id ?? null, charge.id);
    }
});

test('every refund that was made is in the transactions', async () => {
    const byId = new Map((await all(stripe.balanceTransactions.list({type: 'refund', limit: 100}))).map((t) => [t.id, t]));
    const refunds = await all(stripe.refunds.list({limit: 100}));
    for (const refund of refunds.filter((r) => r.status === 'succeeded' && r.balance_transaction))
        assert.equal(byId.get(refund.balance_transaction)?.amount, -refund.amount, refund.id);
});

test('florin audit finds nothing', async () => {
    const {stdout} = await promisify(execFile)(path.join(checkout, 'florin'), ['audit']).catch((error) => {
        throw new Error(`florin audit: ${error.stdout}${error.stderr}`);
    });
    assert.ok(stdout.trim().split('\n').length > 3);
});

test('no process has died on the way', async () => {
    const {stdout} = await promisify(execFile)(path.join(checkout, 'florin'), ['status', '--json']);
    const died = JSON.parse(stdout).filter((process) => process.restarts > 0);
    assert.deepEqual(died.map((process) => process.name), []);
});
