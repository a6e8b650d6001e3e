// Every published test card (stripe/test-cards.json), by its number, by the name of its payment
// method and by its token: each has its documented effect. What the published file says as a field
// (brand, country, code, decline_code, message …) is read from there; what it says in words stands in
// the tables below, and a card of the file that no table knows fails.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import {test} from 'node:test';
import {all, pay, refused, shared, stripe, until} from './helpers.js';
import {answer, pageOf} from './payer.js';

const file = path.join(shared ?? '', 'stripe/test-cards.json');
const published = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file)) : undefined;
const cards = published?.cards ?? [];
test('the published test cards are here', (t) => {
    if (!published) return t.skip(`${file} is absent`);
    assert.ok(cards.length > 80);
});

// --- the ways in which a card is named -----------------------------------------------------------

const owner = {name: 'Jo', address: {line1: '1 Way', postal_code: '94107', country: 'US'}};

async function typed(c, more = {}) {
    return (await stripe.paymentMethods.create({
        type: 'card', billing_details: owner,
        card: {number: c.number, exp_month: 11, exp_year: 2035, cvc: c.brand === 'amex' ? '1234' : '123', ...more},
    })).id;
}

// [how, a payment of 20.00 by it: the charge, or the error]
function ways(c, more = {}) {
    const latest = {expand: ['latest_charge.balance_transaction']};
    const byMethod = async (method) => (await pay(2000, {payment_method: method, ...latest, ...more})).latest_charge;
    const list = [['its number', async () => byMethod(await typed(c))]];
    if (c.payment_method) list.push([c.payment_method, () => byMethod(c.payment_method)]);
    if (c.token)
        list.push([c.token, () => stripe.charges.create(
            {amount: 2000, currency: 'usd', source: c.token, expand: ['balance_transaction']})]);
    return list;
}

const title = (c, words) => `${c.payment_method ?? `…${c.number.slice(-4)}`} ${words ?? c.effect}`;
const checksOf = (charge) => charge.payment_method_details.card.checks;

function isThisCard(c, charge) {
    const card = charge.payment_method_details.card;
    assert.equal(card.brand, c.brand);
    assert.equal(card.last4, c.number.slice(-4));
    if (c.funding) assert.equal(card.funding, c.funding);
    if (c.country) assert.equal(card.country, c.country);
}

async function isPaid(c, charge, outcome = {type: 'authorized', risk_level: 'normal', reason: null}) {
    isThisCard(c, charge);
    assert.equal(charge.status, 'succeeded');
    assert.equal(charge.paid, true);
    assert.equal(charge.captured, true);
    assert.equal(charge.outcome.network_status, 'approved_by_network');
    for (const [name, value] of Object.entries(outcome)) assert.equal(charge.outcome[name], value, name);
    assert.equal(charge.balance_transaction.amount, 2000);
}

function isDeclined(error, {code, decline_code: declineCode, message}) {
    assert.equal(error.type, 'StripeCardError', error.message);
    assert.equal(error.statusCode, 402);
    assert.equal(error.code, code);
    if (declineCode) assert.equal(error.decline_code, declineCode);
    if (message) assert.equal(error.message, message);
}

// --- what pays, and what does not ----------------------------------------------------------------

for (const c of cards.filter(({group}) => group.startsWith('success_')))
    test(title(c), async () => {
        for (const [, pays] of ways(c)) await isPaid(c, await pays());
        const charge = await ways(c)[0][1]();
        assert.deepEqual(checksOf(charge),
            {address_line1_check: 'pass', address_postal_code_check: 'pass', cvc_check: 'pass'});
    });

