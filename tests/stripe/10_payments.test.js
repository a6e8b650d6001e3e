import assert from 'node:assert/strict';
import {test} from 'node:test';
import {all, card, fee, pay, raw, refused, stripe, Stripe, url} from './helpers.js';

test('a payment is created and confirmed in one call', async () => {
    const intent = await pay(2000, {description: 'socks', metadata: {order: '7'}});
    assert.match(intent.id, /^pi_[0-9A-Za-z]{24}$/);
    assert.equal(intent.object, 'payment_intent');
    assert.equal(intent.status, 'succeeded');
    assert.equal(intent.amount, 2000);
    assert.equal(intent.amount_received, 2000);
    assert.equal(intent.amount_capturable, 0);
    assert.equal(intent.currency, 'usd');
    assert.equal(intent.livemode, false);
    assert.deepEqual({...intent.metadata}, {order: '7'});
    assert.ok(intent.client_secret.startsWith(`${intent.id}_secret_`));
    assert.ok(Math.abs(intent.created - Date.now() / 1000) < 60);
    assert.match(intent.lastResponse.requestId, /^req_/);

    const charge = await stripe.charges.retrieve(intent.latest_charge, {expand: ['balance_transaction']});
    assert.equal(charge.status, 'succeeded');
    assert.equal(charge.paid, true);
    assert.equal(charge.captured, true);
    assert.equal(charge.refunded, false);
    assert.equal(charge.amount, 2000);
    assert.equal(charge.amount_captured, 2000);
    assert.equal(charge.payment_intent, intent.id);
    assert.equal(charge.payment_method_details.card.brand, 'visa');
    assert.equal(charge.payment_method_details.card.last4, '4242');
    assert.equal(charge.outcome.type, 'authorized');
    assert.equal(charge.balance_transaction.amount, 2000);
    assert.equal(charge.balance_transaction.fee, 88);
    assert.equal(charge.balance_transaction.net, 1912);
    assert.equal(charge.balance_transaction.type, 'charge');
    assert.equal(charge.balance_transaction.status, 'pending');
    assert.equal(charge.balance_transaction.source, charge.id);
    assert.equal(charge.balance_transaction.fee_details[0].amount, 88);
});

test('a payment goes from step to step: create, give a card, confirm', async () => {
    let intent = await stripe.paymentIntents.create({amount: 1099, currency: 'eur', ...card});
    assert.equal(intent.status, 'requires_payment_method');
    assert.equal(intent.payment_method, null);
    intent = await stripe.paymentIntents.update(intent.id, {payment_method: 'pm_card_mastercard', amount: 1200});
    assert.equal(intent.status, 'requires_confirmation');
    assert.equal(intent.amount, 1200);
    assert.match(intent.payment_method, /^pm_/);
    intent = await stripe.paymentIntents.confirm(intent.id);
    assert.equal(intent.status, 'succeeded');
    assert.equal(intent.amount_received, 1200);
    assert.equal((await stripe.paymentIntents.retrieve(intent.id)).status, 'succeeded');
});

test('a card can be given with the confirmation', async () => {
    const intent = await stripe.paymentIntents.create({amount: 500, currency: 'usd', ...card});
    const confirmed = await stripe.paymentIntents.confirm(intent.id, {payment_method: 'pm_card_amex'});
    assert.equal(confirmed.status, 'succeeded');
});

test('a card typed in by hand pays', async () => {
    const method = await stripe.paymentMethods.create({
        type: 'card',
        card: {number: '4242424242424242', exp_month: 12, exp_year: 2034, cvc: '123'},
    });
    assert.equal(method.card.last4, '4242');
    const intent = await pay(700, {payment_method: method.id});
    assert.equal(intent.status, 'succeeded');
});

