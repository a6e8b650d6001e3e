// 3-D Secure: payers who prove who they are on a page of ours, as a browser without scripts sees it.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {card, inParallel, listen, pay, publishable, refused, stripe, url} from './helpers.js';
import {answer, formOf, look, pageOf} from './payer.js';

const back = 'https://shop.example/done?order=7';
const asked = (more = {}) => pay(2000, {payment_method: 'pm_card_authenticationRequired', return_url: back, ...more});

const wayBack = (response) => new URL(response.headers.get('location'));

test('a payer is sent to a page, approves, comes back, and has paid', async () => {
    const intent = await asked({metadata: {order: '7'}});
    assert.equal(intent.status, 'requires_action');
    assert.equal(intent.next_action.type, 'redirect_to_url');
    assert.equal(intent.next_action.redirect_to_url.return_url, back);
    assert.equal(intent.latest_charge, null);
    assert.equal(new URL(pageOf(intent)).port, url.port);

    const {response, html} = await look(pageOf(intent));
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^text\/html/);
    assert.match(html, /\$20\.00/);
    assert.match(html, /Card: Visa ending in 3184/);
    assert.doesNotMatch(html, /<script/i);
    assert.match(html, /<meta name="viewport"/);
    const policy = response.headers.get('content-security-policy');
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /form-action 'self' https:\/\/shop\.example;/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.equal(response.headers.get('referrer-policy'), 'no-referrer');
    assert.equal(response.headers.get('cache-control'), 'no-store');

    const done = await answer(pageOf(intent), 'approve');
    assert.equal(done.status, 303);
    const to = wayBack(done);
    assert.equal(to.origin + to.pathname, 'https://shop.example/done');
    assert.deepEqual(Object.fromEntries(to.searchParams), {order: '7', payment_intent: intent.id,
        payment_intent_client_secret: intent.client_secret, redirect_status: 'succeeded'});

    const paid = await stripe.paymentIntents.retrieve(intent.id, {expand: ['latest_charge']});
    assert.equal(paid.status, 'succeeded');
    assert.equal(paid.next_action, null);
    assert.equal(paid.amount_received, 2000);
    const {three_d_secure: secure} = paid.latest_charge.payment_method_details.card;
    assert.equal(secure.authentication_flow, 'challenge');
    assert.equal(secure.result, 'authenticated');
    assert.equal(secure.electronic_commerce_indicator, '05');
    assert.equal(secure.version, '2.2.0');
});

test('a payer who does not approve has not paid, and may pay with another card', async () => {
    const intent = await asked();
    assert.equal(wayBack(await answer(pageOf(intent), 'fail')).searchParams.get('redirect_status'), 'failed');
    const failed = await stripe.paymentIntents.retrieve(intent.id);
    assert.equal(failed.status, 'requires_payment_method');
    assert.equal(failed.last_payment_error.code, 'payment_intent_authentication_failure');
    assert.equal(failed.last_payment_error.payment_method.card.last4, '3184');
    assert.equal(failed.latest_charge, null);
    const paid = await stripe.paymentIntents.confirm(intent.id, {payment_method: 'pm_card_visa'});
    assert.equal(paid.status, 'succeeded');
});

test('an answer counts once, however often and however many at once it is given', async () => {
    const intent = await asked();
    const {html} = await look(pageOf(intent));
    const {action, fields} = formOf(html, pageOf(intent));
    fields.set('decision', 'approve');
    await inParallel(8, 8, () => fetch(action, {method: 'POST', body: fields, redirect: 'manual'}));
    const seen = await answer(pageOf(intent), 'approve').catch(() => null);
    if (seen) assert.equal(seen.status, 303);
    fields.set('decision', 'fail');
    const late = await fetch(action, {method: 'POST', body: fields, redirect: 'manual'});
    assert.equal(wayBack(late).searchParams.get('redirect_status'), 'succeeded');
    const {data} = await stripe.charges.list({payment_intent: intent.id});
    assert.equal(data.length, 1);
    assert.equal(data[0].amount_captured, 2000);
});

