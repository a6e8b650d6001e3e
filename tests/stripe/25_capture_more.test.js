import assert from 'node:assert/strict';
import {test} from 'node:test';
import {all, fee, pay, refused, stripe, Stripe} from './helpers.js';

const flexible = {
    capture_method: 'manual',
    payment_method_options: {card: {request_multicapture: 'if_available', request_incremental_authorization: 'if_available'}},
};
const told = async (intent) => {
    const {data} = await stripe.events.list({limit: 100});
    return data.filter((e) => [intent.id, intent.latest_charge].includes(e.data.object.id)).map((e) => e.type).reverse();
};

test('a hold is incremented, then captured with what was added', async () => {
    const held = await pay(1000, flexible);
    assert.equal(held.status, 'requires_capture');
    assert.equal(held.payment_method_options.card.request_incremental_authorization, 'if_available');
    const more = await stripe.paymentIntents.incrementAuthorization(held.id,
        {amount: 1500, description: 'a second night', metadata: {nights: '2'}, expand: ['latest_charge']});
    assert.equal(more.amount, 1500);
    assert.equal(more.amount_capturable, 1500);
    assert.equal(more.description, 'a second night');
    assert.equal(more.metadata.nights, '2');
    assert.equal(more.latest_charge.amount, 1500);
    const card = more.latest_charge.payment_method_details.card;
    assert.equal(card.amount_authorized, 1500);
    assert.equal(card.incremental_authorization.status, 'available');
    assert.ok(card.capture_before > more.created + 6 * 86400);
    const done = await stripe.paymentIntents.capture(held.id);
    assert.equal(done.status, 'succeeded');
    assert.equal(done.amount_received, 1500);
    const types = await told(done);
    assert.deepEqual(types.filter((t) => t === 'payment_intent.amount_capturable_updated').length, 2);
    const refund = await stripe.refunds.create({payment_intent: held.id});
    assert.equal(refund.amount, 1500);
});

test('an increment with a key is made once', async () => {
    const held = await pay(1000, flexible);
    const key = `increment-${held.id}`;
    const answers = [];
    for (let i = 0; i < 3; i++)
        answers.push(await stripe.paymentIntents.incrementAuthorization(held.id, {amount: 1500}, {idempotencyKey: key}));
    assert.deepEqual(answers.map((a) => a.amount), [1500, 1500, 1500]);
    const again = await refused(stripe.paymentIntents.incrementAuthorization(held.id, {amount: 1500}));
    assert.equal(again.param, 'amount');
    await stripe.paymentIntents.cancel(held.id);
});

test('an increment that makes no sense is refused', async () => {
    const plain = await pay(1000, {capture_method: 'manual'});
    const unasked = await refused(stripe.paymentIntents.incrementAuthorization(plain.id, {amount: 1500}));
    assert.ok(unasked instanceof Stripe.errors.StripeInvalidRequestError);
    assert.match(unasked.message, /incremental/);
    await stripe.paymentIntents.cancel(plain.id);
    const gone = await refused(stripe.paymentIntents.incrementAuthorization(plain.id, {amount: 1500}));
    assert.equal(gone.code, 'payment_intent_unexpected_state');
    const paid = await pay(1000);
    assert.equal((await refused(stripe.paymentIntents.incrementAuthorization(paid.id, {amount: 1500}))).code,
        'payment_intent_unexpected_state');
});

