import assert from 'node:assert/strict';
import {randomUUID} from 'node:crypto';
import {test} from 'node:test';
import {all, card, client, pay, raw, refused, secretKey, stripe, Stripe} from './helpers.js';

test('a repeated key gets the same object, and says so', async () => {
    const idempotencyKey = randomUUID();
    const first = await pay(2100, {}, {idempotencyKey});
    const second = await pay(2100, {}, {idempotencyKey});
    assert.equal(second.id, first.id);
    assert.deepEqual(JSON.parse(JSON.stringify(second)), JSON.parse(JSON.stringify(first)));
    assert.equal(first.lastResponse.headers['idempotent-replayed'], undefined);
    assert.equal(second.lastResponse.headers['idempotent-replayed'], 'true');
    assert.equal(second.lastResponse.headers['original-request'], first.lastResponse.requestId);
    assert.notEqual(second.lastResponse.requestId, first.lastResponse.requestId);
    assert.equal(second.lastResponse.headers['idempotency-key'], idempotencyKey);
});

test('the answer stays what it was when the object has changed since', async () => {
    const idempotencyKey = randomUUID();
    const first = await stripe.customers.create({name: 'Before'}, {idempotencyKey});
    await stripe.customers.update(first.id, {name: 'After'});
    const again = await stripe.customers.create({name: 'Before'}, {idempotencyKey});
    assert.equal(again.id, first.id);
    assert.equal(again.name, 'Before');
});

test('a key with other parameters is a conflict', async () => {
    const idempotencyKey = randomUUID();
    await pay(2100, {}, {idempotencyKey});
    const error = await refused(pay(2200, {}, {idempotencyKey}));
    assert.ok(error instanceof Stripe.errors.StripeIdempotencyError, error.type);
    assert.equal(error.statusCode, 400);
    assert.ok(error.message.includes(idempotencyKey));
});

test('a key on another path is a conflict', async () => {
    const idempotencyKey = randomUUID();
    await stripe.customers.create({name: 'x'}, {idempotencyKey});
    const error = await refused(stripe.refunds.create({charge: 'ch_x'}, {idempotencyKey}));
    assert.ok(error instanceof Stripe.errors.StripeIdempotencyError, `${error.type}: ${error.message}`);
});

test('the order of the parameters does not make another request', async () => {
    const headers = {'Idempotency-Key': randomUUID()};
    const first = await raw('POST', '/v1/customers', {body: 'name=A&metadata[x]=1&metadata[y]=2', headers});
    const second = await raw('POST', '/v1/customers',
        {body: 'metadata%5By%5D=2&name=%41&metadata[x]=1', headers});
    assert.equal(second.text, first.text);
    assert.equal(second.headers.get('idempotent-replayed'), 'true');
});

test('a decline is replayed as the same decline', async () => {
    const idempotencyKey = randomUUID();
    const more = {payment_method: 'pm_card_visa_chargeDeclined'};
    const first = await refused(pay(2300, more, {idempotencyKey}));
    const second = await refused(pay(2300, more, {idempotencyKey}));
    assert.ok(second instanceof Stripe.errors.StripeCardError);
    assert.equal(second.payment_intent.id, first.payment_intent.id);
    assert.equal(second.charge, first.charge);
    assert.equal(second.headers['idempotent-replayed'], 'true');
    assert.equal((await all(stripe.charges.list({payment_intent: first.payment_intent.id}))).length, 1);
});

test('a refusal of the parameters leaves the key free', async () => {
    const idempotencyKey = randomUUID();
    const error = await refused(stripe.paymentIntents.create({currency: 'usd'}, {idempotencyKey}));
    assert.equal(error.code, 'parameter_missing');
    const intent = await pay(2400, {}, {idempotencyKey});
    assert.equal(intent.status, 'succeeded');
});

