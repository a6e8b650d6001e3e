// The checkout page: paying, being refused, being helped.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import {test} from 'node:test';
import {arrived, browser, declined, fill, good, open, origin, picture, press, session, shop, stripe, until} from './helpers.js';

test('a person pays with a card and lands on the success URL', async (t) => {
    const page = await browser(t);
    const made = await session(t, {metadata: {order: '7'}});
    assert.equal(made.url, `${origin}/pay/${made.id}`);
    await open(page, made);
    assert.equal(await page.title(), 'Pay · First merchant');
    assert.equal(await page.locator('#total').textContent(), '€43.40');
    assert.match(await page.locator('#items').textContent(), /Enamel mug.*€37\.00.*2 × €18\.50.*Peppermint tea.*€6\.40/);
    assert.equal(await page.locator('#submit').textContent(), 'Pay €43.40');
    await picture(page, '10-checkout');
    await fill(page, good);
    assert.equal(await page.locator('#number').inputValue(), '4242 4242 4242 4242');
    assert.equal(await page.locator('#expiry').inputValue(), '12 / 34');
    assert.equal(await page.locator('#brand').textContent(), 'Visa');
    await picture(page, '11-checkout-filled');
    await press(page);
    await arrived(page, made);

    const after = await stripe.checkout.sessions.retrieve(made.id, {expand: ['payment_intent.latest_charge', 'line_items']});
    assert.equal(after.status, 'complete');
    assert.equal(after.payment_status, 'paid');
    assert.equal(after.url, null);
    assert.equal(after.customer_details.email, good.email);
    assert.equal(after.customer_details.name, good.name);
    assert.equal(after.customer_details.address.postal_code, good.postal_code);
    assert.equal(after.payment_intent.status, 'succeeded');
    assert.equal(after.payment_intent.amount_received, 4340);
    assert.equal(after.payment_intent.latest_charge.payment_method_details.card.checks.cvc_check, 'pass');
    assert.equal(after.line_items.data.length, 2);
    const events = await stripe.events.list({type: 'checkout.session.completed', limit: 1});
    assert.equal(events.data[0].data.object.id, made.id);
    assert.equal(events.data[0].data.object.metadata.order, '7');
    assert.deepEqual(page.strangers, []);
    assert.deepEqual(page.complaints, []);

    // Whoever goes back is told that it is done, and sent on.
    await page.goto(`${origin}/pay/${made.id}`);
    await arrived(page, made);
});

test('a declined card is told where it is typed, and another one pays', async (t) => {
    const page = await browser(t);
    const made = await session(t);
    await open(page, made);
    await fill(page, declined);
    await press(page);
    await page.locator('#problem').waitFor();
    assert.match(await page.locator('#problem').textContent(), /^Your card was declined\. Nothing was charged\./);
    assert.equal(await page.evaluate(() => document.activeElement.id), 'problem');
    await picture(page, '12-checkout-declined');
    assert.equal((await stripe.checkout.sessions.retrieve(made.id)).status, 'open');

    await fill(page, {number: '4000000000000127'});
    await press(page);
    await page.locator('#cvc[aria-invalid=true]').waitFor();
    assert.equal(await page.locator('#cvc-error').textContent(), "Your card's security code is incorrect.");
    assert.equal(await page.evaluate(() => document.activeElement.id), 'cvc');
    await picture(page, '13-checkout-wrong-code');

    await fill(page, good);
    await press(page);
    await arrived(page, made);
    const after = await stripe.checkout.sessions.retrieve(made.id);
    const charges = await stripe.charges.list({payment_intent: after.payment_intent});
    assert.deepEqual(charges.data.map((charge) => charge.status), ['succeeded', 'failed', 'failed']);
});

