import assert from 'node:assert/strict';
import {randomUUID} from 'node:crypto';
import {test} from 'node:test';
import {all, inParallel, pay, raw, refused, stripe, Stripe} from './helpers.js';

const email = `${randomUUID()}@example.com`;
const count = 250;

test('250 objects are read by auto-pagination, each once, newest first', async () => {
    const made = await inParallel(count, 16, (i) => stripe.customers.create({email, name: `Number ${i}`}));
    for (const limit of [7, 100]) {
        const ids = (await all(stripe.customers.list({email, limit}))).map((c) => c.id);
        assert.equal(ids.length, count);
        assert.equal(new Set(ids).size, count);
        assert.deepEqual([...ids].sort(), made.map((c) => c.id).sort());
        assert.deepEqual(ids, [...ids].sort().reverse());
    }
    const some = await stripe.customers.list({email}).autoPagingToArray({limit: 120});
    assert.equal(some.length, 120);
});

test('payments are read by auto-pagination too, with what is expanded in them', async () => {
    const customer = await stripe.customers.create({});
    const made = await inParallel(25, 8, (i) => pay(1000 + i, {customer: customer.id}));
    const read = await all(stripe.paymentIntents.list({customer: customer.id, limit: 10,
        expand: ['data.latest_charge.balance_transaction']}));
    assert.equal(read.length, made.length);
    for (const intent of read) assert.equal(intent.latest_charge.balance_transaction.amount, intent.amount);
    const backwards = await all(stripe.paymentIntents.list({customer: customer.id, limit: 10,
        ending_before: read.at(-1).id}));
    assert.equal(backwards.length, made.length - 1);
});

test('pages have limits from 1 to 100, and know whether there is more', async () => {
    const first = await stripe.customers.list({email});
    assert.equal(first.data.length, 10);
    assert.equal(first.has_more, true);
    assert.equal((await stripe.customers.list({email, limit: 1})).data.length, 1);
    assert.equal((await stripe.customers.list({email, limit: 100})).data.length, 100);
    const clamped = await raw('GET', `/v1/customers?email=${email}&limit=5000`);
    assert.equal(clamped.json.data.length, 100);
});

test('cursors are exclusive, and forwards and backwards agree', async () => {
    const page = (await stripe.customers.list({email, limit: 9})).data.map((c) => c.id);
    const after = await stripe.customers.list({email, limit: 4, starting_after: page[2]});
    assert.deepEqual(after.data.map((c) => c.id), page.slice(3, 7));
    const before = await stripe.customers.list({email, limit: 3, ending_before: page[5]});
    assert.deepEqual(before.data.map((c) => c.id), page.slice(2, 5));
    assert.equal(before.has_more, true);
    const top = await stripe.customers.list({email, limit: 5, ending_before: page[2]});
    assert.deepEqual(top.data.map((c) => c.id), page.slice(0, 2));
    assert.equal(top.has_more, false);
    const both = await refused(stripe.customers.list({starting_after: page[2], ending_before: page[5]}));
    assert.equal(both.statusCode, 400);
    const unknown = await refused(stripe.customers.list({starting_after: 'cus_unknown'}));
    assert.equal(unknown.code, 'resource_missing');
    assert.equal(unknown.statusCode, 400);
});

test('what is nested is expanded, on every way of asking', async () => {
    const customer = await stripe.customers.create({name: 'Nested'});
    const created = await pay(2000, {customer: customer.id,
        expand: ['latest_charge.balance_transaction', 'customer', 'payment_method']});
    assert.equal(created.customer.name, 'Nested');
    assert.equal(created.payment_method.card.brand, 'visa');
    assert.equal(created.latest_charge.balance_transaction.net, 1912);

    const read = await stripe.paymentIntents.retrieve(created.id,
        {expand: ['latest_charge.balance_transaction', 'latest_charge.customer']});
    assert.equal(read.latest_charge.balance_transaction.fee, 88);
    assert.equal(read.latest_charge.customer.id, customer.id);
    assert.equal(read.customer, customer.id);

    const deep = await stripe.refunds.create({payment_intent: created.id, amount: 10,
        expand: ['charge.payment_intent.latest_charge.balance_transaction']});
    assert.equal(deep.charge.payment_intent.latest_charge.balance_transaction.amount, 2000);

    const listed = await stripe.charges.list({customer: customer.id, expand: ['data.payment_intent', 'data.customer']});
    assert.equal(listed.data[0].payment_intent.id, created.id);
    assert.equal(listed.data[0].customer.name, 'Nested');
});

test('what cannot be expanded is named', async () => {
    const intent = await pay();
    const metadata = await refused(stripe.paymentIntents.retrieve(intent.id, {expand: ['metadata']}));
    assert.ok(metadata instanceof Stripe.errors.StripeInvalidRequestError);
    assert.match(metadata.message, /cannot be expanded \(metadata\)/);
    const deep = await refused(stripe.paymentIntents.retrieve(intent.id,
        {expand: ['latest_charge.payment_intent.latest_charge.payment_intent.customer']}));
    assert.equal(deep.code, 'property_expansion_max_depth');
});

test('lists are filtered by time', async () => {
    const now = Math.floor(Date.now() / 1000);
    const none = await stripe.customers.list({email, created: {gt: now + 3600}});
    assert.deepEqual(none.data, []);
    assert.equal(none.has_more, false);
    const recent = await stripe.customers.list({email, created: {gte: now - 3600, lt: now + 3600}, limit: 3});
    assert.equal(recent.data.length, 3);
});
