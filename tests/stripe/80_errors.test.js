import assert from 'node:assert/strict';
import {test} from 'node:test';
import {card, client, pay, publishable, publishableKey, raw, refused, secretKey, stripe, Stripe} from './helpers.js';

const intent = (params) => stripe.paymentIntents.create({amount: 2000, currency: 'usd', ...params});
const without = (name) => {
    const params = {amount: 2000, currency: 'usd'};
    delete params[name];
    return stripe.paymentIntents.create(params);
};

const exactly = (text) => new RegExp(`^${text.replace(/[[\]]/g, '\\$&')}$`);

// what is asked, code, param, a piece of the message
const rows = [
    ['an unknown parameter', () => intent({foo: 'bar'}), 'parameter_unknown', 'foo', 'Received unknown parameter: foo'],
    ['an unknown parameter inside another', () => intent({shipping: {name: 'x', address: {line1: 'y'}, colour: 'red'}}),
        'parameter_unknown', 'shipping[colour]', null],
    ['an unknown parameter of a list', () => stripe.customers.list({color: 'red'}), 'parameter_unknown', 'color', null],
    ['no amount', () => without('amount'), 'parameter_missing', 'amount', 'Missing required param: amount.'],
    ['no currency', () => without('currency'), 'parameter_missing', 'currency', 'Missing required param: currency.'],
    ['an amount in words', () => intent({amount: 'abc'}), 'parameter_invalid_integer', 'amount', 'Invalid integer: abc'],
    ['an amount with a point', () => intent({amount: '10.5'}), 'parameter_invalid_integer', 'amount', 'Invalid integer: 10.5'],
    ['an amount in another notation', () => intent({amount: '1e3'}), 'parameter_invalid_integer', 'amount', null],
    ['an amount in hexadecimal', () => intent({amount: '0x10'}), 'parameter_invalid_integer', 'amount', null],
    ['an amount beyond 64 bits', () => intent({amount: '99999999999999999999'}), null, 'amount', null],
    ['an amount below zero', () => intent({amount: -5}), null, 'amount', null],
    ['an amount of nothing', () => intent({amount: 0}), null, 'amount', null],
    ['an amount below the minimum', () => intent({amount: 49}), 'amount_too_small', 'amount', 'Amount must be at least'],
    ['an amount above the maximum', () => intent({amount: 100000000}), 'amount_too_large', 'amount', 'no more than'],
    ['an empty amount', () => intent({amount: ''}), 'parameter_invalid_empty', 'amount', 'You passed an empty string'],
    ['an unknown currency', () => intent({currency: 'zzz'}), null, 'currency', 'Invalid currency: zzz'],
    ['a flag that is none', () => intent({confirm: 'maybe'}), null, 'confirm', 'Invalid boolean: maybe'],
    ['a word that is none of several', () => intent({capture_method: 'later'}), null, 'capture_method',
        'Invalid capture_method: must be one of'],
    ['a text where a hash should be', () => intent({shipping: 'here'}), null, 'shipping', null],
    ['a hash where a text should be', () => intent({description: {a: 'b'}}), null, /^description(\[a\])?$/, null],
    ['a text that is too long', () => stripe.customers.create({description: 'x'.repeat(5001)}), null, 'description', null],
    ['a customer that is not there', () => intent({customer: 'cus_missing'}), 'resource_missing', 'customer',
        "No such customer: 'cus_missing'"],
    ['a method that is not there', () => intent({payment_method: 'pm_missing', confirm: true, ...card}),
        'resource_missing', 'payment_method', "No such PaymentMethod: 'pm_missing'"],
    ['off_session without confirm', () => intent({off_session: true}), null, 'off_session', null],
];

for (const [what, ask, code, param, piece] of rows) {
    test(`${what} is refused by name`, async () => {
        const error = await refused(ask());
        assert.ok(error instanceof Stripe.errors.StripeInvalidRequestError, `${error.type}: ${error.message}`);
        assert.equal(error.rawType, 'invalid_request_error');
        assert.equal(error.statusCode, 400, error.message);
        if (code) assert.equal(error.code, code, error.message);
        assert.match(error.param, param instanceof RegExp ? param : exactly(param), error.message);
        if (piece) assert.ok(error.message.includes(piece), error.message);
        assert.match(error.requestId, /^req_/);
    });
}