test('what is missing or mistyped is said in place, before anything is sent', async (t) => {
    const page = await browser(t);
    const made = await session(t);
    let sent = 0;
    page.on('request', (request) => { sent += request.method() === 'POST'; });
    await open(page, made);
    await press(page);
    assert.equal(await page.evaluate(() => document.activeElement.id), 'email');
    for (const name of ['email', 'number', 'expiry', 'cvc', 'name'])
        assert.match(await page.locator(`#${name}-error`).textContent(), /^Please enter/);
    await picture(page, '14-checkout-empty');
    await fill(page, {...good, email: 'ada', number: '4242424242424241', expiry: '1320', cvc: '12'});
    await press(page);
    assert.match(await page.locator('#email-error').textContent(), /does not look like/);
    assert.match(await page.locator('#number-error').textContent(), /not right/);
    assert.match(await page.locator('#expiry-error').textContent(), /no such month/);
    assert.match(await page.locator('#cvc-error').textContent(), /incomplete/);
    await picture(page, '15-checkout-mistyped');
    // A complaint goes while it is mended.
    await fill(page, {number: '4242424242424242'});
    assert.equal(await page.locator('#number-error').textContent(), '');
    await fill(page, {expiry: '01/2020'});
    await page.locator('#cvc').focus();
    assert.match(await page.locator('#expiry-error').textContent(), /has expired/);
    assert.equal(sent, 0);
});

test('numbers are grouped as on the card, and a digit can be mended in the middle', async (t) => {
    const page = await browser(t, {colorScheme: 'dark'});
    const made = await session(t, {submit_type: 'donate', phone_number_collection: {enabled: true}, customer_email: 'grace@example.com'});
    await open(page, made);
    assert.equal(await page.locator('#submit').textContent(), 'Donate €43.40');
    assert.equal(await page.locator('#email').inputValue(), 'grace@example.com');
    const number = page.locator('#number');
    await number.pressSequentially('378282246310005');
    assert.equal(await number.inputValue(), '3782 822463 10005');
    assert.equal(await page.locator('#brand').textContent(), 'American Express');
    assert.equal(await page.locator('#cvc-hint').textContent(), '4 digits on the front');
    await picture(page, '16-checkout-dark');
    await number.fill('');
    await number.pressSequentially('42424424242424242');
    for (let i = 0; i < 14; i++) await number.press('ArrowLeft');
    await number.press('Backspace');
    assert.equal(await number.evaluate((input) => input.value.replaceAll(' ', '').length), 16);
    await fill(page, {...good, phone: '030 123456'});
    await press(page);
    await arrived(page, made);
    const after = await stripe.checkout.sessions.retrieve(made.id);
    assert.equal(after.customer_details.email, 'grace@example.com');
    assert.equal(after.customer_details.phone, '030 123456');
});

