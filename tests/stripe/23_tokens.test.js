import assert from 'node:assert/strict';
import {test} from 'node:test';
import {all, card, listen, publishable, refused, stripe, Stripe, raw} from './helpers.js';

const typed = {number: '4242424242424242', exp_month: 8, exp_year: 2031, cvc: '123'};
const nextYear = new Date().getUTCFullYear() + 1;

test('a page makes a token with the publishable key; a server charges it once', async () => {
    const token = await publishable.tokens.create({card: {...typed, name: 'Jenny Rosen', address_zip: '94102'}});
    assert.match(token.id, /^tok_/);
    assert.equal(token.type, 'card');
    assert.equal(token.used, false);
    assert.equal(token.card.brand, 'Visa');
    assert.equal(token.card.last4, '4242');
    assert.equal(token.card.name, 'Jenny Rosen');
    assert.equal(token.card.cvc_check, 'unchecked');
    assert.equal(token.card.address_zip_check, 'unchecked');
    const charge = await stripe.charges.create({amount: 2000, currency: 'usd', source: token.id});
    assert.equal(charge.paid, true);
    assert.equal(charge.source.id, token.card.id);
    assert.equal(charge.source.cvc_check, 'pass');
    assert.equal(charge.source.address_zip_check, 'pass');
    const again = await refused(stripe.charges.create({amount: 2000, currency: 'usd', source: token.id}));
    assert.ok(again instanceof Stripe.errors.StripeInvalidRequestError);
    assert.equal(again.code, 'token_already_used');
    assert.match(again.message, new RegExp(`more than once: ${token.id}`));
    assert.equal((await stripe.tokens.retrieve(token.id)).used, true);
});

test('of ten charges with one token at the same moment one is made', async () => {
    const token = await stripe.tokens.create({card: typed});
    const answers = await Promise.allSettled(Array.from({length: 10},
        () => stripe.charges.create({amount: 100, currency: 'usd', source: token.id})));
    assert.equal(answers.filter((a) => a.status === 'fulfilled').length, 1);
    for (const a of answers.filter((a) => a.status === 'rejected'))
        assert.equal(a.reason.code, 'token_already_used');
});

test('a wrong card makes no token', async () => {
    for (const [change, code] of [[{number: '4242424242424241'}, 'incorrect_number'],
        [{exp_month: 13}, 'invalid_expiry_month'], [{exp_year: 1990}, 'invalid_expiry_year'], [{cvc: '12'}, 'invalid_cvc']]) {
        const error = await refused(stripe.tokens.create({card: {...typed, ...change}}));
        assert.equal(error.code, code);
        assert.equal(error.statusCode, 402);
    }
    assert.equal((await refused(stripe.tokens.create({}))).code, 'parameter_missing');
    assert.equal((await refused(stripe.tokens.retrieve('tok_nothing'))).statusCode, 404);
});