test('objects that are not there are 404, with the id in the words', async () => {
    const asks = {
        payment_intent: () => stripe.paymentIntents.retrieve('pi_missing'),
        charge: () => stripe.charges.retrieve('ch_missing'),
        customer: () => stripe.customers.retrieve('cus_missing'),
        PaymentMethod: () => stripe.paymentMethods.retrieve('pm_missing'),
        refund: () => stripe.refunds.retrieve('re_missing'),
        event: () => stripe.events.retrieve('evt_missing'),
        'webhook endpoint': () => stripe.webhookEndpoints.retrieve('we_missing'),
        'balance transaction': () => stripe.balanceTransactions.retrieve('txn_missing'),
    };
    for (const [what, ask] of Object.entries(asks)) {
        const error = await refused(ask());
        assert.equal(error.statusCode, 404, what);
        assert.equal(error.code, 'resource_missing', what);
        assert.match(error.message, /No such .*_missing'/, what);
    }
});

test('a request without a key, and one with a wrong key, are 401', async () => {
    const none = await raw('GET', '/v1/balance', {key: null});
    assert.equal(none.status, 401);
    assert.equal(none.json.error.type, 'invalid_request_error');
    const wrong = await refused(client('sk_test_wrongwrongwrongwrongfoobar').balance.retrieve());
    assert.ok(wrong instanceof Stripe.errors.StripeAuthenticationError);
    assert.match(wrong.message, /Invalid API Key provided: sk_test_\*+o?obar/);
    assert.ok(!wrong.message.includes('wrongwrong'));
});

test('an unknown address is 404 and says what was asked', async () => {
    const answer = await raw('GET', '/v1/nonsense');
    assert.equal(answer.status, 404);
    assert.match(answer.json.error.message, /Unrecognized request URL \(GET: \/v1\/nonsense\)/);
    assert.match(answer.headers.get('request-id'), /^req_/);
    const method = await raw('DELETE', '/v1/balance');
    assert.equal(method.status, 404);
});

test('the keys of an error stand in alphabetic order', async () => {
    const answer = await raw('POST', '/v1/payment_intents', {body: 'amount=abc&currency=usd'});
    assert.equal(answer.status, 400);
    const keys = Object.keys(answer.json.error);
    assert.deepEqual(keys, [...keys].sort());
});

test('a publishable key makes payment methods', async () => {
    const method = await publishable.paymentMethods.create({
        type: 'card',
        card: {number: '4242424242424242', exp_month: 12, exp_year: 2034, cvc: '123'},
    });
    assert.match(method.id, /^pm_/);
    const answer = await raw('POST', '/v1/payment_methods', {key: null,
        body: `key=${publishableKey}&type=card&card[number]=4242424242424242&card[exp_month]=12&card[exp_year]=2034&card[cvc]=123`});
    assert.equal(answer.status, 200, answer.text);
});

test('a publishable key reads and confirms a payment whose client secret it has', async () => {
    const created = await intent({...card});
    const read = await publishable.paymentIntents.retrieve(created.id, {client_secret: created.client_secret});
    assert.equal(read.id, created.id);
    const confirmed = await publishable.paymentIntents.confirm(created.id,
        {client_secret: created.client_secret, payment_method: 'pm_card_visa'});
    assert.equal(confirmed.status, 'succeeded');
});

test('a publishable key does nothing without the client secret, or with another', async () => {
    const [one, other] = [await intent({...card}), await intent({...card})];
    for (const params of [undefined, {client_secret: other.client_secret}, {client_secret: `${one.id}_secret_guess`}]) {
        const read = await refused(publishable.paymentIntents.retrieve(one.id, params));
        assert.ok(read.statusCode >= 400 && read.statusCode < 500, read.message);
        const confirm = await refused(publishable.paymentIntents.confirm(one.id,
            {...params, payment_method: 'pm_card_visa'}));
        assert.ok(confirm.statusCode >= 400 && confirm.statusCode < 500, confirm.message);
    }
    assert.equal((await stripe.paymentIntents.retrieve(one.id)).status, 'requires_payment_method');
});

test('a publishable key is refused everywhere else', async () => {
    const paid = await pay();
    const asks = [
        () => publishable.customers.list(),
        () => publishable.customers.create({name: 'x'}),
        () => publishable.paymentIntents.create({amount: 2000, currency: 'usd'}),
        () => publishable.paymentIntents.list(),
        () => publishable.charges.retrieve(paid.latest_charge),
        () => publishable.refunds.create({payment_intent: paid.id}),
        () => publishable.balance.retrieve(),
        () => publishable.balanceTransactions.list(),
        () => publishable.events.list(),
        () => publishable.webhookEndpoints.list(),
    ];
    for (const ask of asks) {
        const error = await refused(ask());
        assert.ok([401, 403].includes(error.statusCode), `${error.statusCode}: ${error.message}`);
    }
});

test('a secret key does not pass where there is another', async () => {
    const answer = await raw('GET', `/v1/balance?key=${secretKey}`, {key: null});
    assert.ok([401, 400].includes(answer.status)); // keys do not belong into addresses
});
