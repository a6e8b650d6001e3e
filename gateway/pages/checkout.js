/* The checkout page's own script. It asks the gateway what is to be paid, helps to type a card, sends
 * it, once, however often the button is pressed, and takes the payer where they belong.
 *
 * The address of the page is /pay/{session}; to know it is to be let in, so nothing else is stored or
 * sent. The state of the payment is always the gateway's: after whatever happened it is asked anew. */
'use strict';

const session = location.pathname.split('/').pop();
const api = '/v1/payment_pages/' + encodeURIComponent(session);
const $ = (id) => document.getElementById(id);
const TRIES = 4;
const names = ['email', 'number', 'expiry', 'cvc', 'name', 'postal_code', 'phone'];
let page = null;    // what the gateway told of the session
let busy = false;
let attempt = null; // {form, key}: the same request again has the same key, and is done once

// --- cards -----------------------------------------------------------------------------------------

const brands = [
    {name: 'American Express', starts: /^3[47]/, groups: [4, 6, 5], sizes: [15], cvc: 4},
    {name: 'Diners Club', starts: /^3(0[0-5]|[689])/, groups: [4, 6, 9], sizes: [14, 16, 19], cvc: 3},
    {name: 'Visa', starts: /^4/, groups: [4, 4, 4, 4, 3], sizes: [13, 16, 19], cvc: 3},
    {name: 'Mastercard', starts: /^(5[1-5]|2(22[1-9]|2[3-9]|[3-6]|7[01]|720))/, groups: [4, 4, 4, 4], sizes: [16], cvc: 3},
    {name: 'Discover', starts: /^6(011|4[4-9]|5)/, groups: [4, 4, 4, 4, 3], sizes: [16, 19], cvc: 3},
    {name: 'JCB', starts: /^35(2[89]|[3-8])/, groups: [4, 4, 4, 4, 3], sizes: [16, 19], cvc: 3},
    {name: 'UnionPay', starts: /^62/, groups: [4, 4, 4, 4, 3], sizes: [16, 17, 18, 19], cvc: 3},
];
const other = {name: '', groups: [4, 4, 4, 4, 3], sizes: [12, 13, 14, 15, 16, 17, 18, 19], cvc: 3};
const digits = (text) => text.replace(/\D/g, '');
const brandOf = (number) => brands.find((brand) => brand.starts.test(number)) ?? other;

function grouped(number, groups) {
    const parts = [];
    for (const size of groups) {
        if (!number) break;
        parts.push(number.slice(0, size));
        number = number.slice(size);
    }
    return parts.join(' ');
}

function luhn(number) {
    let sum = 0;
    [...number].reverse().forEach((digit, i) => {
        const twice = Number(digit) * (i % 2 ? 2 : 1);
        sum += twice > 9 ? twice - 9 : twice;
    });
    return sum % 10 === 0;
}

// Four digits of a year come from browsers that fill cards in; "1" to "9" of a month need no zero.
function expiryOf(text) {
    const parts = text.includes('/') ? text.split('/').map(digits)
        : [digits(text).slice(0, 2), digits(text).slice(2)];
    const month = Number(parts[0]);
    const year = parts[1]?.length === 2 ? 2000 + Number(parts[1]) : Number(parts[1]);
    return {month, year, whole: parts[0] !== '' && (parts[1]?.length === 2 || parts[1]?.length === 4)};
}

// Replaces what is typed by its orderly form; the caret stays behind the digit that it was behind.
function tidy(input, orderly) {
    const before = digits(input.value.slice(0, input.selectionStart)).length;
    const atEnd = input.selectionStart === input.value.length;
    if (input.value === orderly) return;
    input.value = orderly;
    let caret = 0;
    for (let seen = 0; caret < orderly.length && seen < before; caret++)
        if (/\d/.test(orderly[caret])) seen++;
    if (atEnd) caret = orderly.length;
    if (document.activeElement === input) input.setSelectionRange(caret, caret);
}

function onNumber() {
    const number = digits($('number').value).slice(0, 19), brand = brandOf(number);
    tidy($('number'), grouped(number, brand.groups));
    $('brand').textContent = brand.name;
    $('cvc').maxLength = brand === other ? 4 : brand.cvc;
    $('cvc').placeholder = brand.cvc === 4 ? '1234' : '123';
    $('cvc-hint').textContent = brand.cvc === 4 ? '4 digits on the front' : '3 digits on the back';
}

