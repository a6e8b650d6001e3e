// Bad input and foreign objects, made from the table of routes: every operation with every id,
// every parameter, every limit. Rows H.. are those of the list of bad inputs.
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {test} from 'node:test';
import {client, inParallel, pay, stripe} from './helpers.js';
import {ask, complaints, document, filled, leaves, merchant, nameOfFirst, operations, own as ownObjects, required, requiredAnd} from './table.js';

const home = process.env.FLORIN_HOME;
const withIds = operations.filter((o) => o.ids.length);
const posts = operations.filter((o) => o.method === 'POST');
const lists = operations.filter((o) => leaves(o).some((l) => l.name === 'starting_after'));
const without = (map, name) => new Map([...map].filter(([k]) => k !== name && !k.startsWith(`${name}[`)));
const plus = (map, name, value) => new Map([...without(map, name), [name, value]]);

// --- a second merchant, with one object of each kind -------------------------------------------

const other = merchant('--name', 'Somebody else');
const theirs = client(other.secretKey);
const makers = {
    intent: async () => (await theirs.paymentIntents.create({amount: 2000, currency: 'usd', payment_method: 'pm_card_visa',
        confirm: true, capture_method: 'manual', payment_method_types: ['card']})).id,
    payment_method: async () => (await theirs.paymentMethods.create({type: 'card', card: {token: 'tok_visa'}})).id,
    customer: async () => (await theirs.customers.create({email: 'a@example.com'})).id,
    charge: async () => (await theirs.paymentIntents.create({amount: 2000, currency: 'usd', payment_method: 'pm_card_visa',
        confirm: true, payment_method_types: ['card']})).latest_charge,
    refund: async () => (await theirs.refunds.create({charge: await makers.charge()})).id,
    balance_transaction: async () => (await theirs.charges.retrieve(await makers.charge())).balance_transaction,
    event: async () => (await theirs.events.list({limit: 1})).data[0].id,
    webhook_endpoint: async () => (await theirs.webhookEndpoints.create({url: 'https://example.com/', enabled_events: ['*']})).id,
    setup_intent: async () => (await theirs.setupIntents.create({payment_method_types: ['card']})).id,
    token: async () => (await theirs.tokens.create({card: {number: '4242424242424242', exp_month: 12, exp_year: 2034}})).id,
    session: async () => (await theirs.checkout.sessions.create({mode: 'payment', success_url: 'https://example.com/', line_items: [{quantity: 1, price_data: {currency: 'usd', unit_amount: 1500, product_data: {name: 'Tea'}}}]})).id,
};
ownObjects.setup_intent = (await stripe.setupIntents.create({payment_method_types: ['card']})).id;
const foreign = {};
for (const name of new Set(withIds.flatMap((o) => o.ids))) {
    if (makers[name]) foreign[name] = await makers[name]();
}

// An id of the same kind that nobody has. No digits: with zeros it could read like a card number.
const unknownLike = (id) => id.replace(/(_[a-z]+_|_)(.*)$/, (_, first, rest) => first + rest.slice(0, -12) + 'xxxxxxxxxxxx');
const sayAllAlike = (text, names, ids) => names.reduce((said, name) => sayAlike(said, ids[name]), text);
const sayAlike = (text, id) => text.replaceAll(id, 'ID').replace(/"request_log_url".*\n/, '');

