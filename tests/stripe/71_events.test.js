import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import {test} from 'node:test';
import {checkout, listen, pay, raw, refused, stripe, Stripe, until} from './helpers.js';

const retry = (event, endpoint) => raw('POST', `/v1/events/${event}/retry`,
    {body: endpoint ? `webhook_endpoint=${endpoint}` : ''});

test('an event is sent once more when it is wished, signed anew', async (t) => {
    const {deliveries, endpoint, next} = await listen(t, ['customer.created']);
    const customer = await stripe.customers.create({});
    const {event} = await next('customer.created', (d) => d.event.data.object.id === customer.id);
    await until('it is delivered', async () => (await stripe.events.retrieve(event.id)).pending_webhooks === 0);
    const answer = await retry(event.id, endpoint.id);
    assert.equal(answer.status, 200);
    assert.equal(answer.json.id, event.id);
    await until('it comes again', () => deliveries.length === 2);
    const again = stripe.webhooks.constructEvent(deliveries[1].body, deliveries[1].headers['stripe-signature'], endpoint.secret);
    assert.equal(again.id, event.id);
    await retry(event.id, endpoint.id);
    await until('and again', () => deliveries.length === 3);
    await until('it is delivered', async () => (await stripe.events.retrieve(event.id)).pending_webhooks === 0);
    assert.equal(deliveries.length, 3);
});

test('an event can be sent to an endpoint that did not ask for its type', async (t) => {
    const {deliveries, endpoint} = await listen(t, ['charge.refunded']);
    const customer = await stripe.customers.create({});
    const {data: [event]} = await stripe.events.list({type: 'customer.created', limit: 1});
    assert.equal(event.data.object.id, customer.id);
    assert.equal((await retry(event.id, endpoint.id)).status, 200);
    await until('it comes', () => deliveries.length === 1);
    assert.equal(deliveries[0].event.id, event.id);
});

test('a resend needs an event and an endpoint', async (t) => {
    const {endpoint} = await listen(t, ['charge.refunded']);
    await stripe.customers.create({});
    const {data: [event]} = await stripe.events.list({limit: 1});
    assert.equal((await retry('evt_none', endpoint.id)).status, 404);
    assert.equal((await retry(event.id)).json.error.code, 'parameter_missing');
    assert.equal((await retry(event.id, 'we_none')).json.error.code, 'resource_missing');
    await stripe.webhookEndpoints.update(endpoint.id, {disabled: true});
    assert.equal((await retry(event.id, endpoint.id)).status, 400);
});

test('events are filtered by types and by families of types, not by both parameters', async () => {
    const intent = await pay(1357);
    const types = ['charge.succeeded', 'payment_intent.succeeded'];
    const listed = await stripe.events.list({types, limit: 2});
    assert.deepEqual(listed.data.map((e) => e.type).sort(), types);
    const family = await stripe.events.list({type: 'payment_intent.*', limit: 2});
    assert.deepEqual(family.data.map((e) => e.type), ['payment_intent.succeeded', 'payment_intent.created']);
    assert.ok(family.data.every((e) => e.data.object.id === intent.id));
    const both = await refused(stripe.events.list({type: 'charge.succeeded', types}));
    assert.equal(both.code, 'parameters_exclusive');
    const many = await refused(stripe.events.list({types: Array.from({length: 21}, (_, i) => `a.b${i}`)}));
    assert.equal(many.statusCode, 400);
});

test('every event of a payment is found by its id, and each once in a list, by pages of any size and direction', async () => {
    const before = (await stripe.events.list({limit: 1})).data[0].id;
    for (const amount of [1401, 1402, 1403]) await pay(amount);
    await stripe.customers.create({});
    const ids = (list) => list.map((event) => event.id);
    const {data: all} = await stripe.events.list({limit: 100, ending_before: before});
    assert.equal(all.length, 13);
    assert.deepEqual(ids(all), ids(all).sort().reverse());
    for (const event of all) assert.deepEqual(await stripe.events.retrieve(event.id), event);
    const absent = await refused(stripe.events.retrieve(all[0].id.slice(0, -1) + 'z'));
    assert.equal(absent.code, 'resource_missing');
    for (const limit of [1, 2, 3, 5]) {
        const down = [], up = [];
        for (let page; !page || (page.has_more && down.length < 13);) {
            page = await stripe.events.list({limit, ...(page ? {starting_after: down.at(-1).id} : {})});
            down.push(...page.data);
        }
        assert.deepEqual(ids(down.slice(0, 13)), ids(all));
        for (let page; !page || page.has_more;) {
            page = await stripe.events.list({limit, ending_before: up[0]?.id ?? before});
            up.unshift(...page.data);
        }
        assert.deepEqual(ids(up), ids(all));
        for (const event of all.slice(0, 4)) {
            const from = all.indexOf(event) + 1;
            const {data} = await stripe.events.list({limit, starting_after: event.id, type: '*'});
            assert.deepEqual(ids(data), ids(all.slice(from, from + limit)));
        }
    }
    const {data: succeeded} = await stripe.events.list({type: 'payment_intent.succeeded', ending_before: before, limit: 100});
    assert.deepEqual(ids(succeeded), ids(all.filter((event) => event.type === 'payment_intent.succeeded')));
});

