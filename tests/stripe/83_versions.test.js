// Stripe-Version: the shape of answers, of events, and of what webhooks hear.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {receiver, secretKey, Stripe, url} from './helpers.js';
import {ask, document, florin, merchant} from './table.js';

// The library with another version, its answers not recorded: they are not of the newest shape.
const of = (key, apiVersion) => new Stripe(key, {
    host: url.hostname, port: url.port, protocol: url.protocol.replace(':', ''), telemetry: false, maxNetworkRetries: 3, ...(apiVersion && {apiVersion}),
});
const paid = {amount: 2000, currency: 'usd', confirm: true, payment_method: 'pm_card_visa', payment_method_types: ['card']};
const oldOnes = ['2020-08-27', '2022-08-01'];
const newOnes = ['2022-11-15', '2023-08-16', '2026-10-28.endive'];

for (const version of oldOnes)
    test(`${version}: a payment lists its charges, a charge its refunds`, async () => {
        const stripe = of(secretKey, version);
        const intent = await stripe.paymentIntents.create(paid);
        assert.equal(intent.lastResponse.headers['stripe-version'], version);
        assert.equal(intent.charges.object, 'list');
        assert.equal(intent.charges.total_count, 1);
        assert.equal(intent.charges.data[0].id, intent.latest_charge);
        assert.equal(intent.charges.data[0].amount_captured, 2000);
        assert.deepEqual(intent.charges.data[0].refunds.data, []);
        assert.equal(intent.capture_method, 'automatic');

        const again = await stripe.paymentIntents.retrieve(intent.id);
        assert.deepEqual(again.charges, intent.charges);
        const refund = await stripe.refunds.create({payment_intent: intent.id, amount: 500, expand: ['charge']});
        assert.deepEqual(refund.charge.refunds.data.map((r) => [r.id, r.status]), [[refund.id, 'succeeded']]);
        const charge = await stripe.charges.retrieve(intent.latest_charge);
        assert.deepEqual(charge.refunds.data.map((r) => r.id), [refund.id]);
        const list = await stripe.paymentIntents.list({limit: 1});
        assert.equal(list.data[0].charges.data[0].id, charge.id);
    });

test('2022-08-01: a payment that was declined first lists both charges, the newest first', async () => {
    const stripe = of(secretKey, '2022-08-01');
    const intent = await stripe.paymentIntents.create({...paid, confirm: false, payment_method: undefined});
    assert.deepEqual(intent.charges.data, []);
    const error = await stripe.paymentIntents.confirm(intent.id, {payment_method: 'pm_card_visa_chargeDeclined'}).catch((e) => e);
    assert.equal(error.code, 'card_declined');
    assert.deepEqual(error.payment_intent.charges.data.map((c) => c.status), ['failed']);
    const done = await stripe.paymentIntents.confirm(intent.id, {payment_method: 'pm_card_visa'});
    assert.deepEqual(done.charges.data.map((c) => c.status), ['succeeded', 'failed']);
});

for (const version of newOnes)
    test(`${version}: charges and refunds are asked for`, async () => {
        const stripe = of(secretKey, version);
        const intent = await stripe.paymentIntents.create(paid);
        assert.equal('charges' in intent, false);
        const charge = await stripe.charges.retrieve(intent.latest_charge);
        assert.equal('refunds' in charge, false);
        assert.equal('refunds' in await stripe.charges.retrieve(intent.latest_charge, {expand: ['refunds']}), true);
    });

test('what is not said differs by version', async () => {
    const plain = {amount: 2000, currency: 'usd'};
    const rows = [
        ['2020-08-27', null, 'automatic'], ['2022-11-15', null, 'automatic'],
        ['2023-08-16', {allow_redirects: 'always', enabled: true}, 'automatic'], ['2023-10-16', {allow_redirects: 'always', enabled: true}, 'automatic'],
        ['2024-04-10', {allow_redirects: 'always', enabled: true}, 'automatic_async'], ['2026-10-28.endive', {allow_redirects: 'always', enabled: true}, 'automatic_async'],
    ];
    for (const [version, methods, capture] of rows) {
        const intent = await of(secretKey, version).paymentIntents.create(plain);
        assert.deepEqual(intent.automatic_payment_methods, methods, version);
        assert.equal(intent.capture_method, capture, version);
    }
});

