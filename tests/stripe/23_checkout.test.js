// Checkout sessions by the official library. Paying on their page is tests/browser's.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {all, raw, refused, stripe, until} from './helpers.js';

const line_items = [
    {price_data: {currency: 'eur', unit_amount: 1850, product_data: {name: 'Enamel mug', description: 'Dark green', images: ['https://example.com/mug.png'], metadata: {sku: 'm-1'}}}, quantity: 2, metadata: {row: '1'}},
    {price_data: {currency: 'eur', unit_amount: 640, product_data: {name: 'Tea'}}, quantity: 1},
];
const base = {mode: 'payment', line_items, success_url: 'https://shop.example/thanks?s={CHECKOUT_SESSION_ID}'};
const make = (more = {}, options) => stripe.checkout.sessions.create({...base, ...more}, options);

// As the page does it: no key, the session's id in the path.
const card = 'payment_method_data[type]=card&payment_method_data[card][exp_month]=12&payment_method_data[card][exp_year]=2034&payment_method_data[card][cvc]=123&payment_method_data[billing_details][name]=Ada';
async function payOn(session, number) {
    const response = await fetch(new URL(`/v1/payment_pages/${session.id}/confirm`, process.env.FLORIN_URL), {
        method: 'POST', headers: {'Content-Type': 'application/x-www-form-urlencoded'},
        body: `${card}&payment_method_data[card][number]=${number}&email=ada@example.com`});
    const text = await response.text();
    return {status: response.status, text, json: JSON.parse(text)};
}

test('a session is made, shown, changed and listed', async () => {
    const session = await make({
        cancel_url: 'https://shop.example/basket', client_reference_id: 'basket-7', metadata: {order: '7'},
        payment_intent_data: {description: 'Order 7', metadata: {order: '7'}, statement_descriptor_suffix: 'ORDER 7',
            shipping: {name: 'Ada', address: {line1: 'Torstraße 1', city: 'Berlin', country: 'DE', postal_code: '10119'}}},
        phone_number_collection: {enabled: true}, submit_type: 'book', locale: 'de', customer_creation: 'always',
        expand: ['line_items.data.price.product'],
    });
    assert.match(session.id, /^cs_test_/);
    assert.equal(session.status, 'open');
    assert.equal(session.amount_total, 4340);
    assert.equal(session.line_items.data[0].price.product.metadata.sku, 'm-1');
    assert.equal(session.line_items.data[0].metadata.row, '1');
    assert.equal(session.payment_intent, null);
    assert.ok(session.expires_at > Date.now() / 1000 + 86000);
    const changed = await stripe.checkout.sessions.update(session.id, {metadata: {order: '8', more: 'x'}});
    assert.deepEqual(changed.metadata, {more: 'x', order: '8'});
    assert.deepEqual((await stripe.checkout.sessions.retrieve(session.id)).metadata, changed.metadata);
    const items = await stripe.checkout.sessions.listLineItems(session.id, {limit: 1});
    assert.equal(items.has_more, true);
    assert.deepEqual((await all(stripe.checkout.sessions.listLineItems(session.id, {limit: 1}))).map((item) => item.description), ['Enamel mug', 'Tea']);
    const listed = await stripe.checkout.sessions.list({limit: 1, status: 'open'});
    assert.equal(listed.data[0].id, session.id);
});

test('paying on the page completes the session, once, and tells the merchant', async () => {
    const session = await make({payment_intent_data: {metadata: {order: '9'}}});
    const declined = await payOn(session, '4000000000000002');
    assert.equal(declined.status, 402);
    assert.equal(declined.json.error.code, 'card_declined');
    assert.equal(declined.json.error.payment_intent.metadata, undefined, 'a page sees a part');
    const paid = await payOn(session, '4242424242424242');
    assert.equal(paid.status, 200, paid.text);
    assert.equal(paid.json.id, declined.json.error.payment_intent.id);
    const again = await payOn(session, '4242424242424242');
    assert.equal(again.status, 400);
    assert.equal(again.json.error.code, 'checkout_session_complete');
    const after = await stripe.checkout.sessions.retrieve(session.id, {expand: ['payment_intent']});
    assert.equal(after.payment_status, 'paid');
    assert.equal(after.customer_details.email, 'ada@example.com');
    assert.equal(after.payment_intent.metadata.order, '9');
    const charges = await all(stripe.charges.list({payment_intent: paid.json.id}));
    assert.equal(charges.filter((charge) => charge.paid).length, 1);
    const [event] = (await stripe.events.list({type: 'checkout.session.completed', limit: 1})).data;
    assert.equal(event.data.object.id, session.id);
    assert.equal((await stripe.checkout.sessions.list({payment_intent: paid.json.id})).data[0].id, session.id);
    const ours = await stripe.checkout.sessions.list({customer_details: {email: 'ada@example.com'}, limit: 1});
    assert.equal(ours.data[0].id, session.id);
});

