import assert from 'node:assert/strict';
import {test} from 'node:test';
import {all, pay, refused, stripe} from './helpers.js';

const mark = `search-${Date.now()}`;
const ids = (page) => page.data.map((object) => object.id);

async function found(resource, query, more = {}) {
    return ids(await stripe[resource].search({query, limit: 100, ...more}));
}

test('payments are found by their metadata, newest first, a page at a time', async () => {
    const made = [];
    for (let i = 0; i < 5; i++) made.unshift((await pay(1000 + i, {metadata: {batch: mark, number: `${i}`}})).id);
    const first = await stripe.paymentIntents.search({query: `metadata["batch"]:"${mark}"`, limit: 2});
    assert.equal(first.object, 'search_result');
    assert.equal(first.url, '/v1/payment_intents/search');
    assert.deepEqual(ids(first), made.slice(0, 2));
    assert.equal(first.has_more, true);
    const second = await stripe.paymentIntents.search({query: `metadata["batch"]:"${mark}"`, limit: 2, page: first.next_page});
    assert.deepEqual(ids(second), made.slice(2, 4));
    const every = await all(stripe.paymentIntents.search({query: `metadata["batch"]:"${mark}"`, limit: 2}));
    assert.deepEqual(every.map((p) => p.id), made);
    assert.deepEqual(await found('paymentIntents', `metadata["batch"]:"${mark.toUpperCase()}"`), made, 'letters of either case');
    assert.deepEqual(await found('paymentIntents', `metadata["BATCH"]:"${mark}"`), [], 'keys as they are written');

    const within = `metadata["batch"]:"${mark}" AND `;
    assert.deepEqual(await found('paymentIntents', `${within}amount>1002`), made.slice(0, 2));
    assert.deepEqual(await found('paymentIntents', `${within}amount>=1002`), made.slice(0, 3));
    assert.deepEqual(await found('paymentIntents', `${within}amount<1001`), made.slice(4));
    assert.deepEqual(await found('paymentIntents', `${within}amount<=1001 currency:"USD"`), made.slice(3));
    assert.deepEqual(await found('paymentIntents', `${within}-amount:1000 -amount:1001`), made.slice(0, 3));
    assert.deepEqual(await found('paymentIntents', `${within}status:"succeeded"`), made);
    assert.deepEqual(await found('paymentIntents', `${within}status:"canceled"`), []);
    assert.deepEqual(await found('paymentIntents', `${within}metadata["number"]:"3"`), [made[1]]);
    assert.deepEqual(await found('paymentIntents', `${within}-metadata["number"]:null`), made);
    assert.deepEqual(await found('paymentIntents', `${within}metadata["number"]:null`), []);
    assert.deepEqual(await found('paymentIntents', `${within}customer:null created>${Math.floor(Date.now() / 1000) - 600}`), made);
    assert.deepEqual(await found('paymentIntents', `${within}created<${Math.floor(Date.now() / 1000) - 600}`), []);
    assert.deepEqual(await found('paymentIntents', `metadata["batch"]:"${mark}" OR metadata["batch"]:"none"`), made);
    const shown = await stripe.paymentIntents.search({query: `${within}amount:1004`, expand: ['data.latest_charge']});
    assert.equal(shown.data[0].latest_charge.amount, 1004);
});

test('customers are found by parts of their names, addresses and numbers', async () => {
    const word = mark.replace('-', '');
    const jenny = await stripe.customers.create({name: `Jenny ${word} Rosen`, email: `Jenny@${word}.example`, phone: '+491234567'});
    const other = await stripe.customers.create({name: 'Somebody Else', email: `else@${word}.example`});
    assert.deepEqual(await found('customers', `name~"${word} ros"`), [jenny.id]);
    assert.deepEqual(await found('customers', `name:"jenny ${word} rosen"`), [jenny.id]);
    assert.deepEqual(await found('customers', `email~"@${word}."`), [other.id, jenny.id]);
    assert.deepEqual(await found('customers', `email:"jenny@${word}.example"`), [jenny.id]);
    assert.deepEqual(await found('customers', `email~"@${word}." -name~"jenny"`), [other.id]);
    assert.deepEqual(await found('customers', `email~"@${word}." phone~"1234"`), [jenny.id]);
    assert.deepEqual(await found('customers', `email~"%${word}"`), [], 'signs of SQL are letters like others');
    assert.deepEqual(await found('customers', `email~"_${word}"`), []);
    assert.deepEqual(await found('customers', `email:"'; DROP TABLE customer; --"`), []);
    await stripe.customers.update(other.id, {metadata: {tier: word}});
    assert.deepEqual(await found('customers', `metadata["tier"]:"${word}"`), [other.id]);
    await stripe.customers.del(other.id);
    assert.deepEqual(await found('customers', `metadata["tier"]:"${word}"`), []);
});

test('charges are found by customer, card and state', async () => {
    const customer = await stripe.customers.create({payment_method: 'pm_card_mastercard'});
    const [method] = (await stripe.customers.listPaymentMethods(customer.id)).data;
    const intent = await pay(4321, {customer: customer.id, payment_method: method.id, metadata: {charge: mark}});
    const mine = `customer:"${customer.id}"`;
    assert.deepEqual(await found('charges', mine), [intent.latest_charge]);
    assert.deepEqual(await found('charges', `${mine} AND payment_method_details.card.last4:"4444"`), [intent.latest_charge]);
    assert.deepEqual(await found('charges', `${mine} payment_method_details.card.brand:"visa"`), []);
    assert.deepEqual(await found('charges', `${mine} payment_method_details.card.exp_year>2020 amount:4321`), [intent.latest_charge]);
    assert.deepEqual(await found('charges', `${mine} refunded:false disputed:"false" status:"succeeded"`), [intent.latest_charge]);
    assert.deepEqual(await found('charges', `metadata["charge"]:"${mark}"`), [intent.latest_charge]);
    await stripe.refunds.create({payment_intent: intent.id});
    assert.deepEqual(await found('charges', `${mine} refunded:true`), [intent.latest_charge]);
    assert.deepEqual(await found('paymentIntents', mine), [intent.id]);
});

test('a query that is none is refused, and says why', async () => {
    const bad = [
        ['colour:"red"', /unsupported search field/],
        ['status:"a" AND amount:1 OR amount:2', /AND and OR/],
        ['status:"succeeded', /not closed/],
        ['amount>"many"', /whole number/],
        ['status~"succ"', /substring/],
        ['metadata:"x"', /keys/],
        ['(amount:1)', /parentheses/],
        [' ', /empty/],
    ];
    for (const [query, message] of bad) {
        const error = await refused(stripe.paymentIntents.search({query}));
        assert.equal(error.statusCode, 400, query);
        assert.equal(error.param, 'query', query);
        assert.match(error.message, message);
    }
    assert.match((await refused(stripe.customers.search({query: 'name~"ab"'}))).message, /at least 3/);
    assert.equal((await refused(stripe.charges.search({query: 'amount>0', page: 'nonsense'}))).param, 'page');
    assert.equal((await refused(stripe.charges.search({}))).code, 'parameter_missing');
    const clauses = Array.from({length: 11}, (_, i) => `amount>${i}`).join(' ');
    assert.match((await refused(stripe.charges.search({query: clauses}))).message, /up to 10/);
});