test('a manual payment is held, then captured in part: the rest is released', async () => {
    const held = await pay(5000, {capture_method: 'manual'});
    assert.equal(held.status, 'requires_capture');
    assert.equal(held.amount_capturable, 5000);
    assert.equal(held.amount_received, 0);
    const before = await stripe.charges.retrieve(held.latest_charge);
    assert.equal(before.captured, false);
    assert.equal(before.paid, true);
    assert.equal(before.balance_transaction, null);

    const captured = await stripe.paymentIntents.capture(held.id, {amount_to_capture: 3000});
    assert.equal(captured.status, 'succeeded');
    assert.equal(captured.amount, 5000);
    assert.equal(captured.amount_received, 3000);
    assert.equal(captured.amount_capturable, 0);
    const after = await stripe.charges.retrieve(held.latest_charge, {expand: ['balance_transaction']});
    assert.equal(after.captured, true);
    assert.equal(after.amount_captured, 3000);
    assert.equal(after.amount_refunded, 2000);
    assert.equal(after.balance_transaction.amount, 3000);
    assert.equal(after.balance_transaction.fee, fee(3000));
});

test('a manual payment is captured in full, by its charge too', async () => {
    const held = await pay(1500, {capture_method: 'manual'});
    const captured = await stripe.paymentIntents.capture(held.id);
    assert.equal(captured.amount_received, 1500);

    const other = await pay(1600, {capture_method: 'manual'});
    const charge = await stripe.charges.capture(other.latest_charge);
    assert.equal(charge.captured, true);
    assert.equal((await stripe.paymentIntents.retrieve(other.id)).status, 'succeeded');
});

test('more than was held cannot be captured, and nothing twice', async () => {
    const held = await pay(1000, {capture_method: 'manual'});
    const tooMuch = await refused(stripe.paymentIntents.capture(held.id, {amount_to_capture: 1001}));
    assert.ok(tooMuch instanceof Stripe.errors.StripeInvalidRequestError);
    assert.equal((await stripe.paymentIntents.retrieve(held.id)).status, 'requires_capture');
    await stripe.paymentIntents.capture(held.id);
    const again = await refused(stripe.paymentIntents.capture(held.id));
    assert.equal(again.code, 'payment_intent_unexpected_state');
    assert.equal(again.statusCode, 400);
    assert.equal(again.payment_intent.id, held.id);
    assert.match(again.message, /could not be captured because it has a status of succeeded/);
});

test('a payment is canceled before it is confirmed', async () => {
    const intent = await stripe.paymentIntents.create({amount: 800, currency: 'usd', ...card});
    const canceled = await stripe.paymentIntents.cancel(intent.id, {cancellation_reason: 'abandoned'});
    assert.equal(canceled.status, 'canceled');
    assert.equal(canceled.cancellation_reason, 'abandoned');
    assert.ok(canceled.canceled_at >= intent.created);
    const again = await refused(stripe.paymentIntents.cancel(intent.id));
    assert.equal(again.code, 'payment_intent_unexpected_state');
    const confirm = await refused(stripe.paymentIntents.confirm(intent.id, {payment_method: 'pm_card_visa'}));
    assert.equal(confirm.code, 'payment_intent_unexpected_state');
});

test('a held payment is canceled and the hold goes back', async () => {
    const held = await pay(900, {capture_method: 'manual'});
    const canceled = await stripe.paymentIntents.cancel(held.id);
    assert.equal(canceled.status, 'canceled');
    assert.equal(canceled.amount_capturable, 0);
    const charge = await stripe.charges.retrieve(held.latest_charge);
    assert.equal(charge.captured, false);
    assert.equal(charge.amount_refunded, 900);
    assert.equal(charge.refunded, true);
});

test('a payment that succeeded is neither confirmed nor canceled', async () => {
    const intent = await pay();
    const confirm = await refused(stripe.paymentIntents.confirm(intent.id));
    assert.equal(confirm.code, 'payment_intent_unexpected_state');
    const cancel = await refused(stripe.paymentIntents.cancel(intent.id));
    assert.equal(cancel.code, 'payment_intent_unexpected_state');
    assert.match(cancel.message, /status of succeeded/);
});

test('a payment without a card cannot be confirmed', async () => {
    const intent = await stripe.paymentIntents.create({amount: 800, currency: 'usd', ...card});
    const error = await refused(stripe.paymentIntents.confirm(intent.id));
    assert.ok(error instanceof Stripe.errors.StripeInvalidRequestError);
    assert.match(error.message, /missing a payment method/);
});