test('many pages at once pay once', async () => {
    const session = await make();
    const answers = await Promise.all(Array.from({length: 8}, () => payOn(session, '4242424242424242')));
    assert.equal(answers.filter((answer) => answer.status === 200).length, 1, JSON.stringify(answers.map((a) => a.status)));
    const after = await stripe.checkout.sessions.retrieve(session.id);
    const charges = await all(stripe.charges.list({payment_intent: after.payment_intent}));
    assert.deepEqual(charges.map((charge) => charge.status), ['succeeded']);
});

test('a customer of the merchant’s, and money that is held', async () => {
    const customer = await stripe.customers.create({email: 'grace@example.com'});
    const session = await make({customer: customer.id, payment_intent_data: {capture_method: 'manual', setup_future_usage: 'off_session'}});
    assert.equal(session.customer_details.email, 'grace@example.com');
    const held = await payOn(session, '4242424242424242');
    assert.equal(held.json.status, 'requires_capture');
    assert.equal((await stripe.checkout.sessions.retrieve(session.id)).payment_status, 'unpaid');
    await stripe.paymentIntents.capture(held.json.id);
    const after = await stripe.checkout.sessions.retrieve(session.id, {expand: ['customer']});
    assert.equal(after.payment_status, 'paid');
    assert.equal(after.customer.id, customer.id);
    assert.equal((await stripe.customers.listPaymentMethods(customer.id)).data.length, 1);
    assert.equal((await stripe.checkout.sessions.list({customer: customer.id})).data.length, 1);
});

test('a card is set up on a page', async () => {
    const session = await stripe.checkout.sessions.create({mode: 'setup', currency: 'eur', success_url: base.success_url, customer_creation: 'always'});
    assert.equal(session.payment_status, 'no_payment_required');
    const done = await payOn(session, '4242424242424242');
    assert.equal(done.json.object, 'setup_intent', done.text);
    const after = await stripe.checkout.sessions.retrieve(session.id, {expand: ['setup_intent', 'customer']});
    assert.equal(after.status, 'complete');
    assert.equal(after.setup_intent.status, 'succeeded');
    assert.equal(after.customer.email, 'ada@example.com');
});

test('an expired session is closed, by hand and by the clock', async () => {
    const session = await make();
    const expired = await stripe.checkout.sessions.expire(session.id);
    assert.equal(expired.status, 'expired');
    assert.equal(expired.url, null);
    assert.equal((await refused(stripe.checkout.sessions.expire(session.id))).statusCode, 400);
    assert.equal((await payOn(session, '4242424242424242')).json.error.code, 'checkout_session_expired');
    const soon = await make({expires_at: Math.floor(Date.now() / 1000) + 2});
    await payOn(soon, '4000000000000002');
    await until('its time comes', async () => (await stripe.checkout.sessions.retrieve(soon.id)).status === 'expired');
    const after = await stripe.checkout.sessions.retrieve(soon.id, {expand: ['payment_intent']});
    assert.equal(after.payment_intent.status, 'canceled');
    const [event] = (await stripe.events.list({type: 'checkout.session.expired', limit: 1})).data;
    assert.equal(event.data.object.id, soon.id);
});

test('what is wrong is said by name', async () => {
    const cases = [
        [{success_url: undefined}, 'success_url', 'parameter_missing'],
        [{line_items: undefined}, 'line_items', 'parameter_missing'],
        [{line_items: [{price: 'price_1', quantity: 1}]}, 'line_items[0][price]'],
        [{line_items: [{quantity: 1}]}, 'line_items[0][price_data]', 'parameter_missing'],
        [{success_url: 'javascript:alert(1)'}, 'success_url', 'url_invalid'],
        [{mode: 'subscription'}, 'mode'],
        [{customer: 'cus_nobody'}, 'customer', 'resource_missing'],
        [{discounts: [{coupon: 'x'}]}, 'discounts[0][coupon]'],
        [{expires_at: Math.floor(Date.now() / 1000) + 90000}, 'expires_at'],
    ];
    for (const [more, param, code] of cases) {
        const error = await refused(make(more));
        assert.equal(error.statusCode, 400, param);
        assert.equal(error.param, param);
        if (code) assert.equal(error.code, code);
    }
    assert.equal((await refused(stripe.checkout.sessions.retrieve('cs_test_nobody'))).statusCode, 404);
    assert.equal((await raw('GET', '/v1/payment_pages/cs_test_nobody', {key: null})).status, 404); // no key is needed to be told so
});

test('the same key makes one session', async () => {
    const options = {idempotencyKey: `checkout-${Date.now()}`};
    const [one, two] = [await make({}, options), await make({}, options)];
    assert.equal(one.id, two.id);
});