function onExpiry(event) {
    const input = $('expiry');
    if (event.inputType?.startsWith('delete')) return;
    let text = digits(input.value);
    if (/^\d{2}\s*\/\s*20\d{2}$/.test(input.value.trim())) text = text.slice(0, 2) + text.slice(4);
    const slash = input.value.includes('/');
    if (slash && /^\s*\d\s*\//.test(input.value)) text = '0' + text;
    if (text.length === 1 && text > '1') text = '0' + text;
    text = text.slice(0, 4);
    tidy(input, text.length > 2 ? `${text.slice(0, 2)} / ${text.slice(2)}`
        : text.length === 2 ? `${text} / ` : text);
}

// --- what is wrong ----------------------------------------------------------------------------------

const checks = {
    email: (text) => (/^[^\s@]+@[^\s@]+$/.test(text) ? '' : text ? 'This does not look like an email address.' : 'Please enter your email address.'),
    number: (text) => {
        const number = digits(text), brand = brandOf(number);
        if (!number) return 'Please enter your card number.';
        if (number.length < Math.min(...brand.sizes)) return 'Your card number is incomplete.';
        return luhn(number) && brand.sizes.includes(number.length) ? '' : 'Your card number is not right. Please check its digits.';
    },
    expiry: (text) => {
        const {month, year, whole} = expiryOf(text), now = new Date();
        if (!digits(text)) return 'Please enter the expiry date.';
        if (!whole) return 'The expiry date is incomplete.';
        if (month < 1 || month > 12) return 'There is no such month.';
        if (year * 12 + month < now.getFullYear() * 12 + now.getMonth() + 1) return 'Your card has expired.';
        return year > now.getFullYear() + 50 ? 'The expiry year is too far away.' : '';
    },
    cvc: (text) => {
        const size = brandOf(digits($('number').value)).cvc;
        if (!digits(text)) return 'Please enter the security code.';
        return digits(text).length < size ? 'The security code is incomplete.' : '';
    },
    name: (text) => (text.trim() ? '' : 'Please enter the name on the card.'),
    postal_code: () => '',
    phone: (text) => (!page?.phone || digits(text).length >= 5 ? '' : 'Please enter your telephone number.'),
};

// What the gateway or the bank refused, and the field that it is about.
const fieldOf = {
    incorrect_number: 'number', invalid_number: 'number', expired_card: 'expiry',
    invalid_expiry_month: 'expiry', invalid_expiry_year: 'expiry', incorrect_cvc: 'cvc',
    invalid_cvc: 'cvc', incorrect_zip: 'postal_code', email_invalid: 'email',
};

function complain(name, text) {
    const input = $(name);
    $(`${name}-error`).textContent = text;
    if (text) input.setAttribute('aria-invalid', 'true');
    else input.removeAttribute('aria-invalid');
}

// All fields; the first that is at fault gets the focus.
function allIsWell() {
    let first = null;
    for (const name of names) {
        const text = $(name).readOnly ? '' : checks[name]($(name).value);
        complain(name, text);
        if (text) first ??= $(name);
    }
    first?.focus();
    return !first;
}

function showProblem(text, focus = true) {
    $('problem').textContent = text;
    $('problem').hidden = !text;
    if (text && focus) $('problem').focus();
}

// --- the gateway --------------------------------------------------------------------------------------

const tryAnother = 'Nothing was charged. You can try again, or use another card.';
// What the API says to programs, said to people.
const plain = (error) => (/authentication_failure$/.test(error.code)
    ? 'Your bank could not confirm that it is you.' : error.message);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function newKey() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

// Asks again when the line or the gateway fails: the key makes that harmless.
async function ask(path, form) {
    for (let tried = 1; ; tried++) {
        try {
            const response = await fetch(path, form === undefined ? {cache: 'no-store'} : {
                method: 'POST', body: form,
                headers: {'Content-Type': 'application/x-www-form-urlencoded', 'Idempotency-Key': attempt.key},
            });
            const body = await response.json();
            const again = response.status >= 500 || response.status === 429 || response.status === 409;
            if (!again || tried === TRIES) return {status: response.status, body};
        } catch {
            if (tried === TRIES) return {status: 0, body: {}};
        }
        await pause(400 * 2 ** tried);
    }
}

// --- what the payer sees --------------------------------------------------------------------------------

function money(amount) {
    const places = page.currency_decimals;
    return new Intl.NumberFormat(navigator.language, {
        style: 'currency', currency: page.currency, minimumFractionDigits: places, maximumFractionDigits: places,
    }).format(amount / 10 ** places);
}

// Only to where a shop can be: never to javascript: and its kin.
function webAddress(text) {
    try {
        const url = new URL(text);
        return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : null;
    } catch {
        return null;
    }
}

function go(text) {
    const url = webAddress(text);
    if (url) location.assign(url);
    return Boolean(url);
}

function element(tag, className, text) {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
}

function showItem(item) {
    const row = document.createElement('li');
    const many = item.quantity > 1;
    row.append(element('span', 'what', item.name), element('span', 'much', money(item.amount)));
    if (item.description) row.append(element('span', 'more', item.description));
    if (many) row.append(element('span', 'more', `${item.quantity} × ${money(item.unit_amount)}`));
    return row;
}

const verbs = {pay: 'Pay', book: 'Book', donate: 'Donate'};
const buttonText = () => (page.mode === 'setup' ? 'Save card' : `${verbs[page.submit_type] ?? 'Pay'} ${money(page.amount_total)}`);

function showOrder() {
    const setup = page.mode === 'setup';
    document.title = `${setup ? 'Save a card' : 'Pay'} · ${page.merchant}`;
    $('merchant').textContent = page.merchant;
    $('test').hidden = page.livemode;
    $('total-label').textContent = setup ? 'Nothing is charged now' : 'Total';
    $('total').textContent = setup ? 'Save your card' : money(page.amount_total);
    $('items').replaceChildren(...page.line_items.map(showItem));
    $('items').hidden = !page.line_items.length;
    $('paying-title').textContent = setup ? 'Your card' : 'Pay by card';
    const cancel = page.cancel_url && webAddress(page.cancel_url);
    if (cancel) $('cancel').href = cancel;
    $('cancel').hidden = !cancel || page.status !== 'open';
    if (page.email) $('email').value = page.email;
    $('email').readOnly = Boolean(page.email);
    $('phone-field').hidden = !page.phone;
    $('submit-text').textContent = buttonText();
}

function showEnd(mark, title, text, url, words) {
    const link = url && webAddress(url);
    $('paying').hidden = true;
    $('end').hidden = false;
    $('end').classList.toggle('stopped', mark !== '✓');
    $('end-mark').textContent = mark;
    $('end-title').textContent = title;
    $('end-text').textContent = text;
    $('end-link').hidden = !link;
    if (link) $('end-link').href = link;
    $('end-link').textContent = words ?? '';
    $('end').focus();
}

function setBusy(on, text = '') {
    busy = on;
    $('submit').setAttribute('aria-disabled', String(on));
    $('form').setAttribute('aria-busy', String(on));
    $('submit-text').textContent = on ? 'One moment…' : buttonText();
    $('progress').textContent = text;
}

// Where the payment stands decides what comes next. `asked`: somebody has just pressed the button.
async function followState(asked) {
    const intent = page.intent;
    if (page.status === 'complete') {
        showEnd('✓', 'Thank you!', `${page.mode === 'setup' ? 'Your card is saved' : 'Your payment was made'}. You are being taken back to ${page.merchant}.`, page.success_url, `Back to ${page.merchant}`);
        go(page.success_url);
        return;
    }
    if (page.status === 'expired') {
        showEnd('!', 'This page has expired', 'Nothing was charged. Please go back to the shop and begin again.', page.cancel_url, `Back to ${page.merchant}`);
        return;
    }
    if (intent?.status === 'processing') {
        setBusy(true, 'Your bank is being asked.');
        await pause(1000);
        await look(asked);
        return;
    }
    const action = intent?.status === 'requires_action' && intent.next_action?.redirect_to_url?.url;
    if (action && asked) {
        setBusy(true, 'Your bank would like to know that it is you.');
        go(action);
        return;
    }
    setBusy(false);
    if (action) showProblem('Your bank has not confirmed this payment. Press the button to try again, with this card or another.', false);
    else if (!asked && intent?.last_error) showProblem(`${plain(intent.last_error)} ${tryAnother}`, false);
}

async function look(asked) {
    const answer = await ask(api);
    if (answer.status === 200) {
        page = answer.body;
        showOrder();
        $('page').setAttribute('aria-busy', 'false');
        await followState(asked);
        return;
    }
    $('page').setAttribute('aria-busy', 'false');
    $('merchant').textContent = '';
    document.querySelector('.order').hidden = true;
    if (answer.status === 404) showEnd('!', 'There is no such page', 'The address may be cut off. Please go back to the shop and begin again.');
    else showEnd('!', 'This page cannot be shown now', 'Please load it again in a moment.');
}

// --- paying ----------------------------------------------------------------------------------------------

function formOfCard() {
    const {month, year} = expiryOf($('expiry').value), form = new URLSearchParams();
    form.set('email', $('email').value.trim());
    if (page.phone) form.set('phone', $('phone').value.trim());
    form.set('payment_method_data[type]', 'card');
    form.set('payment_method_data[card][number]', digits($('number').value));
    form.set('payment_method_data[card][exp_month]', month);
    form.set('payment_method_data[card][exp_year]', year);
    form.set('payment_method_data[card][cvc]', digits($('cvc').value));
    form.set('payment_method_data[billing_details][name]', $('name').value.trim());
    form.set('payment_method_data[billing_details][email]', $('email').value.trim());
    if ($('postal_code').value.trim()) form.set('payment_method_data[billing_details][address][postal_code]', $('postal_code').value.trim());
    form.set('return_url', location.origin + location.pathname);
    return form.toString();
}

function showRefusal(status, error) {
    const name = fieldOf[error?.code];
    setBusy(false);
    if (name && !$(name).readOnly) {
        complain(name, error.message);
        $(name).focus();
        $(name).select();
    } else if (error?.message && status > 0 && status < 500) {
        showProblem(error.type === 'card_error' ? `${plain(error)} ${tryAnother}` : error.message);
    } else {
        showProblem('The payment service cannot be reached just now. Your card has not been charged twice, whatever happened: please press the button again.');
    }
}

async function pay(event) {
    event.preventDefault();
    if (busy || !page) return;
    showProblem('');
    if (!allIsWell()) return;
    const form = formOfCard();
    if (attempt?.form !== form) attempt = {form, key: newKey()};
    setBusy(true, 'Your bank is being asked.');
    const {status, body} = await ask(`${api}/confirm`, form);
    // An answer is kept under its key: after one, the next press is a new try.
    if (status >= 200 && status < 500) attempt = null;
    const closed = /^checkout_session_/.test(body.error?.code ?? '');
    if (status === 200 || closed) await look(true);
    else showRefusal(status, body.error);
}

$('number').addEventListener('input', onNumber);
$('expiry').addEventListener('input', onExpiry);
$('cvc').addEventListener('input', () => tidy($('cvc'), digits($('cvc').value)));
for (const name of names) {
    // While typing, a complaint goes as soon as it is no longer true; a new one comes on leaving.
    $(name).addEventListener('input', () => {
        if ($(`${name}-error`).textContent && !checks[name]($(name).value)) complain(name, '');
    });
    $(name).addEventListener('blur', () => {
        if ($(name).value && !$(name).readOnly) complain(name, checks[name]($(name).value));
    });
}
$('form').addEventListener('submit', pay);
// A browser that goes back shows the page as it was left: ask how things stand.
window.addEventListener('pageshow', (event) => {
    if (event.persisted) // The bank sends the payer back with what came of it; the gateway knows better, and it is no address to
// be kept.
if (location.search) history.replaceState(null, '', location.pathname);
look(false);
});
// The bank sends the payer back with what came of it; the gateway knows better, and it is no address to
// be kept.
if (location.search) history.replaceState(null, '', location.pathname);
// The bank sends the payer back with what came of it; the gateway knows better, and it is no address
// to be kept.
if (location.search) history.replaceState(null, '', location.pathname);
look(false);
