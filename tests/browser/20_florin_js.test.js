// florin.js on a page of another origin: docs/examples/shop.mjs as it stands.
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import path from 'node:path';
import {test} from 'node:test';
import {browser, declined, fill, good, origin, picture, press, publishableKey, shop, stripe} from './helpers.js';

async function exampleShop(t) {
    const shop = spawn(process.execPath, [path.join(process.env.FLORIN_CHECKOUT, 'docs/examples/shop.mjs')], {
        env: {...process.env, PORT: '0'}, stdio: ['ignore', 'pipe', 'inherit']});
    t.after(() => shop.kill());
    for await (const line of shop.stdout) return String(line).trim();
}

const card = ({number, expiry, cvc, name}) => ({number, expiry: `${expiry.slice(0, 2)}/${expiry.slice(2)}`, cvc, name});

test('a card typed into a shop’s own page pays, and its number goes to Florin alone', async (t) => {
    const page = await browser(t);
    const url = await exampleShop(t);
    const toShop = [];
    page.on('request', (request) => { if (request.url().startsWith(url)) toShop.push(request.postData() ?? ''); });
    await page.goto(url);
    await fill(page, card(declined));
    await page.locator('#card button').click();
    await page.locator('#problem:not(:empty)').waitFor();
    assert.equal(await page.locator('#problem').textContent(), 'Your card was declined.');
    await fill(page, {number: '4242 4242 4242 4241'});
    await page.locator('#card button').click();
    await page.locator('#problem', {hasText: 'incorrect'}).waitFor();
    await fill(page, {number: '4242 4242 4242 4242'});
    await page.locator('#card button').click();
    await page.locator('#result:not(:empty)').waitFor();
    assert.equal(await page.locator('#result').textContent(), 'Payment succeeded');
    await picture(page, '30-own-page');
    const [payment] = (await stripe.paymentIntents.list({limit: 1})).data;
    assert.equal(payment.status, 'succeeded');
    assert.equal(payment.amount, 1850);
    assert.doesNotMatch(toShop.join(), /4242/);
    assert.deepEqual(page.strangers, []);
    assert.deepEqual(page.complaints, []);
});

test('the same shop sends its payer to the checkout page and back', async (t) => {
    const page = await browser(t);
    await page.goto(await exampleShop(t));
    await page.getByRole('button', {name: 'Pay on Florin’s page'.replace('’', "'")}).click();
    await page.locator('#page[aria-busy=false]').waitFor();
    await fill(page, good);
    await press(page);
    await page.waitForURL(/\/thanks\?session=cs_test_/);
});

test('a page may do what publishable keys may, and nothing else', async (t) => {
    const page = await browser(t);
    await page.goto((await shop(t)).url);
    await page.addScriptTag({url: `${origin}/florin.js`});
    const [secret] = [process.env.FLORIN_SECRET_KEY];
    assert.match(await page.evaluate((key) => { try { Florin(key); return ''; } catch (error) { return error.message; } }, secret), /never be in a page/);
    const call = (key, path) => page.evaluate(([url, bearer]) => fetch(url, {headers: {Authorization: `Bearer ${bearer}`}})
        .then((response) => response.status, (error) => error.name), [`${origin}${path}`, key]);
    assert.equal(await call(publishableKey, '/v1/balance'), 'TypeError');
    assert.equal(await call(secret, '/v1/balance'), 'TypeError');
    const payment = await stripe.paymentIntents.create({amount: 500, currency: 'eur', payment_method_types: ['card']});
    const path = `/v1/payment_intents/${payment.id}?client_secret=${payment.client_secret}`;
    assert.equal(await call(publishableKey, path), 200);
    assert.equal(await call(secret, path), 'TypeError', 'a secret key in a browser gets nothing to read');
    assert.equal(await call('pk_test_nobody', path), 401);
    const seen = await page.evaluate(([key, client_secret]) => Florin(key).retrievePayment(client_secret), [publishableKey, payment.client_secret]);
    assert.equal(seen.paymentIntent.status, 'requires_payment_method');
    const wrong = await page.evaluate(([key, client_secret]) => Florin(key).retrievePayment(client_secret), [publishableKey, `${payment.client_secret.slice(0, -1)}_`]);
    assert.equal(wrong.error.param, 'client_secret');
    const typed = await page.evaluate((key) => Florin(key).createPaymentMethod({number: '4242424242424242', exp_month: 12, exp_year: 2034, cvc: '123'},
        {billing_details: {name: 'Ada', address: {postal_code: '10115'}}, metadata: {from: 'page'}}), publishableKey);
    assert.equal(typed.paymentMethod.card.last4, '4242');
    assert.equal(typed.paymentMethod.billing_details.address.postal_code, '10115');
});
