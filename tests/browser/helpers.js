// What the tests in a browser share: the browser, a shop with success and cancel pages, and a person's
// way of filling the form in.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import {chromium} from 'playwright-core';
import Stripe from 'stripe';

const url = new URL(process.env.FLORIN_URL);
export const origin = url.origin;
export const publishableKey = process.env.FLORIN_PUBLISHABLE_KEY;
export const stripe = new Stripe(process.env.FLORIN_SECRET_KEY, {
    host: url.hostname, port: url.port, protocol: url.protocol.replace(':', ''), maxNetworkRetries: 3, telemetry: false,
});

const pictures = process.env.FLORIN_PICTURES;
export const picture = (page, name, options = {}) => page.screenshot({path: path.join(pictures, `${name}.png`), fullPage: true, ...options});

// A browser with a profile that nobody used before, gone when the test ends. `page.strangers` are requests
// to anybody but Florin and the shop, `page.complaints` what the console said was wrong.
export async function browser(t, options = {}) {
    const profile = fs.mkdtempSync(path.join(process.env.FLORIN_BROWSER_FOLDER, 'profile-'));
    const context = await chromium.launchPersistentContext(profile, {
        executablePath: process.env.CHROMIUM,
        headless: true,
        args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
            '--disable-background-networking', '--disable-component-update', '--disable-sync'],
        viewport: {width: 1180, height: 820},
        locale: 'en-IE',
        ...options,
    });
    t.after(async () => {
        await context.close();
        fs.rmSync(profile, {recursive: true, force: true});
    });
    context.setDefaultTimeout(20000);
    const page = context.pages()[0] ?? await context.newPage();
    page.strangers = [];
    page.complaints = [];
    page.on('request', (request) => {
        const to = new URL(request.url());
        if (to.protocol.startsWith('http') && to.hostname !== '127.0.0.1') page.strangers.push(request.url());
    });
    page.on('console', (message) => {
        // That a request was answered with 402 is no fault of the page's.
        if (message.type() === 'error' && !/status of 40\d/.test(message.text())) page.complaints.push(message.text());
    });
    page.on('pageerror', (error) => page.complaints.push(String(error)));
    return page;
}

// Where payers come back to.
export async function shop(t) {
    const visits = [];
    const server = http.createServer((request, response) => {
        visits.push(request.url);
        response.setHeader('Content-Type', 'text/html');
        response.end('<!doctype html><link rel="icon" href="data:,"><title>Shop</title><h1>The shop</h1>');
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
        server.closeAllConnections();
        return new Promise((resolve) => server.close(resolve));
    });
    return {visits, url: `http://127.0.0.1:${server.address().port}`};
}

export const items = [
    {price_data: {currency: 'eur', unit_amount: 1850, product_data: {name: 'Enamel mug', description: 'Dark green, 35 cl'}}, quantity: 2},
    {price_data: {currency: 'eur', unit_amount: 640, product_data: {name: 'Peppermint tea'}}, quantity: 1},
];

export async function session(t, more = {}) {
    const where = await shop(t);
    const made = await stripe.checkout.sessions.create({
        mode: 'payment', line_items: items,
        success_url: `${where.url}/thanks?session={CHECKOUT_SESSION_ID}`, cancel_url: `${where.url}/basket`, ...more,
    });
    return {...made, shop: where};
}

export const good = {email: 'ada@example.com', number: '4242424242424242', expiry: '1234', cvc: '123', name: 'Ada Lovelace', postal_code: '10115'};
export const declined = {...good, number: '4000000000000002'};

export async function open(page, made) {
    await page.goto(made.url);
    await page.locator('#page[aria-busy=false]').waitFor();
}

// Types as a person does, key by key.
export async function fill(page, card) {
    for (const [name, value] of Object.entries(card)) {
        const input = page.locator(`#${name}`);
        if (await input.getAttribute('readonly') !== null) continue;
        await input.fill('');
        await input.pressSequentially(value);
    }
}

export const press = (page) => page.locator('#submit').click();
export const arrived = (page, made) => page.waitForURL(`${made.shop.url}/thanks?session=${made.id}`);

export async function until(what, ask, ms = 20000) {
    for (const end = Date.now() + ms; ;) {
        const answer = await ask();
        if (answer) return answer;
        assert.ok(Date.now() < end, `waited ${ms} ms in vain: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}
