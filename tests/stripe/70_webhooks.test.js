import assert from 'node:assert/strict';
import {test} from 'node:test';
import {all, listen, pay, refused, stripe, Stripe, until} from './helpers.js';

const signatureOf = (delivery) => delivery.headers['stripe-signature'];

test('a payment is told to the merchant, signed so that constructEvent takes it', async (t) => {
    const {next, endpoint} = await listen(t, ['payment_intent.succeeded']);
    assert.match(endpoint.id, /^we_/);
    assert.match(endpoint.secret, /^whsec_/);
    assert.equal(endpoint.status, 'enabled');
    const intent = await pay(2000, {metadata: {order: '6735'}});
    const delivery = await next('payment_intent.succeeded', (d) => d.event.data.object.id === intent.id);
    assert.equal(delivery.method, 'POST');
    assert.match(delivery.headers['content-type'], /^application\/json/);

    const event = stripe.webhooks.constructEvent(delivery.body, signatureOf(delivery), endpoint.secret);
    assert.equal(event.type, 'payment_intent.succeeded');
    assert.equal(event.object, 'event');
    assert.equal(event.livemode, false);
    assert.equal(event.data.object.status, 'succeeded');
    assert.equal(event.data.object.metadata.order, '6735');
    assert.equal(event.request.id, intent.lastResponse.requestId);
    assert.ok(event.pending_webhooks >= 1);

    assert.throws(() => stripe.webhooks.constructEvent(delivery.body, signatureOf(delivery), 'whsec_other'),
        Stripe.errors.StripeSignatureVerificationError);
    const forged = Buffer.from(delivery.body.toString().replace('6735', '6736'));
    assert.throws(() => stripe.webhooks.constructEvent(forged, signatureOf(delivery), endpoint.secret),
        Stripe.errors.StripeSignatureVerificationError);

    const read = await stripe.events.retrieve(event.id);
    assert.deepEqual({...JSON.parse(JSON.stringify(read)), pending_webhooks: 0},
        {...JSON.parse(delivery.body), pending_webhooks: 0});
});

test('a delivery that was answered with 500 comes again, signed anew, and is the same event', async (t) => {
    const {deliveries, endpoint} = await listen(t, ['customer.created'], (delivery, response, before) => {
        response.statusCode = before.length === 1 ? 500 : 200;
        response.end();
    });
    const customer = await stripe.customers.create({name: 'Again'});
    await until('the second try', () => deliveries.length >= 2);
    const [first, second] = deliveries.map((d) =>
        stripe.webhooks.constructEvent(d.body, signatureOf(d), endpoint.secret));
    assert.equal(first.id, second.id);
    assert.equal(second.data.object.id, customer.id);
    assert.notEqual(signatureOf(deliveries[0]), signatureOf(deliveries[1]));
    assert.ok(deliveries[1].at - deliveries[0].at >= 900, 'not sooner than the schedule says');
    await until('no delivery is pending', async () => (await stripe.events.retrieve(first.id)).pending_webhooks === 0);
    assert.equal(deliveries.length, 2);
});

test('pending_webhooks counts the endpoints that have not taken the event yet', async (t) => {
    let take = false;
    const late = (delivery, response) => {
        response.statusCode = take ? 200 : 503;
        response.end();
    };
    const one = await listen(t, ['customer.created'], late);
    const two = await listen(t, ['customer.created'], late);
    const willing = await listen(t, ['customer.created']);
    const customer = await stripe.customers.create({});
    const {event} = await willing.next('customer.created', (d) => d.event.data.object.id === customer.id);
    await until('two are pending', async () => (await stripe.events.retrieve(event.id)).pending_webhooks === 2);
    const notYet = await stripe.events.list({type: 'customer.created', delivery_success: false, limit: 100});
    assert.ok(notYet.data.some((e) => e.id === event.id));
    take = true;
    await until('none is pending', async () => (await stripe.events.retrieve(event.id)).pending_webhooks === 0);
    assert.ok(one.deliveries.length >= 2 && two.deliveries.length >= 2);
    const done = await stripe.events.list({type: 'customer.created', delivery_success: true, limit: 100});
    assert.ok(done.data.some((e) => e.id === event.id));
});

test('an endpoint hears only of what it asked for, and of nothing from before its time', async (t) => {
    const earlier = await stripe.customers.create({name: 'Before'});
    const now = Math.floor(Date.now() / 1000);
    await until('the next second', () => Math.floor(Date.now() / 1000) > now);
    const some = await listen(t, ['charge.refunded', 'customer.deleted']);
    const every = await listen(t, ['*']);
    const intent = await pay(2000);
    await stripe.refunds.create({payment_intent: intent.id, amount: 500});
    const customer = await stripe.customers.create({});
    await stripe.customers.del(customer.id);
    await some.next('customer.deleted', (d) => d.event.type === 'customer.deleted');
    await every.next('customer.deleted', (d) => d.event.type === 'customer.deleted');
    const types = await until('all events', () => {
        const seen = every.deliveries.map((d) => d.event.type);
        return ['payment_intent.succeeded', 'charge.succeeded', 'charge.refunded', 'customer.created',
            'customer.deleted'].every((type) => seen.includes(type)) && seen;
    });
    assert.ok(types.includes('payment_intent.created'));
    await until('charge.refunded too', () => some.deliveries.length >= 2);
    assert.deepEqual(some.deliveries.map((d) => d.event.type).sort(), ['charge.refunded', 'customer.deleted']);
    assert.ok(!every.deliveries.some((d) => d.event.data.object.id === earlier.id));
});