test('with automatic_async the balance transaction is told behind the charge', async () => {
    const intent = await pay(2468);
    const {data} = await stripe.events.list({limit: 4});
    assert.deepEqual(data.map((e) => e.type).reverse(),
        ['payment_intent.created', 'charge.succeeded', 'payment_intent.succeeded', 'charge.updated']);
    assert.equal(data[2].data.object.balance_transaction, null);
    assert.deepEqual(data[0].data.previous_attributes, {balance_transaction: null});
    const charge = await stripe.charges.retrieve(intent.latest_charge);
    assert.equal(data[0].data.object.balance_transaction, charge.balance_transaction);
    await pay(2469, {capture_method: 'automatic'});
    const now = await stripe.events.list({limit: 1});
    assert.equal(now.data[0].type, 'payment_intent.succeeded');
});

// An instance whose days are seconds.
test('funds become available and holds run out, and both are told', async (t) => {
    const home = fs.mkdtempSync(path.join(os.tmpdir(), 'florin-days.'));
    fs.chmodSync(home, 0o711);
    const instance = path.join(home, 'home');
    fs.mkdirSync(instance, {mode: 0o700});
    fs.writeFileSync(path.join(instance, 'florin.conf'), 'settlement_delay_s = 2\nhold_s = 3\nworkers = 1\nwebhook_workers = 1\n');
    const port = await new Promise((resolve) => {
        const server = net.createServer().listen(0, '127.0.0.1', () => {
            const {port: free} = server.address();
            server.close(() => resolve(free));
        });
    });
    const env = {...process.env, FLORIN_HOME: instance, FLORIN_PORT: `${port}`};
    const florin = (...words) => execFileSync(path.join(checkout, 'florin'), words, {env, encoding: 'utf8'});
    t.after(() => {
        florin('down');
        fs.rmSync(home, {recursive: true, force: true});
    });
    florin('up', '--detach');
    const key = /FLORIN_SECRET_KEY='?([^'\n]+)/.exec(florin('env'))[1];
    const own = new Stripe(key, {host: '127.0.0.1', port, protocol: 'http', maxNetworkRetries: 3});
    const make = (more) => own.paymentIntents.create({amount: 2000, currency: 'usd', confirm: true, payment_method: 'pm_card_visa',
        payment_method_types: ['card'], ...more});
    const events = (type) => own.events.list({type, limit: 100}).then((page) => page.data);

    const manual = {capture_method: 'manual', payment_method_options: {card: {request_multicapture: 'if_available'}}};
    const held = await make(manual);
    const parted = await make(manual);
    await own.paymentIntents.capture(parted.id, {amount_to_capture: 500, final_capture: false});
    const kept = await make(manual);
    await own.paymentIntents.capture(kept.id);
    await make();

    const [told] = await until('balance.available', async () => {
        const all = await events('balance.available');
        return all[0]?.data.object.pending[0].amount === 0 && all;
    });
    const balance = await own.balance.retrieve();
    assert.equal(told.data.object.object, 'balance');
    assert.deepEqual(told.data.object.available, balance.available);
    assert.equal(balance.available[0].amount, 2 * (2000 - 88) + (500 - 45));
    assert.equal(balance.pending[0].amount, 0);

    await until('both holds have run out', async () => (await events('charge.expired')).length === 2);
    const canceled = await own.paymentIntents.retrieve(held.id, {expand: ['latest_charge']});
    assert.equal(canceled.status, 'canceled');
    assert.equal(canceled.cancellation_reason, 'automatic');
    assert.equal(canceled.latest_charge.refunded, true);
    const rest = await own.paymentIntents.retrieve(parted.id);
    assert.equal(rest.status, 'succeeded');
    assert.equal(rest.amount_received, 500);
    assert.equal((await own.paymentIntents.retrieve(kept.id)).status, 'succeeded');
    assert.ok((await events('payment_intent.canceled')).some((e) => e.data.object.id === held.id));
    const error = await refused(own.paymentIntents.capture(held.id));
    assert.equal(error.code, 'payment_intent_unexpected_state');
    assert.match(florin('audit'), /./);
});
