// Cards that are set up for later payments.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {all, card, listen, pay, publishable, refused, stripe} from './helpers.js';

const back = 'https://shop.example/kept';

async function answer(intent, decision) {
    const address = intent.next_action.redirect_to_url.url;
    const fields = new URLSearchParams(new URL(address).searchParams);
    fields.set('decision', decision);
    const response = await fetch(`${address.split('?')[0]}/complete`, {method: 'POST', body: fields, redirect: 'manual'});
    assert.equal(response.status, 303);
    return new URL(response.headers.get('location'));
}

const setUp = (more = {}) => stripe.setupIntents.create({confirm: true, payment_method: 'pm_card_visa', ...card, ...more});

test('a card is set up at once and becomes its customer\'s', async () => {
    const customer = await stripe.customers.create({});
    const intent = await setUp({customer: customer.id, expand: ['payment_method', 'latest_attempt'], metadata: {a: 'b'}});
    assert.equal(intent.status, 'succeeded');
    assert.equal(intent.usage, 'off_session');
    assert.equal(intent.payment_method.customer, customer.id);
    assert.equal(intent.latest_attempt.status, 'succeeded');
    assert.equal(intent.metadata.a, 'b');
    const methods = await all(stripe.customers.listPaymentMethods(customer.id));
    assert.deepEqual(methods.map((method) => method.id), [intent.payment_method.id]);
    const paid = await pay(1500, {customer: customer.id, payment_method: intent.payment_method.id, off_session: true});
    assert.equal(paid.status, 'succeeded');
});

test('step by step, from a page with a publishable key', async () => {
    const created = await stripe.setupIntents.create({...card, description: 'd'});
    assert.equal(created.status, 'requires_payment_method');
    assert.match(created.client_secret, new RegExp(`^${created.id}_secret_`));
    const shown = await publishable.setupIntents.retrieve(created.id, {client_secret: created.client_secret});
    assert.equal(shown.status, 'requires_payment_method');
    assert.equal((await refused(publishable.setupIntents.retrieve(created.id, {client_secret: 'x'}))).statusCode, 400);
    const updated = await stripe.setupIntents.update(created.id, {payment_method: 'pm_card_visa', metadata: {k: 'v'}});
    assert.equal(updated.status, 'requires_confirmation');
    const done = await publishable.setupIntents.confirm(created.id, {client_secret: created.client_secret});
    assert.equal(done.status, 'succeeded');
    const error = await refused(stripe.setupIntents.confirm(created.id));
    assert.equal(error.code, 'setup_intent_unexpected_state');
    assert.equal(error.setup_intent.id, created.id);
    assert.equal((await refused(stripe.setupIntents.cancel(created.id))).code, 'setup_intent_unexpected_state');
});

test('given up, it stays so', async () => {
    const created = await stripe.setupIntents.create({});
    const canceled = await stripe.setupIntents.cancel(created.id, {cancellation_reason: 'requested_by_customer'});
    assert.equal(canceled.status, 'canceled');
    assert.equal(canceled.cancellation_reason, 'requested_by_customer');
    assert.equal((await refused(stripe.setupIntents.confirm(created.id, {payment_method: 'pm_card_visa',
        return_url: back}))).code, 'setup_intent_unexpected_state');
});

test('a bad card is told with its code, and another does', async () => {
    const customer = await stripe.customers.create({});
    const error = await refused(setUp({customer: customer.id, payment_method: 'pm_card_visa_chargeDeclined'}));
    assert.equal(error.type, 'StripeCardError');
    assert.equal(error.code, 'card_declined');
    assert.equal(error.setup_intent.status, 'requires_payment_method');
    assert.equal(error.setup_intent.last_setup_error.code, 'card_declined');
    assert.equal(error.payment_method.customer, null);
    const done = await stripe.setupIntents.confirm(error.setup_intent.id, {payment_method: 'pm_card_visa'});
    assert.equal(done.status, 'succeeded');
    assert.equal(done.last_setup_error, null);
    const tries = await all(stripe.setupAttempts.list({setup_intent: done.id}));
    assert.deepEqual(tries.map((one) => one.status), ['succeeded', 'failed']);
    assert.equal(tries[1].setup_error.code, 'card_declined');
});

