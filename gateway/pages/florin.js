/* florin.js: cards from a page of your own, with a publishable key (docs/BROWSER.md).
 *
 *     <script src="https://pay.example.com/florin.js"></script>
 *     const florin = Florin('pk_test_…');
 *     const {paymentMethod, error} = await florin.createPaymentMethod({number, exp_month, exp_year, cvc});
 *     const {paymentIntent, error} = await florin.confirmPayment(client_secret, {payment_method, return_url});
 *
 * Nothing is thrown for what the API refuses: it is `error`, as the API says it. What fails on the way
 * is sent again under the same Idempotency-Key, so it is done once. */
'use strict';

(() => {
    const TRIES = 4;
    const home = document.currentScript ? new URL(document.currentScript.src).origin : location.origin;
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

    function newKey() {
        const bytes = crypto.getRandomValues(new Uint8Array(16));
        return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    }

    // {card: {number: 1}} becomes card[number]=1.
    function flatten(value, name, form) {
        if (value === undefined || value === null) return;
        if (typeof value === 'object')
            for (const [key, inner] of Object.entries(value)) flatten(inner, name ? `${name}[${key}]` : key, form);
        else form.set(name, String(value));
    }

    function formOf(values) {
        const form = new URLSearchParams();
        flatten(values, '', form);
        return form.toString();
    }

    const unreachable = () => ({error: {type: 'api_connection_error', message: 'The payment service cannot be reached. Please try again.'}});
    const invalid = (message, param) => ({error: {type: 'invalid_request_error', message, param}});

    async function ask(key, method, url, values) {
        const form = formOf(values);
        const headers = {Authorization: `Bearer ${key}`};
        if (method === 'POST') {
            headers['Content-Type'] = 'application/x-www-form-urlencoded';
            headers['Idempotency-Key'] = newKey();
        } else if (form) {
            url += `?${form}`;
        }
        for (let tried = 1; ; tried++) {
            try {
                const response = await fetch(url, {method, headers, body: method === 'POST' ? form : undefined,
                    credentials: 'omit', cache: 'no-store', referrerPolicy: 'no-referrer'});
                const body = await response.json();
                const again = response.status >= 500 || response.status === 429 || response.status === 409;
                if (!again || tried === TRIES) return body.error ? {error: body.error} : {object: body};
            } catch {
                if (tried === TRIES) return unreachable();
            }
            await pause(300 * 2 ** tried);
        }
    }

    const named = (name, answer) => (answer.error ? {error: answer.error} : {[name]: answer.object});
    const idOf = (secret) => (/^(pi_[A-Za-z0-9]+)_secret_[A-Za-z0-9]+$/.exec(secret ?? '') ?? [])[1];

    // Spaces and dashes are people's; "12/30" is a month and a year.
    function cardOf(fields) {
        const {number, cvc, expiry, token} = fields;
        let {exp_month, exp_year} = fields;
        if (expiry !== undefined) [exp_month, exp_year] = String(expiry).split('/').map((part) => part.trim());
        return {number: number === undefined ? undefined : String(number).replace(/[\s-]/g, ''), exp_month, exp_year, cvc, token};
    }

    function Florin(publishableKey, options = {}) {
        if (!/^pk_/.test(publishableKey ?? ''))
            throw new Error('Florin() wants a publishable key, pk_…: a secret key must never be in a page.');
        const base = (options.url ?? home).replace(/\/$/, '');
        const call = (method, path, values) => ask(publishableKey, method, base + path, values);

        return {
            /* A card becomes a payment method; its number goes to the vault alone. */
            async createPaymentMethod(card, more = {}) {
                return named('paymentMethod', await call('POST', '/v1/payment_methods', {type: 'card', card: cardOf(card), ...more}));
            },

            /* Where a payment stands. */
            async retrievePayment(clientSecret) {
                const id = idOf(clientSecret);
                if (!id) return invalid('This is no client_secret of a payment.', 'client_secret');
                return named('paymentIntent', await call('GET', `/v1/payment_intents/${id}`, {client_secret: clientSecret}));
            },

            /* Pays, with a payment method or a card. When the bank wants to see the payer, the browser
             * goes there and comes back to return_url; `redirect: 'never'` leaves that to you. */
            async confirmPayment(clientSecret, {payment_method, card, billing_details, return_url, redirect} = {}) {
                const id = idOf(clientSecret);
                if (!id) return invalid('This is no client_secret of a payment.', 'client_secret');
                const method = card ? {payment_method_data: {type: 'card', card: cardOf(card), billing_details}} : {payment_method};
                const answer = await call('POST', `/v1/payment_intents/${id}/confirm`, {client_secret: clientSecret, return_url, ...method});
                const action = answer.object?.next_action?.redirect_to_url?.url;
                if (answer.object?.status === 'requires_action' && action && redirect !== 'never') {
                    location.assign(new URL(action, base).href);
                    return new Promise(() => {}); // the page is about to go
                }
                return named('paymentIntent', answer);
            },
        };
    }

    window.Florin = Florin;
})();
