// Every currency that is taken: the least and the most of it, its decimals, and the sentence for others.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {ask, complaints} from './table.js';

const create = (amount, currency) => ask('POST', '/v1/payment_intents', {params: {amount: String(amount), currency, 'payment_method_types[]': 'card'}});
const sentence = (await create(1000, 'zzz')).error;
const currencies = sentence.message.replace(/^.*: /, '').split(', ');

const zero = 'bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf'.split(' ');
const three = 'bhd jod kwd omr tnd'.split(' ');
const hundreds = ['isk', 'ugx'];
const least = {usd: 50, aed: 200, aud: 50, bgn: 100, brl: 50, cad: 50, chf: 50, czk: 1500, dkk: 250, eur: 50, gbp: 30, hkd: 400, huf: 17500, inr: 50,
    jpy: 50, mxn: 1000, myr: 200, nok: 300, nzd: 50, pln: 200, ron: 200, sek: 300, sgd: 50, thb: 1000};
const most = {idr: 999999999999, inr: 999999999};
const step = (c) => three.includes(c) ? 10 : hundreds.includes(c) ? 100 : 1;

test('an unknown currency is refused with the list of those that there are (H117)', async () => {
    assert.match(sentence.message, /^Invalid currency: zzz\. Stripe currently supports these currencies: usd, aed, afn, /);
    assert.equal(sentence.param, 'currency');
    assert.ok(currencies.length > 130);
    for (const wrong of ['us', 'usdd', 'xxx', 'btc', '123', 'usd '])
        assert.equal((await create(1000, wrong)).status, 400, wrong);
    const mixed = await create(1000, 'UsD');
    assert.equal(mixed.json.currency, 'usd');
});

test('each has its least amount, and one less is too small', async () => {
    const rows = currencies.flatMap((c) => {
        const from = least[c] ?? (three.includes(c) ? 500 : hundreds.includes(c) ? 100 : 50);
        return [{what: `${from} ${c}`, ask: () => create(from, c), expect: (a) => a.status === 200 && a.json.amount === from && a.json.currency === c ? null : 'refused'},
            {what: `${from - step(c)} ${c}`, ask: () => create(Math.max(1, from - step(c)), c),
                expect: (a) => a.error?.code === 'amount_too_small' && a.error.param === 'amount' && a.error.message.startsWith('Amount must be at least ') ? null : 'taken'}];
    });
    assert.deepEqual(await complaints(rows), []);
});

test('each has its greatest amount, and one more is too large', async () => {
    const more = ['lbp', 'cop', 'huf', 'jpy'];
    const rows = currencies.filter((c) => !more.includes(c)).flatMap((c) => {
        const to = (most[c] ?? 99999999) - ((most[c] ?? 99999999) % step(c));
        return [{what: `${to} ${c}`, ask: () => create(to, c), expect: (a) => a.status === 200 && a.json.amount === to ? null : 'refused'},
            {what: `more of ${c}`, ask: () => create((most[c] ?? 99999999) + 1, c),
                expect: (a) => a.error?.code === 'amount_too_large' && a.error.message.startsWith('Amount must be no more than ') ? null : 'taken'}];
    });
    for (const c of more) rows.push({what: `much ${c}`, ask: () => create(100000000, c), expect: (a) => a.status === 200 ? null : 'refused'});
    assert.deepEqual(await complaints(rows), []);
});

test('three decimals end in 0, and what has no smaller coin is sent in hundreds (H116)', async () => {
    const rows = [...three, ...hundreds].flatMap((c) => [1, 5, 9].map((odd) => ({what: `${10000 + odd} ${c}`, ask: () => create(10000 + odd, c),
        expect: (a) => a.status === 400 && a.error.param === 'amount' ? null : 'taken'})));
    rows.push({what: '10010 isk', ask: () => create(10010, 'isk'), expect: (a) => a.status === 400 ? null : 'taken'});
    rows.push({what: '10010 kwd', ask: () => create(10010, 'kwd'), expect: (a) => a.status === 200 ? null : 'refused'});
    for (const c of zero) rows.push({what: `1001 ${c}`, ask: () => create(1001, c), expect: (a) => a.json?.amount === 1001 ? null : 'refused'});
    assert.deepEqual(await complaints(rows), []);
});

test('"Amount must be at least $0.50 usd"', async () => {
    assert.equal((await create(49, 'usd')).error.message, 'Amount must be at least $0.50 usd');
    assert.equal((await create(100000000, 'usd')).error.message, 'Amount must be no more than $999,999.99');
});