test('captures, cancellations and refunds are done once for one key', async () => {
    const held = await pay(3000, {capture_method: 'manual'});
    const capture = randomUUID();
    const a = await stripe.paymentIntents.capture(held.id, {amount_to_capture: 2000}, {idempotencyKey: capture});
    const b = await stripe.paymentIntents.capture(held.id, {amount_to_capture: 2000}, {idempotencyKey: capture});
    assert.equal(b.amount_received, a.amount_received);
    const refund = randomUUID();
    const first = await stripe.refunds.create({payment_intent: held.id, amount: 500}, {idempotencyKey: refund});
    const second = await stripe.refunds.create({payment_intent: held.id, amount: 500}, {idempotencyKey: refund});
    assert.equal(second.id, first.id);
    const charge = await stripe.charges.retrieve(held.latest_charge);
    assert.equal(charge.amount_refunded - 1000, 500); // 1000 were released by the capture
});

test('an empty key and one that is too long are refused', async () => {
    const body = 'name=x';
    const empty = await raw('POST', '/v1/customers', {body, headers: {'Idempotency-Key': ''}});
    assert.equal(empty.status, 400);
    const long = await raw('POST', '/v1/customers', {body, headers: {'Idempotency-Key': 'k'.repeat(256)}});
    assert.equal(long.status, 400);
    const longest = await raw('POST', '/v1/customers', {body, headers: {'Idempotency-Key': `${randomUUID()}${'k'.repeat(219)}`}});
    assert.equal(longest.status, 200);
});

// One UUID in some thousands has such digits; the library makes one for each request.
test('a UUID that happens to hold the digits of a card number is a good key', async () => {
    for (const uuid of ['7d356997-6561-4063-96bc-36720891d143', '2b673667-3641-4030-94db-edda7f053eea',
        'eec3701b-a1ba-4118-8616-07834047c726', 'b507d914-6a97-4233-8671-18034555fd60']) {
        const idempotencyKey = `stripe-node-retry-${uuid}`;
        const customer = await stripe.customers.create({name: uuid}, {idempotencyKey});
        assert.equal(customer.name, uuid);
    }
});

test('a hundred at once with one key are one charge', async () => {
    const idempotencyKey = randomUUID();
    const patient = client(secretKey, {maxNetworkRetries: 10, timeout: 20000});
    const customer = await stripe.customers.create({name: 'One of a hundred'});
    const params = {amount: 2500, currency: 'usd', confirm: true, payment_method: 'pm_card_visa',
        customer: customer.id, ...card};
    const answers = await Promise.all(Array.from({length: 100},
        () => patient.paymentIntents.create(params, {idempotencyKey})));
    assert.deepEqual([...new Set(answers.map((i) => i.id))], [answers[0].id]);
    assert.deepEqual([...new Set(answers.map((i) => i.status))], ['succeeded']);
    const intents = await all(stripe.paymentIntents.list({customer: customer.id}));
    assert.equal(intents.length, 1);
    const charges = await all(stripe.charges.list({customer: customer.id}));
    assert.equal(charges.length, 1);
    assert.equal(charges[0].amount, 2500);
});

test('a hundred at once without retries are one charge and otherwise "in use" or the same answer', async () => {
    const headers = {'Idempotency-Key': randomUUID()};
    const customer = await stripe.customers.create({});
    const body = `amount=2600&currency=usd&confirm=true&payment_method=pm_card_visa&customer=${customer.id}` +
        '&payment_method_types[]=card';
    const answers = await Promise.all(Array.from({length: 100}, () => raw('POST', '/v1/payment_intents', {body, headers})));
    for (const answer of answers) {
        assert.ok([200, 409].includes(answer.status), answer.text);
        if (answer.status === 409) assert.equal(answer.json.error.code, 'idempotency_key_in_use');
    }
    const bodies = new Set(answers.filter((a) => a.status === 200).map((a) => a.text));
    assert.equal(bodies.size, 1);
    assert.equal((await all(stripe.charges.list({customer: customer.id}))).length, 1);
});