test('payments are listed newest first, and by their customer', async () => {
    const customer = await stripe.customers.create({name: 'A lister'});
    const intents = [];
    for (const amount of [501, 502, 503]) intents.push(await pay(amount, {customer: customer.id}));
    const listed = await stripe.paymentIntents.list({customer: customer.id});
    assert.equal(listed.object, 'list');
    assert.equal(listed.has_more, false);
    assert.equal(listed.url, '/v1/payment_intents');
    assert.deepEqual(listed.data.map((i) => i.id), intents.map((i) => i.id).reverse());
    const charges = await stripe.charges.list({payment_intent: intents[1].id});
    assert.deepEqual(charges.data.map((c) => c.id), [intents[1].latest_charge]);
    const since = await stripe.paymentIntents.list({customer: customer.id, created: {gte: intents[0].created}});
    assert.equal(since.data.length, 3);
    const before = await stripe.paymentIntents.list({customer: customer.id, created: {lt: intents[0].created}});
    assert.equal(before.data.length, 0);
});

test('a charge takes a description and metadata later', async () => {
    const intent = await pay();
    const charge = await stripe.charges.update(intent.latest_charge,
        {description: 'later', metadata: {a: '1', b: '2'}});
    assert.equal(charge.description, 'later');
    const changed = await stripe.charges.update(charge.id, {metadata: {a: '', c: '3'}});
    assert.deepEqual({...changed.metadata}, {b: '2', c: '3'});
    const cleared = await stripe.charges.update(charge.id, {metadata: ''});
    assert.deepEqual({...cleared.metadata}, {});
});

test('a method without a customer pays once', async () => {
    const method = await stripe.paymentMethods.create({type: 'card', card: {token: 'tok_visa'}})
        .catch(() => stripe.paymentMethods.create(
            {type: 'card', card: {number: '4242424242424242', exp_month: 12, exp_year: 2034, cvc: '123'}}));
    await pay(600, {payment_method: method.id});
    const again = await refused(pay(600, {payment_method: method.id}));
    assert.ok(again instanceof Stripe.errors.StripeInvalidRequestError);
    assert.match(again.message, /may not be used again|previously used/);
});

test('currencies without minor units, and with other minima, are paid', async () => {
    assert.equal((await pay(500, {currency: 'jpy'})).amount, 500);
    assert.equal((await pay(30, {currency: 'gbp'})).amount, 30);
    assert.equal((await pay(1000, {currency: 'EUR'})).currency, 'eur');
});

test('answers are laid out as Stripe lays them out, under the headers that it sends', async () => {
    const answer = await raw('POST', '/v1/payment_intents',
        {body: 'amount=777&currency=usd', headers: {'Idempotency-Key': `layout-${process.pid}`}});
    assert.equal(answer.status, 200);
    assert.match(answer.text, /^\{\n {2}"id": "pi_/);
    assert.match(answer.headers.get('content-type'), /^application\/json/);
    assert.match(answer.headers.get('request-id'), /^req_/);
    assert.equal(answer.headers.get('idempotency-key'), `layout-${process.pid}`);
    assert.ok(answer.headers.get('stripe-version'));
});

test('Basic authentication with the key as user name is as good as Bearer', async () => {
    const basic = Buffer.from(`${process.env.FLORIN_SECRET_KEY}:`).toString('base64');
    const answer = await raw('GET', '/v1/balance', {headers: {Authorization: `Basic ${basic}`}});
    assert.equal(answer.status, 200);
    assert.equal(answer.json.object, 'balance');
    assert.ok(url.port);
});

test('each balance transaction can be read and listed', async () => {
    const intent = await pay(4321);
    const charge = await stripe.charges.retrieve(intent.latest_charge);
    const one = await stripe.balanceTransactions.retrieve(charge.balance_transaction);
    assert.equal(one.amount, 4321);
    assert.equal(one.net, 4321 - fee(4321));
    const ofSource = await all(stripe.balanceTransactions.list({source: charge.id}));
    assert.deepEqual(ofSource.map((t) => t.id), [one.id]);
    const newest = await stripe.balanceTransactions.list({limit: 1, type: 'charge'});
    assert.equal(newest.data[0].id, one.id);
});
