// Refunds that end later than they begin. The network takes as long as florin.conf says
// (network_refund_ms), and the worker looks every two seconds.
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import path from 'node:path';
import {test} from 'node:test';
import {promisify} from 'node:util';
import {checkout, listen, pay, refused, stripe, until} from './helpers.js';

const ends = (id, status) => until(`${id} is ${status}`, async () => {
    const refund = await stripe.refunds.retrieve(id, {expand: ['failure_balance_transaction']});
    return refund.status === status && refund;
}, 40000);

test('a refund is pending, and succeeds later', async (t) => {
    const hook = await listen(t, ['refund.created', 'refund.updated', 'refund.failed']);
    const intent = await pay(2000, {payment_method: 'pm_card_pendingRefund'});
    const refund = await stripe.refunds.create({payment_intent: intent.id, amount: 500});
    assert.equal(refund.status, 'pending');
    assert.equal(refund.pending_reason, 'processing');
    assert.equal((await stripe.charges.retrieve(intent.latest_charge)).amount_refunded, 500);
    await ends(refund.id, 'succeeded');
    const told = await hook.next('refund.updated', (d) => d.event.type === 'refund.updated' && d.event.data.object.id === refund.id);
    assert.equal(told.event.data.object.status, 'succeeded');
    assert.equal(told.event.data.previous_attributes.status, 'pending');
    assert.equal(told.event.request?.id ?? null, null);
    assert.equal((await refused(stripe.refunds.cancel(refund.id))).statusCode, 400);
});

test('a refund succeeds, and comes back later', async (t) => {
    const hook = await listen(t, ['refund.failed', 'charge.refund.updated']);
    const charge = await stripe.charges.create({amount: 2000, currency: 'usd', source: 'tok_refundFail'});
    const refund = await stripe.refunds.create({charge: charge.id});
    assert.equal(refund.status, 'succeeded');
    assert.equal((await stripe.charges.retrieve(charge.id)).refunded, true);
    const failed = await ends(refund.id, 'failed');
    assert.equal(failed.failure_reason, 'expired_or_canceled_card');
    assert.equal(failed.failure_balance_transaction.type, 'refund_failure');
    assert.equal(failed.failure_balance_transaction.amount, 2000);
    await hook.next('refund.failed', (d) => d.event.type === 'refund.failed' && d.event.data.object.id === refund.id);
    const after = await stripe.charges.retrieve(charge.id);
    assert.equal(after.refunded, false);
    assert.equal(after.amount_refunded, 0);
});

test('a pending refund is canceled, another expires', async () => {
    const intent = await pay(2000, {payment_method: 'pm_card_pendingRefund'});
    const [first, second] = [await stripe.refunds.create({payment_intent: intent.id, amount: 500}),
        await stripe.refunds.create({payment_intent: intent.id, amount: 700})];
    const canceled = await stripe.refunds.cancel(first.id);
    assert.equal(canceled.status, 'canceled');
    assert.equal(canceled.failure_reason, 'merchant_request');
    const expired = await stripe.testHelpers.refunds.expire(second.id);
    assert.equal(expired.status, 'failed');
    assert.equal((await stripe.charges.retrieve(intent.latest_charge)).amount_refunded, 0);
    assert.equal((await refused(stripe.refunds.cancel(first.id))).statusCode, 400);
    assert.equal((await stripe.refunds.create({payment_intent: intent.id})).amount, 2000);
    assert.equal((await refused(stripe.refunds.cancel('re_nothing'))).statusCode, 404);
});

test('what was canceled while it was asked twice at the same moment came back once', async () => {
    const intent = await pay(2000, {payment_method: 'pm_card_pendingRefund'});
    const refund = await stripe.refunds.create({payment_intent: intent.id});
    const answers = await Promise.allSettled(Array.from({length: 5}, () => stripe.refunds.cancel(refund.id)));
    assert.equal(answers.filter((a) => a.status === 'fulfilled').length, 1);
    assert.equal((await stripe.charges.retrieve(intent.latest_charge)).amount_refunded, 0);
});

test('an ordinary refund is final', async () => {
    const intent = await pay(500);
    const refund = await stripe.refunds.create({payment_intent: intent.id});
    assert.equal((await refused(stripe.refunds.cancel(refund.id))).statusCode, 400);
    assert.equal((await refused(stripe.testHelpers.refunds.expire(refund.id))).statusCode, 400);
});

test('the books agree with the network after all that', async () => {
    await promisify(execFile)(path.join(checkout, 'florin'), ['audit', '--wait', '30']).catch((error) => {
        throw new Error(`florin audit: ${error.stdout}${error.stderr}`);
    });
});
