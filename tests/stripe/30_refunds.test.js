import assert from 'node:assert/strict';
import {test} from 'node:test';
import {all, pay, refused, stripe, Stripe} from './helpers.js';

test('a payment is refunded in part, then the rest', async () => {
    const intent = await pay(2000);
    const first = await stripe.refunds.create({payment_intent: intent.id, amount: 700,
        reason: 'requested_by_customer', metadata: {why: 'one sock'}});
    assert.match(first.id, /^re_/);
    assert.equal(first.status, 'succeeded');
    assert.equal(first.amount, 700);
    assert.equal(first.charge, intent.latest_charge);
    assert.equal(first.payment_intent, intent.id);
    assert.equal(first.reason, 'requested_by_customer');
    let charge = await stripe.charges.retrieve(intent.latest_charge);
    assert.equal(charge.amount_refunded, 700);
    assert.equal(charge.refunded, false);

    const rest = await stripe.refunds.create({charge: intent.latest_charge});
    assert.equal(rest.amount, 1300);
    charge = await stripe.charges.retrieve(intent.latest_charge);
    assert.equal(charge.amount_refunded, 2000);
    assert.equal(charge.refunded, true);

    const listed = await all(stripe.refunds.list({payment_intent: intent.id}));
    assert.deepEqual(listed.map((r) => r.id), [rest.id, first.id]);
});

test('a payment is refunded in full; the fee is not given back', async () => {
    const intent = await pay(2000);
    const refund = await stripe.refunds.create({payment_intent: intent.id});
    assert.equal(refund.amount, 2000);
    const moved = await stripe.balanceTransactions.retrieve(refund.balance_transaction);
    assert.equal(moved.type, 'refund');
    assert.equal(moved.amount, -2000);
    assert.equal(moved.fee, 0);
    assert.equal(moved.net, -2000);
    assert.equal(moved.source, refund.id);
    const again = await refused(stripe.refunds.create({payment_intent: intent.id}));
    assert.ok(again instanceof Stripe.errors.StripeInvalidRequestError);
    assert.equal(again.code, 'charge_already_refunded');
    assert.match(again.message, new RegExp(`Charge ${intent.latest_charge} has already been refunded`));
});

test('more than was paid is not refunded', async () => {
    const intent = await pay(1000);
    const more = await refused(stripe.refunds.create({payment_intent: intent.id, amount: 1001}));
    assert.equal(more.statusCode, 400);
    assert.equal(more.param, 'amount');
    assert.match(more.message, /\(\$10\.01\) is greater than .*\(\$10\.00\)/);
    await stripe.refunds.create({payment_intent: intent.id, amount: 300});
    const rest = await refused(stripe.refunds.create({payment_intent: intent.id, amount: 701}));
    assert.match(rest.message, /\(\$7\.01\) is greater than .*\(\$7\.00\)/);
    assert.equal((await stripe.charges.retrieve(intent.latest_charge)).amount_refunded, 300);
});

test('refunds at the same moment never add up to more than was paid', async () => {
    const intent = await pay(1000);
    const answers = await Promise.allSettled(Array.from({length: 10},
        () => stripe.refunds.create({payment_intent: intent.id, amount: 300})));
    const done = answers.filter((a) => a.status === 'fulfilled');
    assert.equal(done.length, 3);
    const charge = await stripe.charges.retrieve(intent.latest_charge);
    assert.equal(charge.amount_refunded, 900);
});

test('what was not captured is not refunded', async () => {
    const held = await pay(1000, {capture_method: 'manual'});
    const error = await refused(stripe.refunds.create({charge: held.latest_charge, amount: 100}));
    assert.equal(error.statusCode, 400);
    await stripe.paymentIntents.cancel(held.id);
});

test('a payment that was not made is not refunded', async () => {
    const intent = await stripe.paymentIntents.create({amount: 1000, currency: 'usd', payment_method_types: ['card']});
    const error = await refused(stripe.refunds.create({payment_intent: intent.id}));
    assert.ok(error instanceof Stripe.errors.StripeInvalidRequestError);
    const missing = await refused(stripe.refunds.create({payment_intent: 'pi_missing'}));
    assert.equal(missing.code, 'resource_missing');
});

test('a refund can be read and takes metadata', async () => {
    const intent = await pay(1000);
    const refund = await stripe.refunds.create({payment_intent: intent.id, amount: 100});
    const updated = await stripe.refunds.update(refund.id, {metadata: {ticket: '12'}});
    assert.equal(updated.metadata.ticket, '12');
    const read = await stripe.refunds.retrieve(refund.id, {expand: ['charge', 'balance_transaction']});
    assert.equal(read.metadata.ticket, '12');
    assert.equal(read.charge.id, intent.latest_charge);
    assert.equal(read.balance_transaction.amount, -100);
});