test('a page without its secret is no page, and tells nothing', async () => {
    const intent = await asked();
    const other = await asked();
    const address = new URL(pageOf(intent));
    const wrong = new URL(address), foreign = new URL(address), elsewhere = new URL(address);
    wrong.searchParams.set('secret', 'x'.repeat(32));
    foreign.searchParams.set('secret', new URL(pageOf(other)).searchParams.get('secret'));
    elsewhere.searchParams.set('merchant', 'acct_000000000000000000000000');
    const nothing = new URL(address);
    nothing.pathname = '/3ds/tds_000000000000000000000000';
    const bare = new URL(address.origin + address.pathname);
    const pages = [];
    for (const page of [wrong, foreign, elsewhere, nothing, bare]) {
        const {response, html} = await look(page);
        assert.equal(response.status, 404, page.href);
        assert.doesNotMatch(html, /20\.00|3184|pi_|acct_|tds_/);
        pages.push(html);
    }
    assert.equal(new Set(pages).size, 1);
    const {action, fields} = formOf((await look(address)).html, address);
    fields.set('decision', 'approve');
    fields.set('secret', 'x'.repeat(32));
    assert.equal((await fetch(action, {method: 'POST', body: fields})).status, 404);
    assert.equal((await stripe.paymentIntents.retrieve(intent.id)).status, 'requires_action');
});

test('a payment that was changed, canceled or confirmed again waits for no old answer', async () => {
    const changes = [
        (id) => stripe.paymentIntents.update(id, {amount: 3000}),
        (id) => stripe.paymentIntents.cancel(id),
        (id) => stripe.paymentIntents.confirm(id, {return_url: back}),
    ];
    for (const change of changes) {
        const intent = await asked();
        const {action, fields} = formOf((await look(pageOf(intent))).html, pageOf(intent));
        await change(intent.id);
        fields.set('decision', 'approve');
        const response = await fetch(action, {method: 'POST', body: fields, redirect: 'manual'});
        assert.equal(response.status, 200);
        assert.match(await response.text(), /No longer needed/);
        const after = await stripe.paymentIntents.retrieve(intent.id);
        assert.notEqual(after.status, 'succeeded');
        assert.equal(after.amount_received, 0);
    }
});

test('held first, captured later; and confirmed by hand once more', async () => {
    const held = await asked({capture_method: 'manual'});
    await answer(pageOf(held), 'approve');
    assert.equal((await stripe.paymentIntents.retrieve(held.id)).status, 'requires_capture');
    assert.equal((await stripe.paymentIntents.capture(held.id)).status, 'succeeded');

    const byHand = await asked({confirmation_method: 'manual'});
    const to = wayBack(await answer(pageOf(byHand), 'approve'));
    assert.equal(to.searchParams.get('redirect_status'), 'succeeded');
    assert.equal((await stripe.paymentIntents.retrieve(byHand.id)).status, 'requires_confirmation');
    assert.equal((await stripe.paymentIntents.confirm(byHand.id)).status, 'succeeded');
});

test('a client library is told where, and the page itself says when it is done', async () => {
    const created = await stripe.paymentIntents.create({amount: 2000, currency: 'usd', ...card});
    const intent = await publishable.paymentIntents.confirm(created.id, {client_secret: created.client_secret,
        payment_method: 'pm_card_threeDSecure2Required', use_stripe_sdk: true});
    assert.equal(intent.next_action.type, 'use_stripe_sdk');
    assert.equal(intent.next_action.use_stripe_sdk.type, 'three_d_secure_redirect');
    const response = await answer(pageOf(intent), 'approve');
    assert.equal(response.status, 200);
    assert.equal((await stripe.paymentIntents.retrieve(intent.id)).status, 'succeeded');
});

test('off session nobody is asked, and error_on_requires_action asks for nobody to be', async () => {
    const customer = await stripe.customers.create({});
    const method = await stripe.paymentMethods.attach('pm_card_authenticationRequired', {customer: customer.id});
    const error = await refused(pay(2000, {customer: customer.id, payment_method: method.id, off_session: true}));
    assert.equal(error.statusCode, 402);
    assert.equal(error.code, 'authentication_required');
    assert.equal(error.decline_code, 'authentication_required');
    assert.equal(error.payment_intent.status, 'requires_payment_method');
    assert.equal(error.payment_intent.last_payment_error.payment_method.id, method.id);

    const refusal = await refused(asked({return_url: undefined, error_on_requires_action: true}));
    assert.equal(refusal.statusCode, 402);
    assert.equal(refusal.code, 'authentication_required');
    assert.equal(refusal.payment_intent.status, 'requires_payment_method');
});

test('a bad return_url is refused', async () => {
    for (const return_url of ['javascript://%0aalert(1)', 'nonsense', 'https://']) {
        const error = await refused(asked({return_url}));
        assert.equal(error.statusCode, 400);
        assert.equal(error.param, 'return_url');
    }
});