for (const c of cards.filter(({group}) => group === 'declined'))
    test(title(c, `is refused: ${c.code} ${c.decline_code}; ${c.effect}`), async () => {
        if (!c.luhn) return isDeclined(await refused(typed(c)), c);
        for (const [how, pays] of ways(c)) {
            const error = await refused(pays());
            isDeclined(error, c);
            const charge = await stripe.charges.retrieve(error.charge ?? error.raw.charge);
            assert.equal(charge.status, 'failed', how);
            assert.equal(charge.outcome.type, 'issuer_declined');
            assert.equal(charge.outcome.network_status, 'declined_by_network');
        }
        const customer = await stripe.customers.create();
        const attach = stripe.paymentMethods.attach(await typed(c), {customer: customer.id});
        if (/refused \(402\) when attaching/.test(c.effect)) isDeclined(await refused(attach), c);
        else if (/^attaches/.test(c.effect)) assert.equal((await attach).customer, customer.id);
        else assert.fail(`what is "${c.effect}"?`);
    });

// --- risk and checks -----------------------------------------------------------------------------

const pass = {address_line1_check: 'pass', address_postal_code_check: 'pass', cvc_check: 'pass'};
const normal = {type: 'authorized', risk_level: 'normal', reason: null};
const elevated = {type: 'manual_review', risk_level: 'elevated', reason: 'elevated_risk_level'};
const weighed = {
    radarBlock: {blocked: true},
    riskLevelHighest: {blocked: true}, // as the setting block_highest_risk is from the beginning
    riskLevelElevated: {outcome: elevated, checks: pass},
    cvcCheckFail: {outcome: normal, checks: {...pass, cvc_check: 'fail'}},
    avsZipFail: {outcome: normal, checks: {...pass, address_postal_code_check: 'fail'}},
    cvcCheckFailElevatedRisk: {outcome: elevated, checks: {...pass, cvc_check: 'fail'}},
    avsZipFailElevatedRisk: {outcome: elevated, checks: {...pass, address_postal_code_check: 'fail'}},
    avsLine1Fail: {outcome: normal, checks: {...pass, address_line1_check: 'fail'}},
    avsFail: {outcome: normal, checks: {...pass, address_line1_check: 'fail', address_postal_code_check: 'fail'}},
    avsUnchecked: {outcome: normal,
        checks: {...pass, address_line1_check: 'unavailable', address_postal_code_check: 'unavailable'}},
};

async function isBlocked(error) {
    isDeclined(error, {code: 'card_declined', decline_code: 'fraudulent'});
    const charge = await stripe.charges.retrieve(error.charge ?? error.raw.charge);
    assert.equal(charge.status, 'failed');
    assert.equal(charge.paid, false);
    assert.equal(charge.balance_transaction, null);
    assert.equal(charge.failure_code, 'card_declined');
    assert.equal(charge.outcome.type, 'blocked');
    assert.equal(charge.outcome.network_status, 'not_sent_to_network');
    assert.equal(charge.outcome.reason, 'highest_risk_level');
    assert.equal(charge.outcome.risk_level, 'highest');
    assert.ok(charge.outcome.risk_score >= 75);
    assert.equal(charge.outcome.seller_message, 'Stripe blocked this payment.');
    assert.deepEqual(checksOf(charge),
        {address_line1_check: null, address_postal_code_check: null, cvc_check: null});
    const told = await until('charge.failed is told', async () =>
        (await all(stripe.events.list({type: 'charge.failed', limit: 20}))).find(
            (event) => event.data.object.id === charge.id));
    assert.equal(told.data.object.outcome.type, 'blocked');
}

