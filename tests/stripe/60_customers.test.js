import assert from 'node:assert/strict';
import {randomUUID} from 'node:crypto';
import {test} from 'node:test';
import {all, pay, refused, stripe, Stripe} from './helpers.js';

const address = {line1: '1 Main Street', line2: 'Flat 2', city: 'Springfield', state: 'IL', postal_code: '62701', country: 'US'};

test('a customer is created, read, changed, listed and deleted', async () => {
    const email = `${randomUUID()}@example.com`;
    const made = await stripe.customers.create({name: 'Jenny Rosen', email, phone: '+15555550123',
        description: 'A friend', address, shipping: {name: 'Jenny', address}, metadata: {tier: 'gold'}});
    assert.match(made.id, /^cus_/);
    assert.equal(made.name, 'Jenny Rosen');
    assert.deepEqual({...made.address}, address);
    assert.equal(made.shipping.address.city, 'Springfield');
    assert.equal(made.metadata.tier, 'gold');
    assert.equal(made.livemode, false);

    const changed = await stripe.customers.update(made.id, {name: 'Jenny R.', description: '', metadata: {tier: '', age: '33'}});
    assert.equal(changed.name, 'Jenny R.');
    assert.equal(changed.description, null);
    assert.deepEqual({...changed.metadata}, {age: '33'});
    assert.equal(changed.email, email);
    assert.equal((await stripe.customers.retrieve(made.id)).name, 'Jenny R.');
    assert.deepEqual((await all(stripe.customers.list({email}))).map((c) => c.id), [made.id]);

    const gone = await stripe.customers.del(made.id);
    assert.deepEqual([gone.id, gone.object, gone.deleted], [made.id, 'customer', true]);
    const read = await stripe.customers.retrieve(made.id);
    assert.equal(read.deleted, true);
    assert.deepEqual(await all(stripe.customers.list({email})), []);
    const update = await refused(stripe.customers.update(made.id, {name: 'x'}));
    assert.equal(update.code, 'resource_missing');
    const again = await refused(stripe.customers.del(made.id));
    assert.equal(again.statusCode, 404);
});

test('texts of all languages come back as they were', async () => {
    const name = 'Žofie Nováková – 山田太郎 😀 "quoted" \\ back <b>&amp;</b>\nsecond line';
    const made = await stripe.customers.create({name, metadata: {'ключ': 'значение & = + %20'}});
    assert.equal(made.name, name);
    const read = await stripe.customers.retrieve(made.id);
    assert.equal(read.name, name);
    assert.equal(read.metadata['ключ'], 'значение & = + %20');
});

test('metadata has its limits', async () => {
    const fifty = Object.fromEntries(Array.from({length: 50}, (_, i) => [`k${i}`, 'v'.repeat(500)]));
    const made = await stripe.customers.create({metadata: fifty});
    assert.equal(Object.keys(made.metadata).length, 50);
    for (const metadata of [{...fifty, one_more: 'x'}, {['k'.repeat(41)]: 'x'}, {k: 'v'.repeat(501)}]) {
        const error = await refused(stripe.customers.create({metadata}));
        assert.ok(error instanceof Stripe.errors.StripeInvalidRequestError);
    }
    const merged = await refused(stripe.customers.update(made.id, {metadata: {one_more: 'x'}}));
    assert.equal(merged.statusCode, 400);
});

test('a payment method is made, changed, attached, listed, used again and detached', async () => {
    const customer = await stripe.customers.create({});
    const made = await stripe.paymentMethods.create({
        type: 'card',
        card: {number: '5555555555554444', exp_month: 8, exp_year: 2033, cvc: '123'},
        billing_details: {name: 'Jenny', email: 'jenny@example.com', address: {postal_code: '94110'}},
    });
    assert.match(made.id, /^pm_/);
    assert.equal(made.type, 'card');
    assert.equal(made.customer, null);
    assert.equal(made.card.brand, 'mastercard');
    assert.equal(made.card.last4, '4444');
    assert.equal(made.card.exp_month, 8);
    assert.equal(made.card.exp_year, 2033);
    assert.equal(made.billing_details.address.postal_code, '94110');
    assert.ok(!JSON.stringify(made).includes('5555555555554444'));

    const attached = await stripe.paymentMethods.attach(made.id, {customer: customer.id});
    assert.equal(attached.customer, customer.id);
    const changed = await stripe.paymentMethods.update(made.id,
        {billing_details: {name: 'Jenny R.'}, card: {exp_month: 9, exp_year: 2034}, metadata: {a: 'b'}});
    assert.equal(changed.billing_details.name, 'Jenny R.');
    assert.equal(changed.card.exp_month, 9);
    assert.equal(changed.metadata.a, 'b');
    assert.equal((await stripe.paymentMethods.retrieve(made.id)).card.exp_year, 2034);

    const second = await stripe.paymentMethods.attach('pm_card_visa', {customer: customer.id});
    const listed = await all(stripe.paymentMethods.list({customer: customer.id, type: 'card'}));
    assert.deepEqual(listed.map((m) => m.id), [second.id, made.id]);

    for (let i = 0; i < 2; i++) {
        const intent = await pay(1000, {customer: customer.id, payment_method: made.id});
        assert.equal(intent.status, 'succeeded');
    }
    const detached = await stripe.paymentMethods.detach(made.id);
    assert.equal(detached.customer, null);
    const left = await all(stripe.paymentMethods.list({customer: customer.id, type: 'card'}));
    assert.deepEqual(left.map((m) => m.id), [second.id]);
    const again = await refused(stripe.paymentMethods.attach(made.id, {customer: customer.id}));
    assert.equal(again.statusCode, 400);
});

test('the same number has the same fingerprint, another has another', async () => {
    const make = (number) => stripe.paymentMethods.create({type: 'card', card: {number, exp_month: 1, exp_year: 2035, cvc: '123'}});
    const [a, b, c] = [await make('4242424242424242'), await make('4242424242424242'), await make('5555555555554444')];
    assert.notEqual(a.id, b.id);
    assert.equal(a.card.fingerprint, b.card.fingerprint);
    assert.notEqual(a.card.fingerprint, c.card.fingerprint);
});

test('each use of pm_card_visa is a method of its own', async () => {
    const [a, b] = [await pay(), await pay()];
    assert.notEqual(a.payment_method, b.payment_method);
});

test("a method of one customer does not pay for another's", async () => {
    const [owner, other] = [await stripe.customers.create({}), await stripe.customers.create({})];
    const method = await stripe.paymentMethods.attach('pm_card_visa', {customer: owner.id});
    const error = await refused(pay(1000, {customer: other.id, payment_method: method.id}));
    assert.ok(error instanceof Stripe.errors.StripeInvalidRequestError, error.message);
});