test('on a small phone, by keyboard alone', async (t) => {
    const page = await browser(t, {viewport: {width: 320, height: 640}, deviceScaleFactor: 2, hasTouch: true, isMobile: true});
    const long = 'A very long name of a thing that nobody would ever print on a label, Donaudampfschifffahrtsgesellschaftskapitän';
    const made = await session(t, {line_items: [{price_data: {currency: 'eur', unit_amount: 99999999, product_data: {name: long}}, quantity: 1}]});
    await open(page, made);
    const wide = () => page.evaluate(() => document.scrollingElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(await wide(), 0);
    await picture(page, '17-checkout-phone');
    const small = await page.locator('input:visible, button:visible, a:visible').evaluateAll((all) => all.filter((e) => e.getBoundingClientRect().height < 44).map((e) => e.id));
    assert.deepEqual(small, []);

    const order = ['cancel', 'email', 'number', 'expiry', 'cvc', 'name', 'postal_code', 'submit'];
    for (const name of order) {
        await page.keyboard.press('Tab');
        assert.equal(await page.evaluate(() => document.activeElement.id), name);
        assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none', name);
        if (good[name]) await page.keyboard.type(name === 'number' ? declined.number : good[name]);
    }
    await page.keyboard.press('Enter');
    await page.locator('#problem').waitFor();
    await picture(page, '18-checkout-phone-declined');
    assert.equal(await wide(), 0);
    await page.keyboard.press('Tab'); // from the message on to the fields
    assert.equal(await page.evaluate(() => document.activeElement.id), 'email');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Control+A');
    await page.keyboard.type(good.number);
    await page.keyboard.press('Enter');
    await arrived(page, made);
});

test('a bank that wants to see the payer sends them back, paid', async (t) => {
    const page = await browser(t);
    const made = await session(t);
    await open(page, made);
    await fill(page, {...good, number: '4000002760003184'});
    await press(page);
    await page.waitForURL(/\/3ds\//);
    await picture(page, '21-challenge');
    await page.getByRole('button', {name: 'Approve', exact: true}).click();
    await arrived(page, made);
    const after = await stripe.checkout.sessions.retrieve(made.id, {expand: ['payment_intent.latest_charge']});
    assert.equal(after.payment_status, 'paid');
    assert.equal(after.payment_intent.latest_charge.payment_method_details.card.three_d_secure.result, 'authenticated');
    assert.deepEqual(page.strangers, []);
});

test('who does not approve is told, and pays otherwise', async (t) => {
    const page = await browser(t, {viewport: {width: 390, height: 780}, deviceScaleFactor: 2, hasTouch: true, isMobile: true});
    const made = await session(t);
    await open(page, made);
    await fill(page, {...good, number: '4000002760003184'});
    await press(page);
    await page.waitForURL(/\/3ds\//);
    await picture(page, '22-challenge-phone');
    await page.getByRole('button', {name: /fail|decline|not|cancel/i}).first().click();
    await page.waitForURL(made.url);
    await page.locator('#problem:not(:empty)').waitFor();
    assert.match(await page.locator('#problem').textContent(), /^Your bank could not confirm that it is you\. Nothing was charged\./);
    await picture(page, '23-checkout-not-approved');
    assert.equal((await stripe.checkout.sessions.retrieve(made.id)).status, 'open');
    await fill(page, good);
    await press(page);
    await arrived(page, made);
});

test('a page that is left while the bank asks can be paid on again', async (t) => {
    const page = await browser(t);
    const made = await session(t);
    await open(page, made);
    await fill(page, {...good, number: '4000002760003184'});
    await press(page);
    await page.waitForURL(/\/3ds\//);
    await page.goto(made.url);
    await page.locator('#problem:not(:empty)').waitFor();
    assert.match(await page.locator('#problem').textContent(), /has not confirmed/);
    await fill(page, good);
    await press(page);
    await arrived(page, made);
    const charges = await stripe.charges.list({payment_intent: (await stripe.checkout.sessions.retrieve(made.id)).payment_intent});
    assert.deepEqual(charges.data.map((charge) => charge.status), ['succeeded']);
});

test('a card is kept for later', async (t) => {
    const page = await browser(t);
    const customer = await stripe.customers.create({email: 'grace@example.com', name: 'Grace'});
    const where = await shop(t);
    const made = {...await stripe.checkout.sessions.create({mode: 'setup', customer: customer.id, success_url: `${where.url}/thanks?session={CHECKOUT_SESSION_ID}`}), shop: where};
    await open(page, made);
    assert.equal(await page.locator('#submit').textContent(), 'Save card');
    await picture(page, '24-checkout-setup');
    await fill(page, {...good, number: '4000002760003184'});
    await press(page);
    await page.waitForURL(/\/3ds\//);
    await page.getByRole('button', {name: 'Approve', exact: true}).click();
    await arrived(page, made);
    const after = await stripe.checkout.sessions.retrieve(made.id, {expand: ['setup_intent']});
    assert.equal(after.status, 'complete');
    assert.equal(after.payment_status, 'no_payment_required');
    const cards = await stripe.customers.listPaymentMethods(customer.id);
    assert.equal(cards.data[0].id, after.setup_intent.payment_method);
});

test('a button pressed twice and a second window pay once', async (t) => {
    const page = await browser(t);
    const made = await session(t);
    const second = await page.context().newPage();
    await open(page, made);
    await open(second, made);
    await fill(page, good);
    await fill(second, {...good, number: '5555555555554444'});
    await page.locator('#submit').dblclick();
    await press(second);
    await arrived(page, made);
    await arrived(second, made);
    const after = await stripe.checkout.sessions.retrieve(made.id);
    const charges = await stripe.charges.list({payment_intent: after.payment_intent});
    assert.deepEqual(charges.data.map((charge) => charge.status), ['succeeded']);
});

test('whoever changes their mind goes back to the basket', async (t) => {
    const page = await browser(t);
    const made = await session(t);
    await open(page, made);
    await page.locator('#cancel').click();
    await page.waitForURL(`${made.shop.url}/basket`);
    assert.equal((await stripe.checkout.sessions.retrieve(made.id)).status, 'open');
});

test('a session expires by itself, and its page says so', async (t) => {
    const page = await browser(t);
    const made = await session(t, {expires_at: Math.floor(Date.now() / 1000) + 4});
    await open(page, made);
    await fill(page, declined);
    await press(page);
    await page.locator('#problem').waitFor();
    await until('the session expires', async () => (await stripe.checkout.sessions.retrieve(made.id)).status === 'expired');
    await fill(page, good);
    await press(page);
    await page.locator('#end').waitFor();
    assert.equal(await page.locator('#end-title').textContent(), 'This page has expired');
    assert.equal(await page.locator('#end-link').getAttribute('href'), `${made.shop.url}/basket`);
    await picture(page, '19-checkout-expired');
    const after = await stripe.checkout.sessions.retrieve(made.id, {expand: ['payment_intent']});
    assert.equal(after.payment_intent.status, 'canceled');
    assert.equal(after.payment_intent.amount_received, 0);
    const events = await stripe.events.list({type: 'checkout.session.expired', limit: 1});
    assert.equal(events.data[0].data.object.id, made.id);
});

test('an address that is nobody’s shows nothing of anybody', async (t) => {
    const page = await browser(t, {viewport: {width: 390, height: 780}});
    await page.goto(`${origin}/pay/cs_test_000000000000000000000000`);
    await page.locator('#end').waitFor();
    assert.equal(await page.locator('#end-title').textContent(), 'There is no such page');
    await picture(page, '20-checkout-unknown');
});

test('texts of the merchant are texts, and no script but the page’s own runs', async (t) => {
    const page = await browser(t);
    const evil = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
    const made = await session(t, {line_items: [{price_data: {currency: 'jpy', unit_amount: 1000, product_data: {name: evil, description: evil}}, quantity: 1}]});
    await open(page, made);
    assert.equal(await page.locator('.what').textContent(), evil);
    assert.equal(await page.locator('.items img, .items script').count(), 0);
    assert.match(await page.locator('#total').textContent(), /1,000$/); // no decimals where there are none
    const ran = await page.evaluate(() => new Promise((resolve) => {
        document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective), {once: true});
        const script = document.createElement('script');
        script.textContent = 'document.title = 3';
        document.body.append(script);
    }));
    assert.match(ran, /^script-src/);
    assert.equal(await page.title(), 'Pay · First merchant');
    const framed = await page.context().newPage();
    const other = await shop(t);
    await framed.goto(other.url);
    await framed.setContent(`<iframe src="${made.url}"></iframe>`);
    await framed.waitForTimeout(300);
    assert.equal(await framed.frames()[1].locator('#form').count().catch(() => 0), 0, 'the page stands in nobody’s frame');
});

test('every field has its label, and what explains it', async (t) => {
    const page = await browser(t);
    const made = await session(t);
    await open(page, made);
    const faults = await page.evaluate(() => [...document.querySelectorAll('input')].flatMap((input) => [
        input.labels.length ? '' : `${input.id}: no label`,
        input.autocomplete ? '' : `${input.id}: no autocomplete`,
        ...(input.getAttribute('aria-describedby') ?? '').split(' ').map((id) => (document.getElementById(id) ? '' : `${input.id}: ${id}`)),
    ]).filter(Boolean));
    assert.deepEqual(faults, []);
    assert.equal(await page.locator('html').getAttribute('lang'), 'en');
    assert.equal(await page.locator('h1').count(), 1);
});

test('no card number is in any log', () => {
    const folder = path.join(process.env.FLORIN_HOME, 'log');
    for (const name of fs.readdirSync(folder)) {
        const log = fs.readFileSync(path.join(folder, name), 'utf8');
        assert.doesNotMatch(log, /4242424242424242|4000000000000002/, name);
    }
});