test('no card number or code comes back out of a token', async () => {
    const answer = await raw('POST', '/v1/tokens', {body: 'card[number]=4242424242424242&card[exp_month]=1&' +
        `card[exp_year]=${nextYear}&card[cvc]=987`});
    assert.equal(answer.status, 200);
    assert.doesNotMatch(answer.text, /42424242|987"/);
});

test('test tokens are taken wherever a card is', async () => {
    const method = await stripe.paymentMethods.create({type: 'card', card: {token: 'tok_mastercard'}});
    assert.equal(method.card.brand, 'mastercard');
    const token = await stripe.tokens.create({card: typed});
    const own = await stripe.paymentMethods.create({type: 'card', card: {token: token.id}});
    assert.match(own.id, /^pm_/);
    const intent = await stripe.paymentIntents.create({amount: 500, currency: 'usd', confirm: true, ...card,
        payment_method_data: {type: 'card', card: {token: 'tok_visa_debit'}}});
    assert.equal(intent.status, 'succeeded');
    const second = await stripe.tokens.create({card: typed});
    const other = await stripe.paymentIntents.create({amount: 500, currency: 'usd', confirm: true, ...card,
        payment_method_data: {type: 'card', card: {token: second.id}}});
    assert.equal(other.status, 'succeeded');
    const charge = await stripe.charges.create({amount: 500, currency: 'usd', source: 'tok_jp'});
    assert.equal(charge.source.country, 'JP');
    assert.match((await stripe.tokens.retrieve('tok_visa')).id, /^tok_[0-9A-Za-z]{24}$/);
    assert.match((await stripe.paymentMethods.retrieve('pm_card_visa')).id, /^pm_[0-9A-Za-z]{24}$/);
    const none = await refused(stripe.charges.create({amount: 500, currency: 'usd', source: 'tok_none'}));
    assert.equal(none.code, 'resource_missing');
    assert.equal(none.param, 'source');
});

test('sources: kept, shown, changed, deleted', async (t) => {
    const hook = await listen(t, ['customer.source.created', 'customer.source.updated', 'customer.source.deleted']);
    const customer = await stripe.customers.create({source: 'tok_visa', expand: ['default_source', 'sources']});
    const first = customer.default_source;
    assert.equal(first.object, 'card');
    assert.equal(first.customer, customer.id);
    assert.deepEqual(customer.sources.data.map((s) => s.id), [first.id]);
    const second = await stripe.customers.createSource(customer.id, {source: 'tok_mastercard', metadata: {a: '1'}});
    assert.equal(second.brand, 'MasterCard');
    assert.equal(second.metadata.a, '1');
    const listed = await all(stripe.customers.listSources(customer.id, {object: 'card', limit: 1}));
    assert.deepEqual(listed.map((s) => s.id), [second.id, first.id]);
    const changed = await stripe.customers.updateSource(customer.id, second.id,
        {name: 'Jo', address_zip: '10115', exp_year: nextYear + 2});
    assert.equal(changed.name, 'Jo');
    assert.equal(changed.exp_year, nextYear + 2);
    assert.equal((await stripe.customers.retrieveSource(customer.id, second.id)).address_zip, '10115');
    const deleted = await stripe.customers.deleteSource(customer.id, first.id);
    assert.equal(deleted.deleted, true);
    assert.equal((await stripe.customers.retrieve(customer.id)).default_source, second.id);
    assert.equal((await refused(stripe.customers.retrieveSource(customer.id, first.id))).statusCode, 404);
    const other = await stripe.customers.create({});
    assert.equal((await refused(stripe.customers.retrieveSource(other.id, second.id))).statusCode, 404);
    const gone = await hook.next('the deletion', (d) => d.event.type === 'customer.source.deleted');
    assert.equal(gone.event.data.object.id, first.id);
});

test('a kept card is a payment method too', async () => {
    const customer = await stripe.customers.create({source: 'tok_visa'});
    const id = customer.default_source;
    const intent = await stripe.paymentIntents.create({amount: 700, currency: 'usd', customer: customer.id,
        payment_method: id, confirm: true, expand: ['payment_method'], ...card});
    assert.equal(intent.status, 'succeeded');
    assert.equal(intent.payment_method.id, id);
    assert.equal(intent.payment_method.card.last4, '4242');
    const method = await stripe.customers.retrievePaymentMethod(customer.id, id);
    assert.equal(method.object, 'payment_method');
    assert.ok((await all(stripe.customers.listPaymentMethods(customer.id))).some((m) => m.id === id));
    await stripe.paymentMethods.detach(id);
    assert.equal((await stripe.customers.retrieve(customer.id)).default_source, null);
});

test('updating a customer with a source replaces the former', async () => {
    const customer = await stripe.customers.create({source: 'tok_visa'});
    const updated = await stripe.customers.update(customer.id, {source: 'tok_amex'});
    assert.notEqual(updated.default_source, customer.default_source);
    assert.deepEqual((await all(stripe.customers.listSources(customer.id))).map((s) => s.brand), ['American Express']);
    const third = await stripe.customers.createSource(customer.id, {source: 'tok_discover'});
    assert.equal((await stripe.customers.update(customer.id, {default_source: third.id})).default_source, third.id);
    assert.equal((await refused(stripe.customers.update(customer.id, {default_source: 'card_x'}))).code, 'missing');
});

test('cards that refuse to be kept: every one that declines, and not the one that declines later', async () => {
    const customer = await stripe.customers.create({});
    for (const [name, code] of [['visa_chargeDeclined', 'card_declined'], ['visa_chargeDeclinedLostCard', 'card_declined'],
        ['chargeDeclinedExpiredCard', 'expired_card'], ['chargeDeclinedIncorrectCvc', 'incorrect_cvc'],
        ['chargeDeclinedProcessingError', 'processing_error'],
        ['visa_chargeDeclinedVelocityLimitExceeded', 'card_declined']]) {
        const source = await refused(stripe.customers.createSource(customer.id, {source: `tok_${name}`}));
        assert.equal(source.statusCode, 402, name);
        assert.equal(source.code, code);
        const method = await refused(stripe.paymentMethods.attach(`pm_card_${name}`, {customer: customer.id}));
        assert.equal(method.code, code);
    }
    const kept = await stripe.customers.createSource(customer.id, {source: 'tok_chargeCustomerFail'});
    const error = await refused(stripe.charges.create({amount: 500, currency: 'usd', customer: customer.id, source: kept.id}));
    assert.equal(error.code, 'card_declined');
});

test('the code and address checks of an issuer, when they were given', async () => {
    const address = {line1: '1 Way', postal_code: '94102'};
    for (const [number, cvc, zip, line1] of [
        ['4242424242424242', 'pass', 'pass', 'pass'], ['4000000000000101', 'fail', 'pass', 'pass'],
        ['4000000000000036', 'pass', 'fail', 'pass'], ['4000000000000028', 'pass', 'pass', 'fail'],
        ['4000000000000010', 'pass', 'fail', 'fail'], ['4000000000000044', 'pass', 'unavailable', 'unavailable']]) {
        const intent = await stripe.paymentIntents.create({amount: 500, currency: 'usd', confirm: true, ...card,
            payment_method_data: {type: 'card', card: {...typed, number}, billing_details: {address}},
            expand: ['latest_charge']});
        assert.deepEqual({...intent.latest_charge.payment_method_details.card.checks},
            {address_line1_check: line1, address_postal_code_check: zip, cvc_check: cvc}, number);
        const source = await stripe.tokens.create({card: {...typed, number, address_line1: '1 Way', address_zip: '94102'}});
        const charge = await stripe.charges.create({amount: 500, currency: 'usd', source: source.id});
        assert.equal(charge.source.cvc_check, cvc);
        assert.equal(charge.source.address_zip_check, zip);
        assert.equal(charge.source.address_line1_check, line1);
    }
    const bare = await stripe.paymentIntents.create({amount: 500, currency: 'usd', confirm: true, ...card,
        payment_method: 'pm_card_avsFail', expand: ['latest_charge']});
    assert.equal(bare.latest_charge.payment_method_details.card.checks.address_line1_check, null);
});

test('the default payment method of a customer is one of theirs, and goes when it goes', async () => {
    const customer = await stripe.customers.create({payment_method: 'pm_card_visa',
        invoice_settings: {default_payment_method: 'pm_card_visa'}});
    const id = customer.invoice_settings.default_payment_method;
    assert.match(id, /^pm_[0-9A-Za-z]{24}$/);
    const foreign = await stripe.paymentMethods.create({type: 'card', card: {token: 'tok_visa'}});
    await refused(stripe.customers.update(customer.id, {invoice_settings: {default_payment_method: foreign.id}}));
    await stripe.paymentMethods.detach(id);
    assert.equal((await stripe.customers.retrieve(customer.id)).invoice_settings.default_payment_method, null);
});

test('a deleted customer has no cards that could be charged', async () => {
    const customer = await stripe.customers.create({source: 'tok_visa'});
    const deleted = await stripe.customers.del(customer.id);
    assert.equal(deleted.deleted, true);
    assert.equal((await stripe.customers.retrieve(customer.id)).deleted, true);
    assert.equal((await refused(stripe.customers.listSources(customer.id))).statusCode, 404);
    assert.equal((await refused(stripe.customers.createSource(customer.id, {source: 'tok_visa'}))).statusCode, 404);
    const charge = await refused(stripe.charges.create({amount: 500, currency: 'usd', customer: customer.id}));
    assert.equal(charge.code, 'resource_missing');
    const update = await refused(stripe.customers.update(customer.id, {name: 'x'}));
    assert.equal(update.code, 'resource_missing');
});

test('a confirmation token confirms one payment', async () => {
    const chosen = await stripe.testHelpers.confirmationTokens.create({payment_method_data: {type: 'card', card: {token: 'tok_visa'},
        billing_details: {name: 'Jo'}}, return_url: 'https://example.com/back', setup_future_usage: 'off_session',
    shipping: {name: 'Jo', address: {line1: '1 Way', country: 'DE'}}});
    assert.match(chosen.id, /^ctoken_/);
    assert.equal(chosen.payment_method_preview.card.last4, '4242');
    assert.equal(chosen.payment_method_preview.billing_details.name, 'Jo');
    const intent = await stripe.paymentIntents.create({amount: 900, currency: 'usd', confirm: true, confirmation_token: chosen.id});
    assert.equal(intent.status, 'succeeded');
    assert.equal(intent.shipping.name, 'Jo');
    assert.equal(intent.setup_future_usage, 'off_session');
    assert.equal((await stripe.confirmationTokens.retrieve(chosen.id)).payment_intent, intent.id);
    const again = await refused(stripe.paymentIntents.create({amount: 900, currency: 'usd', confirm: true, confirmation_token: chosen.id}));
    assert.equal(again.statusCode, 400);
    const second = await stripe.testHelpers.confirmationTokens.create({payment_method: 'pm_card_visa'});
    const open = await stripe.paymentIntents.create({amount: 900, currency: 'usd', ...card});
    assert.equal((await stripe.paymentIntents.confirm(open.id, {confirmation_token: second.id})).status, 'succeeded');
});