// What each published card does: [name, more of the request] -> what is expected.
const cards = [
    ['authenticationRequiredOnSetup', {}, 'asks', 'succeeded'],
    ['authenticationRequired', {}, 'asks', 'succeeded'],
    ['authenticationRequiredSetupForOffSession', {}, 'asks', 'succeeded'],
    ['authenticationRequiredSetupForOffSession', {off_session: true}, 'succeeded'],
    ['authenticationRequiredChargeDeclinedInsufficientFunds', {}, 'asks', 'insufficient_funds'],
    ['threeDSecure2Required', {}, 'asks', 'succeeded'],
    ['threeDSecureRequiredChargeDeclined', {}, 'asks', 'generic_decline'],
    ['threeDSecureRequiredProcessingError', {}, 'generic_decline'],
    ['threeDSecureOptional', {}, 'succeeded'],
    ['threeDSecureOptional', {wish: 'any'}, 'succeeded', null, {authentication_flow: 'frictionless', result: 'authenticated'}],
    ['threeDSecureOptional', {wish: 'challenge'}, 'asks', 'succeeded'],
    ['threeDSecureOptionalProcessingError', {}, 'succeeded'],
    ['threeDSecureOptionalProcessingError', {wish: 'any'}, 'succeeded', null, {result: 'processing_error'}],
    ['amex_threeDSecureNotSupported', {}, 'succeeded'],
    ['amex_threeDSecureNotSupported', {wish: 'any'}, 'succeeded', null, {result: 'not_supported'}],
    ['visa', {wish: 'any'}, 'succeeded', null, {result: 'attempt_acknowledged', result_reason: 'card_not_enrolled'}],
];

for (const [name, {wish, ...more}, first, then, secure] of cards) {
    test(`pm_card_${name} ${JSON.stringify({wish, ...more})}: ${first}${then ? `, then ${then}` : ''}`, async () => {
        if (wish) more.payment_method_options = {card: {request_three_d_secure: wish}};
        let intent = await asked({payment_method: `pm_card_${name}`, ...more})
            .catch((error) => error.payment_intent ?? Promise.reject(error));
        if (first === 'asks') {
            assert.equal(intent.status, 'requires_action');
            const to = wayBack(await answer(pageOf(intent), 'approve'));
            assert.equal(to.searchParams.get('redirect_status'), then === 'succeeded' ? 'succeeded' : 'failed');
        }
        intent = await stripe.paymentIntents.retrieve(intent.id, {expand: ['latest_charge']});
        const expected = then ?? first;
        if (expected === 'succeeded') {
            assert.equal(intent.status, 'succeeded');
        } else {
            assert.equal(intent.status, 'requires_payment_method');
            assert.equal(intent.last_payment_error.decline_code, expected);
            assert.equal(intent.latest_charge.status, 'failed');
        }
        const shown = intent.latest_charge.payment_method_details.card.three_d_secure;
        if (secure) for (const [key, value] of Object.entries(secure)) assert.equal(shown[key], value);
        else if (first === 'asks') assert.equal(shown.result, 'authenticated');
        else if (name === 'threeDSecureRequiredProcessingError') assert.equal(shown.result, 'processing_error');
        else assert.equal(shown, null);
    });
}

for (const number of ['4000582600000094', '4000582600000045', '4000582600000102', '4000582600000110']) {
    test(`${number}, of a phone's own challenge, is asked on the page too`, async () => {
        const method = await stripe.paymentMethods.create({type: 'card',
            card: {number, exp_month: 11, exp_year: 2035, cvc: '314'}});
        const intent = await asked({payment_method: method.id});
        assert.equal(intent.status, 'requires_action');
        await answer(pageOf(intent), 'approve');
        const paid = await stripe.paymentIntents.retrieve(intent.id, {expand: ['latest_charge']});
        assert.equal(paid.status, 'succeeded');
        // The code was checked when the challenge was asked: it is good for that once.
        assert.equal(paid.latest_charge.payment_method_details.card.checks.cvc_check, 'pass');
    });
}

test('what happens is told', async (t) => {
    const server = await listen(t, ['payment_intent.requires_action', 'payment_intent.succeeded',
        'payment_intent.payment_failed']);
    const intent = await asked();
    const event = (await server.next('the action is told', ({event}) => event.data.object.id === intent.id)).event;
    assert.equal(event.type, 'payment_intent.requires_action');
    assert.equal(event.data.object.next_action.type, 'redirect_to_url');
    await answer(pageOf(intent), 'approve');
    await server.next('the success is told', ({event}) =>
        event.data.object.id === intent.id && event.type === 'payment_intent.succeeded');
});
