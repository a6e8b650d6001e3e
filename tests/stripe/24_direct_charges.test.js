import assert from 'node:assert/strict';
import {test} from 'node:test';
import {all, fee, inParallel, listen, refused, stripe, Stripe} from './helpers.js';

const usd = {currency: 'usd'};

test('a charge takes money at once, without a payment around it', async (t) => {
    const hook = await listen(t, ['charge.succeeded']);
    const charge = await stripe.charges.create({...usd, amount: 2000, source: 'tok_visa', description: 'Socks',
        metadata: {order: '7'}, receipt_email: 'jo@example.com', statement_descriptor_suffix: 'SOCKS',
        transfer_group: 'g1', shipping: {name: 'Jo', address: {line1: '1 Way'}}, expand: ['balance_transaction']});
    assert.match(charge.id, /^ch_/);
    assert.equal(charge.status, 'succeeded');
    assert.equal(charge.captured, true);
    assert.equal(charge.payment_intent, null);
    assert.equal(charge.payment_method, charge.source.id);
    assert.equal(charge.source.object, 'card');
    assert.equal(charge.outcome.type, 'authorized');
    assert.equal(charge.balance_transaction.fee, fee(2000));
    assert.equal(charge.metadata.order, '7');
    assert.equal(charge.shipping.name, 'Jo');
    const read = await stripe.charges.retrieve(charge.id);
    assert.equal(read.description, 'Socks');
    assert.ok((await stripe.charges.list({transfer_group: 'g1'})).data.some((c) => c.id === charge.id));
    await hook.next('charge.succeeded', (d) => d.event.data.object.id === charge.id);
});

test('a charge is held, then captured in part', async () => {
    const held = await stripe.charges.create({...usd, amount: 2000, source: 'tok_visa', capture: false});
    assert.equal(held.captured, false);
    assert.equal(held.paid, true);
    assert.equal(held.status, 'succeeded');
    assert.equal(held.balance_transaction, null);
    assert.equal((await refused(stripe.charges.capture(held.id, {amount: 2001}))).param, 'amount');
    const captured = await stripe.charges.capture(held.id, {amount: 1200});
    assert.equal(captured.captured, true);
    assert.equal(captured.amount_captured, 1200);
    assert.equal(captured.amount_refunded, 800);
    assert.equal((await refused(stripe.charges.capture(held.id))).code, 'charge_already_captured');
    const refund = await stripe.refunds.create({charge: held.id});
    assert.equal(refund.amount, 1200);
    assert.equal((await stripe.charges.retrieve(held.id)).refunded, true);
});

test('a refund of what is only held releases it', async () => {
    const held = await stripe.charges.create({...usd, amount: 900, source: 'tok_visa', capture: false});
    await refused(stripe.refunds.create({charge: held.id, amount: 100}));
    const refund = await stripe.refunds.create({charge: held.id});
    assert.equal(refund.status, 'succeeded');
    assert.equal(refund.balance_transaction, null);
    const charge = await stripe.charges.retrieve(held.id, {expand: ['refunds']});
    assert.equal(charge.refunded, true);
    assert.deepEqual(charge.refunds.data.map((r) => r.id), [refund.id]);
    assert.equal((await refused(stripe.charges.capture(held.id))).statusCode, 400);
});

test('declines, with the charge', async () => {
    for (const [token, code, decline] of [['tok_visa_chargeDeclined', 'card_declined', 'generic_decline'],
        ['tok_visa_chargeDeclinedInsufficientFunds', 'card_declined', 'insufficient_funds'],
        ['tok_visa_chargeDeclinedStolenCard', 'card_declined', 'stolen_card'],
        ['tok_chargeDeclinedExpiredCard', 'expired_card', 'expired_card'],
        ['tok_chargeDeclinedIncorrectCvc', 'incorrect_cvc', 'incorrect_cvc'],
        ['tok_chargeDeclinedProcessingError', 'processing_error', 'processing_error']]) {
        const error = await refused(stripe.charges.create({...usd, amount: 2000, source: token}));
        assert.ok(error instanceof Stripe.errors.StripeCardError, token);
        assert.equal(error.statusCode, 402);
        assert.equal(error.code, code);
        assert.equal(error.decline_code, decline);
        const charge = await stripe.charges.retrieve(error.charge);
        assert.equal(charge.status, 'failed');
        assert.equal(charge.failure_code, code);
        assert.equal(charge.balance_transaction, null);
        assert.equal((await refused(stripe.refunds.create({charge: charge.id}))).statusCode, 400);
    }
});

test('a customer is charged', async () => {
    const customer = await stripe.customers.create({source: 'tok_visa'});
    const second = await stripe.customers.createSource(customer.id, {source: 'tok_mastercard'});
    const first = await stripe.charges.create({...usd, amount: 500, customer: customer.id});
    assert.equal(first.source.id, customer.default_source);
    assert.equal(first.customer, customer.id);
    const other = await stripe.charges.create({...usd, amount: 500, customer: customer.id, source: second.id});
    assert.equal(other.source.brand, 'MasterCard');
    assert.equal((await all(stripe.charges.list({customer: customer.id}))).length, 2);
    const poor = await stripe.customers.create({});
    const none = await refused(stripe.charges.create({...usd, amount: 500, customer: poor.id}));
    assert.equal(none.code, 'missing');
    assert.equal(none.statusCode, 402);
    const foreign = await refused(stripe.charges.create({...usd, amount: 500, customer: poor.id, source: second.id}));
    assert.equal(foreign.code, 'missing');
    assert.equal((await refused(stripe.charges.create({...usd, amount: 500}))).statusCode, 400);
    assert.equal((await refused(stripe.charges.create({...usd, amount: 20, source: 'tok_visa'}))).code, 'amount_too_small');
});

test('the same key charges once', async () => {
    const key = `direct-${Date.now()}`;
    const answers = await inParallel(10, 10, () =>
        stripe.charges.create({...usd, amount: 500, source: 'tok_visa'}, {idempotencyKey: key, maxNetworkRetries: 10}));
    assert.equal(new Set(answers.map((c) => c.id)).size, 1);
    const declined = `declined-${Date.now()}`;
    const errors = await Promise.all([1, 2].map(() => refused(stripe.charges.create({...usd, amount: 500,
        source: 'tok_visa_chargeDeclined'}, {idempotencyKey: declined, maxNetworkRetries: 10}))));
    assert.equal(errors[0].charge, errors[1].charge);
});

test('funds that are available at once', async () => {
    const before = await stripe.balance.retrieve();
    const charge = await stripe.charges.create({...usd, amount: 5000, source: 'tok_bypassPending', expand: ['balance_transaction']});
    assert.equal(charge.balance_transaction.status, 'available');
    const after = await stripe.balance.retrieve();
    const usdOf = (b) => b.available.find((a) => a.currency === 'usd')?.amount ?? 0;
    assert.equal(usdOf(after) - usdOf(before), 5000 - fee(5000));
});

test('countries and brands', async () => {
    for (const [token, brand, country] of [['tok_visa', 'Visa', 'US'], ['tok_mastercard', 'MasterCard', 'US'],
        ['tok_amex', 'American Express', 'US'], ['tok_discover', 'Discover', 'US'], ['tok_diners', 'Diners Club', 'US'],
        ['tok_jcb', 'JCB', 'JP'], ['tok_unionpay', 'UnionPay', 'CN'], ['tok_de', 'Visa', 'DE'], ['tok_br', 'Visa', 'BR']]) {
        const charge = await stripe.charges.create({...usd, amount: 500, source: token});
        assert.equal(charge.source.brand, brand);
        assert.equal(charge.source.country, country);
    }
});