test('an object of another merchant is not there: for every operation that takes an id (H73, API1)', async (t) => {
    const before = {};
    const kinds = {intent: (i) => theirs.paymentIntents.retrieve(i), customer: (i) => theirs.customers.retrieve(i),
        charge: (i) => theirs.charges.retrieve(i), payment_method: (i) => theirs.paymentMethods.retrieve(i),
        refund: (i) => theirs.refunds.retrieve(i), webhook_endpoint: (i) => theirs.webhookEndpoints.retrieve(i)};
    for (const [kind, show] of Object.entries(kinds)) if (foreign[kind]) before[kind] = await show(foreign[kind]);

    const unknownNames = new Set(withIds.flatMap((o) => o.ids).filter((n) => !foreign[n]));
    for (const name of unknownNames) t.diagnostic(`no foreign object of the kind {${name}} is made here`);
    const own = await stripe.customers.create();
    const rows = withIds.filter((o) => o.ids.every((n) => foreign[n])).map((entry) => {
        const params = required(entry);
        if (params.has('customer')) params.set('customer', own.id);
        const unknown = Object.fromEntries(entry.ids.map((n) => [n, unknownLike(foreign[n])]));
        return {
            what: `${entry.method} ${entry.path}`,
            ask: async () => {
                const [a, b] = [await ask(entry.method, filled(entry, foreign), {params}), await ask(entry.method, filled(entry, unknown), {params})];
                return {...a, other: b, alike: sayAllAlike(a.text, entry.ids, foreign) === sayAllAlike(b.text, entry.ids, unknown)};
            },
            // A list of what belongs to somebody unknown may be empty instead.
            expect: (a) => a.status !== a.other.status ? `unknown: ${a.other.status} ${a.other.text}`
                : a.status === 200 ? (a.json.data?.length === 0 ? null : 'it was shown')
                    : a.status !== 404 ? 'not 404' : !a.alike ? `other words: ${a.other.text}` : null,
        };
    });
    assert.ok(rows.length >= 20);
    assert.deepEqual(await complaints(rows), []);
    for (const [kind, show] of Object.entries(kinds))
        if (before[kind]) assert.deepEqual(await show(foreign[kind]), before[kind], `${kind} is as it was`);
});

test('that takes as long as for an id that nobody has (H73)', async () => {
    const entries = withIds.filter((o) => o.method === 'GET' && o.ids.length === 1 && foreign[o.ids[0]]);
    const times = {foreign: [], unknown: []};
    for (let i = 0; i < 60; i++) {
        const entry = entries[i % entries.length];
        const ids = {foreign, unknown: {[entry.ids[0]]: unknownLike(foreign[entry.ids[0]])}};
        for (const kind of i % 2 ? ['foreign', 'unknown'] : ['unknown', 'foreign']) {
            const from = performance.now();
            await ask('GET', filled(entry, ids[kind]));
            times[kind].push(performance.now() - from);
        }
    }
    const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
    const [a, b] = [median(times.foreign), median(times.unknown)];
    assert.ok(Math.abs(a - b) < 1 + Math.min(a, b) / 2, `${a} ms and ${b} ms`);
});

test('an id in a parameter is not there either', async () => {
    const rows = [];
    for (const entry of operations) {
        for (const leaf of leaves(entry)) {
            const kind = {customer: 'customer', payment_method: 'payment_method', charge: 'charge', payment_intent: 'intent',
                starting_after: null, 'invoice_settings[default_payment_method]': 'payment_method'}[leaf.name];
            if (!kind || !foreign[kind] || entry.method === 'GET' || entry.ids.length) continue;
            const params = plus(required(entry), leaf.name, foreign[kind]);
            rows.push({what: `${entry.method} ${entry.path} ${leaf.name}`, ask: () => ask(entry.method, filled(entry, {}), {params}),
                expect: (a) => a.error?.code === 'resource_missing' && a.error.param === leaf.name ? null : 'not missing'});
        }
    }
    assert.ok(rows.length >= 4);
    assert.deepEqual(await complaints(rows), []);
});

test('ids of another kind, of any length, with anything in them are not there (H72, H74, H75)', async () => {
    const strange = ['x', '0', 'a'.repeat(64), 'a'.repeat(255), 'a'.repeat(400), "pi_1' OR '1'='1", '1; DROP TABLE charge', '%s%n%s%n', '../../etc/passwd',
        'pi_\u0001', 'pi_\n', 'pi_é', 'null', 'undefined', '{}', '$(id)', '-1', 'pi_1%', '*'];
    const rows = [];
    const own = await stripe.customers.create();
    for (const entry of withIds) {
        const others = Object.entries(foreign).filter(([kind]) => !entry.ids.includes(kind)).map(([, id]) => id);
        const params = required(entry);
        if (params.has('customer')) params.set('customer', own.id);
        for (const id of [...strange, ...others])
            rows.push({what: `${entry.method} ${entry.path} ${JSON.stringify(id)}`,
                ask: () => ask(entry.method, filled(entry, Object.fromEntries(entry.ids.map((n) => [n, id]))), {params}),
                expect: (a) => a.status === 404 || (a.status === 200 && a.json.data?.length === 0) ? null : 'not 404'});
    }
    assert.deepEqual(await complaints(rows), []);
});

// --- parameters -----------------------------------------------------------------------------------