test('a payment is captured in parts, each with a movement of the balance', async () => {
    const held = await pay(3000, flexible);
    const first = await stripe.paymentIntents.capture(held.id, {amount_to_capture: 1000, final_capture: false});
    assert.equal(first.status, 'requires_capture');
    assert.equal(first.amount_received, 1000);
    assert.equal(first.amount_capturable, 2000);
    const second = await stripe.paymentIntents.capture(held.id, {amount_to_capture: 500, final_capture: false});
    assert.equal(second.amount_received, 1500);
    assert.equal((await refused(stripe.paymentIntents.cancel(held.id))).code, 'payment_intent_unexpected_state');
    assert.equal((await refused(stripe.paymentIntents.capture(held.id, {amount_to_capture: 1501}))).code, 'amount_too_large');
    assert.equal((await refused(stripe.refunds.create({payment_intent: held.id, amount: 100}))).statusCode, 400);
    const last = await stripe.paymentIntents.capture(held.id, {amount_to_capture: 700, expand: ['latest_charge']});
    assert.equal(last.status, 'succeeded');
    assert.equal(last.amount_received, 2200);
    assert.equal(last.latest_charge.amount_captured, 2200);
    assert.equal(last.latest_charge.amount_refunded, 800);
    assert.equal(last.latest_charge.captured, true);
    const moved = await all(stripe.balanceTransactions.list({source: held.latest_charge}));
    assert.deepEqual(moved.map((t) => t.amount), [700, 500, 1000]);
    assert.deepEqual(moved.map((t) => t.fee), [fee(700), fee(500), fee(1000)]);
    const refund = await stripe.refunds.create({payment_intent: held.id});
    assert.equal(refund.amount, 2200);
});

test('what parts have left is released by a capture of nothing', async () => {
    const held = await pay(3000, flexible);
    assert.equal((await refused(stripe.paymentIntents.capture(held.id, {amount_to_capture: 0}))).param, 'amount_to_capture');
    await stripe.paymentIntents.capture(held.id, {amount_to_capture: 1000, final_capture: false});
    const done = await stripe.paymentIntents.capture(held.id, {amount_to_capture: 0});
    assert.equal(done.status, 'succeeded');
    assert.equal(done.amount_received, 1000);
    assert.equal(done.amount_capturable, 0);
});

test('parts have to be asked for before', async () => {
    const held = await pay(3000, {capture_method: 'manual'});
    const error = await refused(stripe.paymentIntents.capture(held.id, {amount_to_capture: 1000, final_capture: false}));
    assert.equal(error.param, 'final_capture');
    await stripe.paymentIntents.cancel(held.id);
});

test('what is only for other methods than cards is refused in words', async () => {
    const intent = await stripe.paymentIntents.create({amount: 1000, currency: 'usd', payment_method_types: ['card'],
        excluded_payment_method_types: ['klarna'], transfer_group: 'group_1', receipt_email: 'a@example.com'});
    assert.deepEqual(intent.excluded_payment_method_types, ['klarna']);
    assert.equal(intent.transfer_group, 'group_1');
    assert.equal((await refused(stripe.paymentIntents.applyCustomerBalance(intent.id))).statusCode, 400);
    assert.equal((await refused(stripe.paymentIntents.verifyMicrodeposits(intent.id, {amounts: [32, 45]}))).statusCode, 400);
    const items = await stripe.paymentIntents.listAmountDetailsLineItems(intent.id);
    assert.deepEqual(items.data, []);
    const none = await refused(stripe.paymentIntents.create({amount: 1000, currency: 'usd', excluded_payment_method_types: ['card']}));
    assert.equal(none.param, 'excluded_payment_method_types');
    const digits = await refused(stripe.paymentIntents.create({amount: 1000, currency: 'usd', statement_descriptor_suffix: '123'}));
    assert.equal(digits.param, 'statement_descriptor_suffix');
});

test('a payment that was confirmed too often is canceled', async () => {
    const intent = await stripe.paymentIntents.create({amount: 1000, currency: 'usd', payment_method_types: ['card']});
    let error;
    for (let i = 0; i < 50; i++)
        error = await refused(stripe.paymentIntents.confirm(intent.id, {payment_method: 'pm_card_visa_chargeDeclined'}));
    assert.equal(error.payment_intent.status, 'canceled');
    assert.equal(error.payment_intent.cancellation_reason, 'automatic');
    const after = await refused(stripe.paymentIntents.confirm(intent.id, {payment_method: 'pm_card_visa'}));
    assert.equal(after.code, 'payment_intent_unexpected_state');
});
