// A small shop with two ways to take a card by Florin; node alone, no packages.
//
//     eval "$(./florin env)"
//     export FLORIN_URL FLORIN_SECRET_KEY FLORIN_PUBLISHABLE_KEY
//     PORT=8430 node docs/examples/shop.mjs
//
// Florin's page (POST /checkout): the shop makes a checkout session and sends the browser there; no card
// comes near the shop. The shop's own page (card.html): florin.js sends the card to Florin, and the shop
// sees a client_secret and a result.
import fs from 'node:fs';
import http from 'node:http';

const {FLORIN_URL, FLORIN_SECRET_KEY, FLORIN_PUBLISHABLE_KEY, PORT = '8430'} = process.env;
const files = new URL('.', import.meta.url);

// What the goods cost is for the shop's server to say, never for the page.
const mug = {name: 'Enamel mug', amount: 1850, currency: 'eur'};

async function florin(path, values) {
    const response = await fetch(new URL(path, FLORIN_URL), {
        method: 'POST',
        headers: {
            Authorization: `Bearer ${FLORIN_SECRET_KEY}`,
            'Content-Type': 'application/x-www-form-urlencoded',
            'Idempotency-Key': crypto.randomUUID(),
        },
        body: new URLSearchParams(values),
    });
    const body = await response.json();
    if (!response.ok) throw new Error(body.error.message);
    return body;
}

const pages = {
    'GET /': (request, response) => {
        const page = fs.readFileSync(new URL('card.html', files), 'utf8')
            .replaceAll('{{FLORIN_URL}}', FLORIN_URL)
            .replaceAll('{{PUBLISHABLE_KEY}}', FLORIN_PUBLISHABLE_KEY);
        response.setHeader('Content-Type', 'text/html; charset=utf-8');
        response.end(page);
    },
    'POST /payment': async (request, response) => {
        const payment = await florin('/v1/payment_intents', {
            amount: mug.amount, currency: mug.currency, 'payment_method_types[]': 'card',
        });
        response.setHeader('Content-Type', 'application/json');
        response.end(JSON.stringify({client_secret: payment.client_secret}));
    },
    'POST /checkout': async (request, response) => {
        const shop = `http://${request.headers.host}`;
        const session = await florin('/v1/checkout/sessions', {
            mode: 'payment',
            'line_items[0][price_data][currency]': mug.currency,
            'line_items[0][price_data][unit_amount]': mug.amount,
            'line_items[0][price_data][product_data][name]': mug.name,
            'line_items[0][quantity]': 1,
            success_url: `${shop}/thanks?session={CHECKOUT_SESSION_ID}`,
            cancel_url: `${shop}/`,
        });
        response.writeHead(303, {Location: session.url}).end();
    },
    'GET /thanks': (request, response) => {
        response.setHeader('Content-Type', 'text/html; charset=utf-8');
        response.end('<!doctype html><title>Thanks</title><h1>Thank you!</h1><p>What was paid, the webhook checkout.session.completed says.</p>');
    },
};

const server = http.createServer(async (request, response) => {
    const page = pages[`${request.method} ${new URL(request.url, 'http://shop').pathname}`];
    try {
        if (page) await page(request, response);
        else response.writeHead(404).end();
    } catch (error) {
        response.writeHead(502, {'Content-Type': 'application/json'}).end(JSON.stringify({error: error.message}));
    }
});
server.listen(Number(PORT), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