test('what an object has and nobody may set is refused, field by field (H112, API3)', async () => {
    const rows = [];
    for (const entry of posts) {
        if (!entry.schema) continue;
        const known = new Set([...leaves(entry).map((l) => l.name.split('[')[0]), ...entry.refused.map((n) => n.split('[')[0])]);
        const fields = [...Object.keys(document.components.schemas[entry.schema].properties), 'merchant', 'version', 'deleted', 'attempt', 'account'];
        for (const field of fields) {
            if (known.has(field)) continue;
            rows.push({what: `${entry.path} ${field}`,
                ask: () => ask('POST', filled(entry, foreign), {params: plus(required(entry), field, '1')}),
                expect: (a) => a.status === 400 && a.error.code === 'parameter_unknown' && a.error.param === field ? null : 'taken'});
        }
    }
    assert.ok(rows.length > 200);
    assert.deepEqual(await complaints(rows), []);
});

test('a parameter that is not in the table is refused by every operation (H111)', async () => {
    const rows = operations.flatMap((entry) => ['foo', 'foo[bar]', '__proto__[x]', 'constructor', 'metadata2'].map((name) => ({
        what: `${entry.method} ${entry.path} ${name}`,
        ask: () => ask(entry.method, filled(entry, foreign), {params: plus(required(entry), name, '1')}),
        expect: (a) => a.status === 400 && a.error.code === 'parameter_unknown' && a.error.param === name ? null : 'taken',
    })));
    assert.deepEqual(await complaints(rows), []);
});

test('what an operation cannot do without is missed by name', async () => {
    const rows = operations.flatMap((entry) => leaves(entry).filter((l) => l.required).map((leaf) => ({
        what: `${entry.method} ${entry.path} ${leaf.name}`,
        ask: () => ask(entry.method, filled(entry, {}), {params: new Map([...required(entry)].filter(([k]) => k.replace('[]', '') !== leaf.name))}),
        expect: (a) => a.status === 400 && a.error.code === 'parameter_missing' && a.error.param === leaf.name
            && a.error.message === `Missing required param: ${leaf.name}.` ? null : 'not missed',
    })));
    assert.ok(rows.length >= 5);
    assert.deepEqual(await complaints(rows), []);
});

// What no parameter of that type is.
function nonsense(schema) {
    if (schema['x-without-effect']) return [];
    if (schema.enum) return ['nonsense', 'NULL'];
    if (schema.type === 'boolean') return ['maybe', '1', 'TRUE'];
    if (schema.format === 'currency') return ['zzz', 'us', 'usdd', '12'];
    if (schema.format === 'password') return [];
    if (schema.type === 'integer' || schema.format === 'unix-time')
        return ['abc', '1.5', '1e3', '0x10', '１０', '+1', '01', '--1', 'NaN', '9223372036854775808', '99999999999999999999', ' 1'];
    if (schema.type === 'string' && schema.maxLength < 5001) return ['x'.repeat(schema.maxLength + 1)];
    if (schema.type === 'object' || schema.type === 'array') return ['text'];
    return [];
}