test('every version of the table is answered, in its own name', async () => {
    for (const version of document.info['x-versions']) {
        const answer = await ask('GET', '/v1/balance', {headers: {'Stripe-Version': version}});
        assert.equal(answer.status, 200, version);
        assert.equal(answer.headers.get('stripe-version'), version);
    }
});

test('a version that there is not is refused (H93)', async () => {
    for (const version of ['2019', 'latest', '2026-10-28', '2026-10-29.endive', '1999-01-01', '2022-08-01.basil', 'x'.repeat(200), '%s%n'])
        for (const method of ['GET', 'POST']) {
            const answer = await ask(method, method === 'GET' ? '/v1/balance' : '/v1/customers', {headers: {'Stripe-Version': version}});
            assert.equal(answer.status, 400, version);
            assert.match(answer.error.message, /^Invalid Stripe API version: /);
        }
});

test('an account is pinned to a version, and may be pinned to another', async () => {
    const own = merchant('--name', 'Pinned', '--api-version', '2022-08-01');
    // The library always names a version: this is a request without one.
    const pay = () => ask('POST', '/v1/payment_intents', {key: own.secretKey,
        params: {amount: 2000, currency: 'usd', confirm: 'true', payment_method: 'pm_card_visa', 'payment_method_types[]': 'card'}});
    const old = await pay();
    assert.equal(old.headers.get('stripe-version'), '2022-08-01');
    assert.equal(old.json.charges.data.length, 1);
    // The header is stronger than the pin, and an event bears the account's version whatever was asked.
    const stripe = of(own.secretKey, '2026-10-28.endive');
    const intent = await stripe.paymentIntents.create(paid);
    assert.equal('charges' in intent, false);
    const event = (await stripe.events.list({type: 'payment_intent.succeeded'})).data.find((e) => e.data.object.id === intent.id);
    assert.equal(event.api_version, '2022-08-01');
    assert.equal(event.data.object.charges.data[0].id, intent.latest_charge);
    assert.throws(() => florin('merchant', '--account', own.account, '--api-version', '2022-08-02'), /version/);

    florin('merchant', '--account', own.account, '--api-version', '2023-08-16');
    const later = await stripe.paymentIntents.create(paid);
    const next = (await stripe.events.list({type: 'payment_intent.succeeded'})).data.find((e) => e.data.object.id === later.id);
    assert.equal(next.api_version, '2023-08-16');
    assert.equal('charges' in next.data.object, false);
    assert.deepEqual((await stripe.events.retrieve(event.id)).data, event.data, 'an event stays as it was told');
});

test('each endpoint hears in its own version', async (t) => {
    const own = merchant('--name', 'Listener');
    const stripe = of(own.secretKey, '2026-10-28.endive');
    const server = await receiver();
    t.after(() => server.close());
    const versions = ['2020-08-27', '2022-11-15', null];
    for (const api_version of versions)
        await stripe.webhookEndpoints.create({url: `${server.url}/${api_version}`, enabled_events: ['*'], ...(api_version && {api_version})});
    const intent = await stripe.paymentIntents.create(paid);
    await stripe.refunds.create({payment_intent: intent.id, amount: 100});
    const heard = (version, type) => server.next(`${type} at ${version}`, (d) => d.path.endsWith(`/${version}`) && d.event.type === type);
    for (const version of versions) {
        const {event} = await heard(version, 'payment_intent.succeeded');
        assert.equal(event.api_version, version ?? '2026-10-28.endive');
        assert.equal('charges' in event.data.object, version === '2020-08-27', `${version}`);
        const refunded = (await heard(version, 'charge.refunded')).event;
        assert.equal('refunds' in refunded.data.object, version === '2020-08-27', `${version}`);
    }
    const old = await heard('2020-08-27', 'payment_intent.succeeded');
    assert.equal(old.event.data.object.charges.data[0].id, intent.latest_charge);
    const refunded = await heard('2020-08-27', 'charge.refunded');
    assert.deepEqual(refunded.event.data.object.refunds.data.map((r) => [r.amount, r.status]), [[100, 'succeeded']]);
    // What the API shows of the same event is in the account's version.
    const shown = await stripe.events.retrieve(old.event.id);
    assert.equal(shown.api_version, '2026-10-28.endive');
    assert.equal('charges' in shown.data.object, false);
    const error = await stripe.webhookEndpoints.create({url: server.url, enabled_events: ['*'], api_version: '2020-01-01'}).catch((e) => e);
    assert.equal(error.param, 'api_version');
});