for (const c of cards.filter(({group}) => group === 'fraud'))
    test(title(c), async () => {
        const expected = weighed[c.payment_method.replace('pm_card_', '')];
        assert.ok(expected, `${c.payment_method} stands in no table`);
        for (const [how, pays] of ways(c)) {
            if (expected.blocked) {
                const error = await refused(pays());
                await isBlocked(error);
                if (how === c.token) continue;
                assert.equal(error.payment_intent.status, 'requires_payment_method');
                assert.equal(error.payment_intent.amount_received, 0);
            } else {
                const charge = await pays();
                await isPaid(c, charge, expected.outcome);
                if (how === 'its number') assert.deepEqual(checksOf(charge), expected.checks);
            }
        }
        // What was not given is not checked, and nothing is weighed where no money is asked for.
        const bare = await stripe.paymentMethods.create(
            {type: 'card', card: {number: c.number, exp_month: 11, exp_year: 2035}});
        if (!expected.blocked) {
            const {latest_charge: charge} = await pay(500, {payment_method: bare.id, expand: ['latest_charge']});
            assert.deepEqual(checksOf(charge),
                {address_line1_check: null, address_postal_code_check: null, cvc_check: null});
        }
        const setup = await stripe.setupIntents.create(
            {confirm: true, payment_method: c.payment_method, payment_method_types: ['card']});
        assert.equal(setup.status, 'succeeded');
    });

// --- refunds and funds ---------------------------------------------------------------------------

const refunds = {
    pendingRefund: ['pending', 'succeeded', null],
    refundFail: ['succeeded', 'failed', 'expired_or_canceled_card'],
};

for (const c of cards.filter(({group}) => group === 'refund'))
    test(title(c), async () => {
        const [first, last, reason] = refunds[c.payment_method.replace('pm_card_', '')];
        const begun = [];
        for (const [, pays] of ways(c)) {
            const charge = await pays();
            await isPaid(c, charge);
            const refund = await stripe.refunds.create({charge: charge.id, amount: 700});
            assert.equal(refund.status, first);
            begun.push(refund.id);
        }
        for (const id of begun) {
            const refund = await until(`${id} is ${last}`, async () => {
                const now = await stripe.refunds.retrieve(id);
                return now.status === last && now;
            }, 40000);
            assert.equal(refund.failure_reason ?? null, reason);
        }
        const types = (await all(stripe.events.list({type: last === 'failed' ? 'refund.failed' : 'refund.updated'})))
            .map((event) => event.data.object.id);
        for (const id of begun) assert.ok(types.includes(id), `${id} was told of`);
    });

for (const c of cards.filter(({group}) => group === 'balance'))
    test(title(c), async () => {
        for (const [, pays] of ways(c)) {
            const charge = await pays();
            await isPaid(c, charge);
            assert.equal(charge.balance_transaction.status, 'available');
            assert.ok(charge.balance_transaction.available_on <= charge.created + 60);
        }
    });

// --- 3-D Secure ----------------------------------------------------------------------------------

const back = 'https://shop.example/done';
const wished = (how) => ({payment_method_options: {card: {request_three_d_secure: how}}});
// asks: the payer, on session; then: what comes of it when they approve; absent: off session; token:
// of a direct charge, where nobody can be asked.
const required = {asks: true, then: 'succeeded', absent: 'authentication_required', token: 'authentication_required'};
const secured = {
    authenticationRequiredOnSetup: {...required, afterSetup: 'succeeded'},
    authenticationRequired: {...required, afterSetup: 'authentication_required'},
    authenticationRequiredSetupForOffSession: {...required, absent: 'succeeded'},
    authenticationRequiredChargeDeclinedInsufficientFunds: {...required, then: 'insufficient_funds'},
    threeDSecure2Required: required,
    threeDSecureRequiredChargeDeclined: {...required, then: 'generic_decline'},
    threeDSecureRequiredProcessingError: {declined: 'generic_decline'},
    threeDSecureOptional: {absent: 'succeeded', wish: 'authenticated', wishAsks: true},
    threeDSecureOptionalProcessingError: {absent: 'succeeded', wish: 'processing_error'},
    amex_threeDSecureNotSupported: {absent: 'succeeded', wish: 'not_supported'},
};

async function approved(c, intent, then) {
    assert.equal(intent.status, 'requires_action');
    assert.equal(intent.latest_charge, null);
    await answer(pageOf(intent), 'approve');
    const after = await stripe.paymentIntents.retrieve(intent.id, {expand: ['latest_charge.balance_transaction']});
    if (then !== 'succeeded') {
        assert.equal(after.status, 'requires_payment_method');
        assert.equal(after.last_payment_error.decline_code, then);
        return;
    }
    await isPaid(c, after.latest_charge);
    const secure = after.latest_charge.payment_method_details.card.three_d_secure;
    assert.equal(secure.result, 'authenticated');
    assert.equal(secure.authentication_flow, 'challenge');
}