test('authenticationRequiredOnSetup: asked once, then it pays while its owner is not there', async () => {
    const customer = await stripe.customers.create({});
    const intent = await setUp({customer: customer.id, payment_method: 'pm_card_authenticationRequiredOnSetup',
        return_url: back});
    assert.equal(intent.status, 'requires_action');
    const method = intent.payment_method;
    const to = await answer(intent, 'approve');
    assert.equal(to.searchParams.get('setup_intent'), intent.id);
    assert.equal(to.searchParams.get('setup_intent_client_secret'), intent.client_secret);
    assert.equal(to.searchParams.get('redirect_status'), 'succeeded');
    const done = await stripe.setupIntents.retrieve(intent.id, {expand: ['latest_attempt']});
    assert.equal(done.status, 'succeeded');
    assert.equal(done.latest_attempt.payment_method_details.card.three_d_secure.result, 'authenticated');
    const paid = await pay(1500, {customer: customer.id, payment_method: method, off_session: true});
    assert.equal(paid.status, 'succeeded');
});

test('who does not approve has no card set up', async () => {
    const customer = await stripe.customers.create({});
    const intent = await setUp({customer: customer.id, payment_method: 'pm_card_authenticationRequired', return_url: back});
    assert.equal((await answer(intent, 'fail')).searchParams.get('redirect_status'), 'failed');
    const failed = await stripe.setupIntents.retrieve(intent.id, {expand: ['latest_attempt']});
    assert.equal(failed.status, 'requires_payment_method');
    assert.equal(failed.last_setup_error.code, 'setup_intent_authentication_failure');
    assert.equal(failed.latest_attempt.status, 'failed');
    assert.deepEqual(await all(stripe.customers.listPaymentMethods(customer.id)), []);
});

test('set up on the way of a payment', async () => {
    const customer = await stripe.customers.create({});
    const intent = await pay(1500, {customer: customer.id, payment_method: 'pm_card_authenticationRequiredOnSetup',
        setup_future_usage: 'off_session', return_url: back});
    const to = await answer(intent, 'approve');
    assert.equal(to.searchParams.get('redirect_status'), 'succeeded');
    const [method] = await all(stripe.customers.listPaymentMethods(customer.id));
    assert.equal(method.id, intent.payment_method);
    assert.equal((await pay(700, {customer: customer.id, payment_method: method.id, off_session: true})).status, 'succeeded');
});

test('lists are by customer and by method', async () => {
    const customer = await stripe.customers.create({});
    const one = await setUp({customer: customer.id});
    const two = await stripe.setupIntents.create({customer: customer.id});
    const ids = async (filter) => (await all(stripe.setupIntents.list(filter))).map((intent) => intent.id);
    assert.deepEqual(await ids({customer: customer.id}), [two.id, one.id]);
    assert.deepEqual(await ids({payment_method: one.payment_method}), [one.id]);
});

test('micro-deposits are for bank accounts', async () => {
    const intent = await stripe.setupIntents.create({});
    const error = await refused(stripe.setupIntents.verifyMicrodeposits(intent.id, {amounts: [32, 45]}));
    assert.equal(error.statusCode, 400);
});

test('the same key has one effect', async () => {
    const options = {idempotencyKey: `setup-${Date.now()}`};
    const one = await stripe.setupIntents.create({confirm: true, payment_method: 'pm_card_visa', ...card}, options);
    const two = await stripe.setupIntents.create({confirm: true, payment_method: 'pm_card_visa', ...card}, options);
    assert.equal(one.id, two.id);
    assert.equal((await all(stripe.setupAttempts.list({setup_intent: one.id}))).length, 1);
});

test('what happens is told', async (t) => {
    const server = await listen(t, ['setup_intent.created', 'setup_intent.succeeded', 'setup_intent.requires_action',
        'setup_intent.setup_failed', 'setup_intent.canceled']);
    const done = await setUp();
    await refused(setUp({payment_method: 'pm_card_visa_chargeDeclined'}));
    const waits = await setUp({payment_method: 'pm_card_authenticationRequired', return_url: back});
    await stripe.setupIntents.cancel(waits.id);
    const told = (id, type) => server.next(`${type} of ${id}`, ({event}) =>
        event.type === `setup_intent.${type}` && (!id || event.data.object.id === id));
    await told(done.id, 'created');
    await told(done.id, 'succeeded');
    await told(null, 'setup_failed');
    await told(waits.id, 'requires_action');
    await told(waits.id, 'canceled');
});