test('every parameter of every operation is refused when it is of another type (H115)', async () => {
    const rows = [];
    for (const entry of operations)
        for (const leaf of leaves(entry))
            for (const value of nonsense(leaf.schema))
                rows.push({what: `${entry.method} ${entry.path} ${leaf.name}=${value.slice(0, 30)}`,
                    ask: () => ask(entry.method, filled(entry, foreign), {params: requiredAnd(entry, leaf, value)}),
                    expect: (a) => (a.status === 400 || (a.status === 402 && /^card\[|\[card\]\[/.test(leaf.name))) && a.error.param ? null : 'taken'});
    assert.ok(rows.length > 500);
    assert.deepEqual(await complaints(rows), []);
});

test('integers beyond their bounds are refused', async () => {
    const rows = [];
    for (const entry of posts)
        for (const leaf of leaves(entry))
            if (leaf.schema.type === 'integer')
                for (const value of [leaf.schema.minimum - 1, leaf.schema.maximum + 1].filter((n) => Number.isSafeInteger(n)))
                    rows.push({what: `${entry.path} ${leaf.name}=${value}`,
                        ask: () => ask('POST', filled(entry, foreign), {params: requiredAnd(entry, leaf, String(value))}),
                        expect: (a) => a.status === 400 && [leaf.name, nameOfFirst(leaf)].includes(a.error.param) ? null : 'taken'});
    assert.ok(rows.length > 20);
    assert.deepEqual(await complaints(rows), []);
});

test('metadata has its bounds everywhere (H113)', async () => {
    const many = Object.fromEntries(Array.from({length: 500}, (_, i) => [`metadata[k${i}]`, 'v']));
    const bad = [many, {[`metadata[${'k'.repeat(41)}]`]: 'v'}, {'metadata[k]': 'v'.repeat(501)}, {'metadata[a][b]': 'v'}, {metadata: 'text'}];
    const rows = [];
    for (const entry of posts)
        if (leaves(entry).some((l) => l.name === 'metadata'))
            for (const params of bad)
                rows.push({what: `${entry.path} ${Object.keys(params)[0].slice(0, 20)}`,
                    ask: () => ask('POST', filled(entry, foreign), {params: new Map([...required(entry), ...Object.entries(params)])}),
                    expect: (a) => a.status === 400 && a.error.type === 'invalid_request_error' ? null : 'taken'});
    assert.ok(rows.length > 20);
    assert.deepEqual(await complaints(rows), []);
});

// --- lists ----------------------------------------------------------------------------------------

const ownIds = {customer: (await stripe.customers.create()).id, charge: (await pay()).latest_charge,
    session: (await stripe.checkout.sessions.create({mode: 'payment', success_url: 'https://example.com/',
        line_items: [{quantity: 1, price_data: {currency: 'usd', unit_amount: 1500, product_data: {name: 'Tea'}}}]})).id,
    intent: (await pay()).id};
const ownSetUp = (await stripe.setupIntents.create()).id; // its path names it as a payment's does
const ownPath = (entry) => filled(entry, entry.path.startsWith('/v1/setup_intents/') ? {...ownIds, intent: ownSetUp} : ownIds);

test('limits are clamped, or refused when they are none (H122)', async () => {
    const rows = lists.flatMap((entry) => ['0', '-1', '101', '1000000', 'abc', '', '1.5'].map((limit) => ({
        what: `${entry.path} limit=${limit}`,
        ask: () => ask('GET', ownPath(entry), {params: plus(required(entry), 'limit', limit)}),
        expect: (a) => /^-?\d+$/.test(limit) ? (a.status === 200 && a.json.data.length <= 100 ? null : 'not clamped')
            : a.status === 400 && a.error.param === 'limit' ? null : 'taken',
    })));
    assert.ok(lists.length >= 8);
    assert.deepEqual(await complaints(rows), []);
});

test('cursors of another merchant, of another kind, or of nobody are missing (H123)', async () => {
    const rows = lists.flatMap((entry) => ['starting_after', 'ending_before'].flatMap((cursor) =>
        [...Object.values(foreign), 'x', 'pi_1', "' OR 1=1"].map((id) => ({
            what: `${entry.path} ${cursor}=${id}`,
            ask: () => ask('GET', ownPath(entry), {params: plus(required(entry), cursor, id)}),
            expect: (a) => (a.status === 400 || a.status === 404) && a.error.code === 'resource_missing' && a.error.param === cursor ? null : 'taken',
        }))));
    assert.deepEqual(await complaints(rows), []);
});

test('ranges of time may be anything that is a time (H124)', async () => {
    const timed = lists.filter((o) => leaves(o).some((l) => l.name.startsWith('created')) || o.operation.parameters.some((p) => p.name === 'created'));
    assert.ok(timed.length >= 5);
    const rows = timed.flatMap((entry) => [['created[gte]', '9223372036854775807', true], ['created[gt]', '99999999999', true], ['created[lt]', '0', true],
        ['created', '0', true], ['created[lte]', '9223372036854775807', false], ['created[gte]', '-1', null], ['created[gte]', 'soon', null],
        ['created[near]', '1', null], ['created[gte]', '9223372036854775808', null]].map(([name, value, empty]) => ({
        what: `${entry.path} ${name}=${value}`,
        ask: () => ask('GET', ownPath(entry), {params: plus(required(entry), name, value)}),
        expect: (a) => empty === null ? (a.status === 400 ? null : 'taken') : a.status !== 200 ? 'refused' : empty && a.json.data.length ? 'not empty' : null,
    })));
    assert.deepEqual(await complaints(rows), []);
});

test('what is expanded is bounded and known (H125)', async () => {
    const expandable = operations.filter((o) => leaves(o).some((l) => l.name === 'expand') && o.method === 'GET' && (!o.ids.length || o.ids.every((n) => ownIds[n])));
    const many = new Map(Array.from({length: 100}, (_, i) => [`expand[${i}]`, `nothing${i}`]));
    const rows = expandable.flatMap((entry) => {
        const list = lists.includes(entry);
        const own = list ? 'data.' : '';
        return [
            [{'expand[]': 'a.b.c.d.e'}, (a) => a.error?.code === 'property_expansion_max_depth'],
            [{'expand[]': `${own}metadata`}, (a) => /cannot be expanded/.test(a.error?.message)],
            [{'expand[]': `${own}id`}, (a) => a.status === 400], [{'expand[]': ''}, (a) => a.status === 400], [{expand: 'data'}, (a) => a.status === 400],
            [{'expand[]': 'x'.repeat(300)}, (a) => a.status === 400], [many, (a) => a.status === 400],
        ].map(([params, fits]) => ({
            what: `${entry.path} ${JSON.stringify(params instanceof Map ? '100 paths' : params).slice(0, 60)}`,
            ask: () => ask('GET', ownPath(entry), {params: new Map([...required(entry), ...(params instanceof Map ? params : Object.entries(params))])}),
            expect: (a) => fits(a) ? null : 'taken',
        }));
    });
    assert.deepEqual(await complaints(rows), []);
    // In a circle, as deep as is allowed.
    const charge = await stripe.charges.retrieve(ownIds.charge, {expand: ['payment_intent.latest_charge.payment_intent.latest_charge']});
    assert.equal(charge.payment_intent.latest_charge.payment_intent.latest_charge.id, charge.id);
});

// --- headers --------------------------------------------------------------------------------------

test('an idempotency key means nothing on GET and DELETE (H92)', async () => {
    const key = `reads-${Date.now()}`;
    for (let i = 0; i < 2; i++) {
        const answer = await ask('GET', i ? '/v1/charges' : '/v1/customers', {headers: {'Idempotency-Key': key}});
        assert.equal(answer.status, 200);
        assert.equal(answer.headers.get('idempotent-replayed'), null);
    }
    const {id} = await stripe.customers.create();
    assert.equal((await ask('DELETE', `/v1/customers/${id}`, {headers: {'Idempotency-Key': key}})).status, 200);
    assert.equal((await ask('DELETE', `/v1/customers/${id}`, {headers: {'Idempotency-Key': key}})).status, 404);
});

test('an account of a stranger is refused, and so is one that is not there (H94)', async () => {
    const rows = operations.flatMap((entry) => [other.account, 'acct_missing', 'x', "acct_' OR 1=1"].map((id) => ({
        what: `${entry.method} ${entry.path} ${id}`,
        ask: () => ask(entry.method, filled(entry, foreign), {params: required(entry), headers: {'Stripe-Account': id}}),
        expect: (a) => a.status === 403 && a.error.code === 'account_invalid' ? null : 'let in',
    })));
    assert.deepEqual(await complaints(rows), []);
});

// --- money and cards ------------------------------------------------------------------------------

test('a hundred refunds at once give back no more than there is (H118)', async () => {
    const {latest_charge: charge} = await pay(1000);
    const answers = await inParallel(100, 32, () => ask('POST', '/v1/refunds', {params: {charge, amount: 30}}));
    const given = answers.filter((a) => a.status === 200).length;
    assert.ok(given >= 1 && given <= 33, `${given}`);
    for (const a of answers) assert.ok([200, 400, 429].includes(a.status), a.text);
    assert.equal((await stripe.charges.retrieve(charge)).amount_refunded, given * 30);
    const more = await ask('POST', '/v1/refunds', {params: {charge, amount: 1001}});
    assert.equal(more.status, 400);
    assert.equal(more.error.param, 'amount');
});

test('nothing is captured above the hold, twice, or after the end (H119)', async () => {
    const hold = await pay(2000, {capture_method: 'manual'});
    const capture = (id, amount) => ask('POST', `/v1/payment_intents/${id}/capture`, {params: amount ? {amount_to_capture: amount} : {}});
    assert.equal((await capture(hold.id, 2001)).error.code, 'amount_too_large');
    const twice = await Promise.all([capture(hold.id, 1500), capture(hold.id, 1500), capture(hold.id, 2000)]);
    assert.equal(twice.filter((a) => a.status === 200).length, 1, twice.map((a) => a.text).join());
    assert.equal((await capture(hold.id)).error.code, 'payment_intent_unexpected_state');
    const other = await pay(2000, {capture_method: 'manual'});
    await stripe.paymentIntents.cancel(other.id);
    assert.equal((await capture(other.id)).error.code, 'payment_intent_unexpected_state');
    assert.equal((await stripe.charges.retrieve(other.latest_charge)).amount_captured, 0);
});

test('confirmed twice at once is one charge; canceled meanwhile is one end (H120, H121)', async () => {
    const make = () => stripe.paymentIntents.create({amount: 2000, currency: 'usd', payment_method: 'pm_card_visa', payment_method_types: ['card']});
    const charges = async (id) => (await stripe.charges.list({payment_intent: id})).data;
    for (let i = 0; i < 5; i++) {
        const {id} = await make();
        const answers = await Promise.all([0, 1, 2].map(() => ask('POST', `/v1/payment_intents/${id}/confirm`)));
        assert.equal(answers.filter((a) => a.status === 200).length, 1, answers.map((a) => a.text).join());
        assert.equal((await charges(id)).length, 1);
        const second = await make();
        await Promise.all([ask('POST', `/v1/payment_intents/${second.id}/confirm`), ask('POST', `/v1/payment_intents/${second.id}/cancel`)]);
        const end = await stripe.paymentIntents.retrieve(second.id);
        assert.ok(['succeeded', 'canceled'].includes(end.status), end.status);
        assert.equal((await charges(second.id)).filter((c) => c.paid).length, end.status === 'succeeded' ? 1 : 0);
    }
});

const cardWith = (more) => ask('POST', '/v1/payment_methods', {params: {type: 'card', 'card[number]': '4242424242424242', 'card[exp_month]': '12',
    'card[exp_year]': '2034', 'card[cvc]': '123', ...more}});

test('cards that cannot be are refused by what is wrong with them (H126–H131)', async () => {
    const rows = [
        [{'card[number]': '4242424242424241'}, 'incorrect_number'], [{'card[number]': '42424242424'}, 'incorrect_number'],
        [{'card[number]': '42424242424242424242'}, 'incorrect_number'], [{'card[number]': '4242abcd42424242'}, /number|string/i],
        [{'card[number]': '4242 4242 4242 4242'}, null], [{'card[number]': '4242-4242-4242-4242'}, null],
        [{'card[exp_year]': '2020'}, 'invalid_expiry_year'], [{'card[exp_month]': '13'}, 'invalid_expiry_month'],
        [{'card[exp_month]': '0'}, 'invalid_expiry_month'], [{'card[exp_year]': '9999'}, 'invalid_expiry_year'],
        [{'card[cvc]': '12'}, 'invalid_cvc'], [{'card[cvc]': '12345'}, 'invalid_cvc'], [{'card[cvc]': 'abc'}, 'invalid_cvc'],
    ];
    for (const [params, code] of rows) {
        const answer = await cardWith(params);
        const what = `${JSON.stringify(params)}: ${answer.text}`;
        if (code === null) assert.equal(answer.status, 200, what);
        else if (code instanceof RegExp) assert.ok(answer.status >= 400 && answer.status < 403 && code.test(answer.error.message + answer.error.code), what);
        else assert.equal(answer.error?.code, code, what);
        if (answer.error) for (const value of Object.values(params)) if (value.length > 10) assert.ok(!answer.text.includes(value), what);
    }
});

// --- a card number outlives nothing -----------------------------------------------------------------

// A number that no other test sends.
function luhn(prefix) {
    let sum = 0;
    [...prefix].reverse().forEach((c, i) => { let d = Number(c); if (i % 2 === 0) { d *= 2; if (d > 9) d -= 9; } sum += d; });
    return prefix + ((10 - sum % 10) % 10);
}
const number = luhn('453287105931264');
const spelled = [number, number.replace(/(....)(?=.)/g, '$1 '), number.replace(/(....)(?=.)/g, '$1-')];

function files(folder) {
    return fs.readdirSync(folder, {withFileTypes: true}).flatMap((entry) => {
        const name = path.join(folder, entry.name);
        return entry.isDirectory() ? files(name) : entry.isFile() ? [name] : [];
    });
}

test('a card number in any text, URL, key or metadata is refused or hashed, and reaches no log and no table (H114, H133)', async (t) => {
    // It is used as what it is, so that it really goes through the system once.
    const method = await cardWith({'card[number]': number});
    assert.equal(method.status, 200, method.text);
    const paid = await ask('POST', '/v1/payment_intents', {params: {amount: 2000, currency: 'usd', confirm: 'true', 'payment_method_types[]': 'card', payment_method: method.json.id}});
    assert.equal(paid.status, 200, paid.text);

    const rows = [];
    for (const entry of operations) {
        const texts = leaves(entry).filter(({schema}) => schema.type === 'string' && !schema.enum && !['currency', 'password'].includes(schema.format));
        for (const [i, leaf] of texts.entries()) {
            const value = (schema) => schema.maxLength < 20 ? number : `to ${spelled[i % 3]} `;
            rows.push({what: `${entry.method} ${entry.path} ${leaf.name}`,
                ask: () => ask(entry.method, filled(entry, foreign), {params: requiredAnd(entry, leaf, value(leaf.schema))}),
                expect: (a) => a.status === 400 && !spelled.some((s) => a.text.includes(s)) ? null : 'taken'});
        }
        const odd = [[`metadata[${number}]`, 'x'], ['metadata[card]', number], ['expand[]', number], [number, 'x'], [`x[${number}]`, 'x']];
        for (const [name, value] of odd)
            rows.push({what: `${entry.method} ${entry.path} ${name}=${value}`,
                ask: () => ask(entry.method, filled(entry, foreign), {params: plus(required(entry), name, value)}),
                expect: (a) => a.status === 400 ? null : 'taken'});
        if (entry.ids.length)
            rows.push({what: `${entry.method} ${entry.path} in the path`,
                ask: () => ask(entry.method, filled(entry, Object.fromEntries(entry.ids.map((n) => [n, number]))), {params: required(entry)}),
                expect: (a) => a.status === 404 ? null : 'found'});
        rows.push({what: `${entry.method} ${entry.path} in the headers`,
            ask: () => ask(entry.method, filled(entry, {}), {params: required(entry), headers: {'User-Agent': number, 'Stripe-Version': number, 'Stripe-Account': number, 'X-Card': number}}),
            expect: (a) => a.status === 400 || a.status === 403 ? null : 'taken'});
    }
    for (const key of spelled)
        rows.push({what: `as an idempotency key: ${key}`, ask: () => ask('POST', '/v1/customers', {headers: {'Idempotency-Key': `order ${key}`}}),
            expect: (a) => a.status === 200 ? null : 'refused'});
    rows.push({what: 'as an API key', ask: () => ask('GET', '/v1/balance', {key: `sk_test_${number}`}), expect: (a) => a.status === 401 && !a.text.includes(number) ? null : 'shown'});
    rows.push({what: 'in an unknown URL', ask: () => ask('GET', `/v1/cards/${number}?n=${number}`), expect: (a) => a.status === 404 ? null : 'found'});
    assert.ok(rows.length > 300);
    assert.deepEqual(await complaints(rows), []);

    if (!home || !fs.existsSync(path.join(home, 'log'))) return t.skip('FLORIN_HOME is not at hand: logs and tables were not looked at');
    const found = [];
    const search = (where, bytes) => {
        for (const s of spelled) if (bytes.includes(s)) found.push(where);
    };
    for (const file of files(path.join(home, 'log'))) search(file, fs.readFileSync(file, 'latin1'));
    for (const file of [...files(path.join(home, 'network')), ...files(path.join(home, 'redis'))]) search(file, fs.readFileSync(file, 'latin1'));
    const password = fs.readFileSync(path.join(home, 'secrets/postgres_florin_admin'), 'utf8').trim();
    for (const database of ['florin', 'florin_vault']) {
        const dump = execFileSync('pg_dump', ['-h', path.join(home, 'run'), '-U', 'florin_admin', database],
            {encoding: 'latin1', maxBuffer: 1 << 30, env: {...process.env, PGPASSWORD: password}});
        assert.ok(dump.length > 1000, database);
        search(`pg_dump ${database}`, dump);
        // Bytes are dumped in hexadecimal.
        const hex = Buffer.from(number).toString('hex');
        if (dump.includes(hex)) found.push(`pg_dump ${database}, in hexadecimal`);
    }
    assert.deepEqual(found, []);
});