test('an update says what was before', async (t) => {
    const {next} = await listen(t, ['customer.updated']);
    const customer = await stripe.customers.create({name: 'Old', metadata: {a: '1'}});
    await stripe.customers.update(customer.id, {name: 'New'});
    const {event} = await next('customer.updated', (d) => d.event.data.object.id === customer.id);
    assert.equal(event.data.object.name, 'New');
    assert.equal(event.data.previous_attributes.name, 'Old');
    assert.ok(!('metadata' in event.data.previous_attributes));
});

test('an endpoint that hangs does not hold up another', async (t) => {
    const hanging = await listen(t, ['customer.created'], () => {});
    const good = await listen(t, ['customer.created']);
    const started = Date.now();
    const made = await Promise.all(Array.from({length: 20}, () => stripe.customers.create({})));
    await until('all at the good one', () => good.deliveries.length >= made.length, 5000);
    assert.ok(Date.now() - started < 5000);
    assert.ok(hanging.deliveries.length >= 1);
    assert.ok(hanging.deliveries.length < made.length);
});

test('a redirect is not followed and counts as a failure', async (t) => {
    const elsewhere = await listen(t, ['charge.dispute.created']);
    const {deliveries} = await listen(t, ['customer.created'], (delivery, response, before) => {
        if (before.length === 1) response.writeHead(307, {Location: elsewhere.url});
        response.end();
    });
    await stripe.customers.create({});
    await until('the second try', () => deliveries.length >= 2);
    assert.equal(elsewhere.deliveries.length, 0);
});

test('an endpoint that is gone (410) is not tried again', async (t) => {
    const failing = await listen(t, ['customer.created'], (delivery, response) => {
        response.statusCode = 500;
        response.end();
    });
    const {deliveries} = await listen(t, ['customer.created'], (delivery, response) => {
        response.statusCode = 410;
        response.end();
    });
    const customer = await stripe.customers.create({});
    await until('the only try', () => deliveries.length === 1);
    assert.equal(deliveries[0].event.data.object.id, customer.id);
    await until('the third try of the other', () => failing.deliveries.length >= 3);
    assert.equal(deliveries.length, 1);
});

test('endpoints are created, read, changed, listed, disabled and deleted', async (t) => {
    const {endpoint, deliveries, url} = await listen(t, ['customer.created'], null,
        {description: 'mine', metadata: {a: 'b'}});
    const read = await stripe.webhookEndpoints.retrieve(endpoint.id);
    assert.equal(read.secret, undefined);
    assert.equal(read.url, url);
    assert.equal(read.description, 'mine');
    assert.deepEqual(read.enabled_events, ['customer.created']);
    assert.ok((await all(stripe.webhookEndpoints.list())).some((e) => e.id === endpoint.id));

    const off = await stripe.webhookEndpoints.update(endpoint.id, {disabled: true});
    assert.equal(off.status, 'disabled');
    const witness = await listen(t, ['customer.created']);
    const unheard = await stripe.customers.create({});
    // Who hears of an event is decided when it is dispatched, some milliseconds after it happened.
    await witness.next('the first customer', (d) => d.event.data.object.id === unheard.id);
    await stripe.webhookEndpoints.update(endpoint.id, {disabled: false, enabled_events: ['customer.deleted', 'customer.created']});
    const heard = await stripe.customers.create({});
    await until('the second customer', () => deliveries.some((d) => d.event.data.object.id === heard.id));
    assert.ok(!deliveries.some((d) => d.event.data.object.id === unheard.id));

    const gone = await stripe.webhookEndpoints.del(endpoint.id);
    assert.equal(gone.deleted, true);
    assert.equal((await refused(stripe.webhookEndpoints.retrieve(endpoint.id))).statusCode, 404);
    const last = await stripe.customers.create({});
    await witness.next('the last customer', (d) => d.event.data.object.id === last.id);
    assert.ok(!deliveries.some((d) => d.event.data.object.id === last.id));
});

test('URLs that are none, and event types that are none, are refused', async () => {
    for (const url of ['nonsense', 'ftp://example.com/', 'http://user:password@example.com/', 'http://']) {
        const error = await refused(stripe.webhookEndpoints.create({url, enabled_events: ['*']}));
        assert.equal(error.statusCode, 400, url);
        assert.equal(error.param, 'url');
    }
    const error = await refused(stripe.webhookEndpoints.create({url: 'https://example.com/', enabled_events: ['no.such.type']}));
    assert.equal(error.statusCode, 400);
    const none = await refused(stripe.webhookEndpoints.create({url: 'https://example.com/'}));
    assert.equal(none.code, 'parameter_missing');
});

test('events are listed, by type and by types', async () => {
    const intent = await pay(1234);
    const events = await until('the events of the payment', async () => {
        const listed = await stripe.events.list({types: ['payment_intent.succeeded', 'charge.succeeded'], limit: 20});
        const mine = listed.data.filter((e) => [intent.id, intent.latest_charge].includes(e.data.object.id));
        return mine.length === 2 && mine;
    });
    assert.deepEqual(events.map((e) => e.type).sort(), ['charge.succeeded', 'payment_intent.succeeded']);
    const one = await stripe.events.list({type: 'payment_intent.succeeded', limit: 1});
    assert.equal(one.data[0].data.object.id, intent.id);
});