async function absently(c, method, more, expected) {
    const paying = pay(900, {payment_method: method, off_session: true, ...more});
    if (expected === 'succeeded') assert.equal((await paying).status, 'succeeded');
    else isDeclined(await refused(paying), {code: expected});
}

for (const c of cards.filter(({group}) => group === '3ds'))
    test(title(c), async () => {
        const name = c.payment_method?.replace('pm_card_', '');
        const expected = name ? secured[name] : required; // the challenges of an app are the page's here
        assert.ok(expected, `${name} stands in no table`);
        const methods = [await typed(c), ...(c.payment_method ? [c.payment_method] : [])];
        for (const method of methods) {
            const paying = pay(2000, {payment_method: method, return_url: back,
                expand: ['latest_charge.balance_transaction']});
            if (expected.declined) isDeclined(await refused(paying), {code: 'card_declined', decline_code: expected.declined});
            else if (expected.asks) await approved(c, await paying, expected.then);
            else await isPaid(c, (await paying).latest_charge);
        }
        if (expected.absent) await absently(c, await typed(c), {}, expected.absent);
        if (expected.wish) {
            const intent = await pay(900, {payment_method: await typed(c), return_url: back,
                expand: ['latest_charge'], ...wished('any')});
            assert.equal(intent.status, 'succeeded');
            assert.equal(intent.latest_charge.payment_method_details.card.three_d_secure.result, expected.wish);
        }
        if (expected.wishAsks)
            await approved(c, await pay(2000, {payment_method: await typed(c), return_url: back, ...wished('challenge')}),
                'succeeded');
        if (expected.afterSetup) {
            const {id: customer} = await stripe.customers.create();
            const setup = await stripe.setupIntents.create({confirm: true, customer, payment_method: await typed(c),
                payment_method_types: ['card'], return_url: back});
            assert.equal(setup.status, 'requires_action');
            await answer(pageOf(setup), 'approve');
            const ready = await stripe.setupIntents.retrieve(setup.id);
            assert.equal(ready.status, 'succeeded');
            await absently(c, ready.payment_method, {customer}, expected.afterSetup);
        }
        if (!c.token) return;
        const charging = stripe.charges.create(
            {amount: 2000, currency: 'usd', source: c.token, expand: ['balance_transaction']});
        if (expected.declined) isDeclined(await refused(charging), {code: 'card_declined', decline_code: expected.declined});
        else if (expected.token) isDeclined(await refused(charging), {code: expected.token});
        else await isPaid(c, await charging);
    });

// --- the rest ------------------------------------------------------------------------------------

test('every card of the file stands in a group that is tried here, or is a dispute', () => {
    const known = ['success_by_brand', 'success_by_country', 'declined', 'fraud', 'refund', 'balance', '3ds', 'dispute'];
    assert.deepEqual([...new Set(cards.map(({group}) => group))].filter((group) => !known.includes(group)), []);
});

test('what is typed wrong is refused as published', async (t) => {
    if (!published) return t.skip(`${file} is absent`);
    const wrong = {
        'exp_month=13': {exp_month: 13},
        'exp_year 50 years past': {exp_year: new Date().getFullYear() - 50},
        '2-digit cvc': {cvc: '12'},
        'Luhn fail': {number: '4242424242424241'},
    };
    for (const [what, code] of Object.entries(published.invalid_input)) {
        assert.ok(wrong[what], `what is "${what}"?`);
        const error = await refused(typed({number: '4242424242424242', brand: 'visa'}, wrong[what]));
        assert.equal(error.code, code, what);
        assert.equal(error.statusCode, 402, what);
    }
});
