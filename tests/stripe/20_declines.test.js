import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import {test} from 'node:test';
import {pay, refused, shared, stripe, Stripe} from './helpers.js';

const declines = [
    // pm_card_…, number, code, decline_code, message
    ['visa_chargeDeclined', '4000000000000002', 'card_declined', 'generic_decline', 'Your card was declined.'],
    ['visa_chargeDeclinedInsufficientFunds', '4000000000009995', 'card_declined', 'insufficient_funds',
        'Your card has insufficient funds.'],
    ['visa_chargeDeclinedLostCard', '4000000000009987', 'card_declined', 'lost_card', 'Your card was declined.'],
    ['visa_chargeDeclinedStolenCard', '4000000000009979', 'card_declined', 'stolen_card', 'Your card was declined.'],
    ['chargeDeclinedExpiredCard', '4000000000000069', 'expired_card', 'expired_card', 'Your card has expired.'],
    ['chargeDeclinedIncorrectCvc', '4000000000000127', 'incorrect_cvc', 'incorrect_cvc',
        "Your card's security code is incorrect."],
    ['chargeDeclinedProcessingError', '4000000000000119', 'processing_error', 'processing_error',
        'An error occurred while processing your card. Try again in a little bit.'],
    ['visa_chargeDeclinedVelocityLimitExceeded', '4000000000006975', 'card_declined', 'card_velocity_exceeded', null],
];

function checkDecline(error, code, declineCode, message) {
    assert.ok(error instanceof Stripe.errors.StripeCardError, `${error.type}: ${error.message}`);
    assert.equal(error.type, 'StripeCardError');
    assert.equal(error.rawType, 'card_error');
    assert.equal(error.statusCode, 402);
    assert.equal(error.code, code);
    assert.equal(error.decline_code, declineCode);
    if (message) assert.equal(error.message, message);
    assert.match(error.requestId, /^req_/);
    assert.match(error.doc_url, new RegExp(`error-codes/${code.replaceAll('_', '-')}$`));
}

for (const [name, number, code, declineCode, message] of declines) {
    test(`pm_card_${name} is declined: ${code} / ${declineCode}`, async () => {
        const error = await refused(pay(2000, {payment_method: `pm_card_${name}`}));
        checkDecline(error, code, declineCode, message);

        const intent = error.payment_intent;
        assert.equal(intent.status, 'requires_payment_method');
        assert.equal(intent.payment_method, null);
        assert.equal(intent.amount_received, 0);
        assert.equal(intent.last_payment_error.code, code);
        assert.equal(intent.last_payment_error.decline_code, declineCode);
        assert.equal(intent.last_payment_error.charge, error.charge);
        assert.equal(intent.last_payment_error.payment_method.card.last4, number.slice(-4));
        assert.equal(error.payment_method.id, intent.last_payment_error.payment_method.id);

        const charge = await stripe.charges.retrieve(error.charge);
        assert.equal(charge.status, 'failed');
        assert.equal(charge.paid, false);
        assert.equal(charge.failure_code, code);
        assert.equal(charge.balance_transaction, null);
        assert.equal(charge.payment_intent, intent.id);
        assert.equal(charge.outcome.type, 'issuer_declined');

        // The payment lives on: another card pays it.
        const paid = await stripe.paymentIntents.confirm(intent.id, {payment_method: 'pm_card_visa'});
        assert.equal(paid.status, 'succeeded');
        assert.equal(paid.last_payment_error, null);
    });

    test(`${number}, typed in, is declined the same, and cannot be attached`, async () => {
        const method = await stripe.paymentMethods.create({
            type: 'card',
            card: {number, exp_month: 11, exp_year: 2035, cvc: '314'},
        });
        const customer = await stripe.customers.create({});
        checkDecline(await refused(stripe.paymentMethods.attach(method.id, {customer: customer.id})),
            code, declineCode, message);
        checkDecline(await refused(pay(2000, {payment_method: method.id})), code, declineCode, message);
    });
}

test('chargeCustomerFail can be attached and is declined then', async () => {
    const customer = await stripe.customers.create({});
    const method = await stripe.paymentMethods.attach('pm_card_chargeCustomerFail', {customer: customer.id});
    const error = await refused(pay(2000, {payment_method: method.id, customer: customer.id}));
    checkDecline(error, 'card_declined', 'generic_decline', 'Your card was declined.');
});

test('a declined manual payment holds nothing', async () => {
    const error = await refused(pay(2000,
        {payment_method: 'pm_card_visa_chargeDeclined', capture_method: 'manual'}));
    assert.equal(error.payment_intent.amount_capturable, 0);
    assert.equal(error.payment_intent.status, 'requires_payment_method');
});

test('a number that is none is refused before it is a card', async () => {
    const rows = [
        [{number: '4242424242424241'}, 'incorrect_number', 'number'],
        [{number: '42424242424'}, null, 'number'],
        [{exp_month: 13}, 'invalid_expiry_month', 'exp_month'],
        [{exp_year: 1970}, 'invalid_expiry_year', 'exp_year'],
        [{cvc: '99'}, 'invalid_cvc', 'cvc'],
    ];
    for (const [wrong, code] of rows) {
        const fields = {number: '4242424242424242', exp_month: 12, exp_year: 2034, cvc: '123', ...wrong};
        const error = await refused(stripe.paymentMethods.create({type: 'card', card: fields}));
        assert.ok([400, 402].includes(error.statusCode), error.message);
        if (code) assert.equal(error.code, code);
    }
});

// Disputes come later; until then these cards must not pay as if nothing were special.
test('cards whose behaviour is not there yet say so instead of succeeding', async (t) => {
    const file = path.join(shared ?? '', 'stripe/test-cards.json');
    if (!fs.existsSync(file)) return t.skip(`${file} is absent`);
    const special = JSON.parse(fs.readFileSync(file)).cards.filter(({group, payment_method: name}) => name &&
        group === 'dispute');
    assert.ok(special.length > 5);
    const succeeded = [];
    for (const c of special) {
        const answer = await pay(2000, {payment_method: c.payment_method}).catch((error) => error);
        if (!(answer instanceof Error)) succeeded.push(`${c.payment_method}: ${answer.status}`);
        else assert.ok(answer.statusCode >= 400 && answer.statusCode < 500, `${c.payment_method}: ${answer.message}`);
    }
    assert.deepEqual(succeeded, []);
});
