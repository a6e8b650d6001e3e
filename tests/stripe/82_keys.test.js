// Which key may do what: every operation of the table with every kind of key.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {account, client, pay, publishableKey, refused, Stripe, until} from './helpers.js';
import {ask, complaints, filled, florin, operations, required} from './table.js';

// Refused for what the key is, and not for what was asked.
const byKey = (answer) => answer.status === 403 && (answer.error.code === 'secret_key_required' || /required permissions/.test(answer.error.message));

const rows = (key, allowed) => operations.map((entry) => ({
    what: `${entry.method} ${entry.path}`,
    ask: () => ask(entry.method, filled(entry, {}), {key, params: required(entry)}),
    expect: (answer) => byKey(answer) === allowed(entry) ? `allowed should be ${allowed(entry)}` : answer.status === 401 ? 'the key is not known' : null,
}));

test('a publishable key does what the table lets it, and nothing else', async () => {
    assert.deepEqual(await complaints(rows(publishableKey, (entry) => entry.publishable)), []);
    // What Stripe lets such a key do; new rows of the table are looked at here.
    const expected = /^(payment_intent|setup_intent)_(retrieve|confirm)$|^setup_intent_verify_microdeposits$|^payment_intent_verify$|^payment_method_create$|^token_create$|^confirmation_token_|^checkout_/;
    assert.deepEqual(operations.filter((o) => o.publishable && !expected.test(o.name)).map((o) => o.name), []);
});

test('a publishable key must know the client_secret of what it asks for', async () => {
    const intent = await pay(2000, {confirm: false, payment_method: undefined});
    const wrong = await ask('GET', `/v1/payment_intents/${intent.id}?client_secret=${intent.id}_secret_x`, {key: publishableKey});
    assert.equal(wrong.status, 400);
    const none = await ask('GET', `/v1/payment_intents/${intent.id}`, {key: publishableKey});
    assert.equal(none.status, 400);
    const right = await ask('GET', `/v1/payment_intents/${intent.id}?client_secret=${intent.client_secret}`, {key: publishableKey});
    assert.equal(right.status, 200);
    assert.equal('metadata' in right.json, false);
});

test('a restricted key does what it was given, operation by operation', async () => {
    const key = florin('key', 'create', '--restricted', 'charges:read,payment_intents:write').trim();
    assert.match(key, /^rk_test_\w{32}$/);
    const may = (entry) => (entry.permission === 'charges' && entry.method === 'GET') || entry.permission === 'payment_intents';
    assert.deepEqual(await complaints(rows(key, may)), []);
});

test('every single permission opens its own resource alone', async () => {
    const resources = [...new Set(operations.map((o) => o.permission))];
    assert.ok(!resources.includes(undefined), 'every operation belongs to a resource');
    for (const resource of resources) {
        for (const right of ['read', 'write']) {
            const key = florin('key', 'create', '--restricted', `${resource}:${right}`).trim();
            const may = (entry) => entry.permission === resource && (right === 'write' || entry.method === 'GET');
            assert.deepEqual(await complaints(rows(key, may)), [], `${resource}:${right}`);
        }
    }
});

test('the official library tells what is missing as a permission error', async () => {
    const key = florin('key', 'create', '--restricted', 'charges:read').trim();
    const error = await refused(client(key).customers.list());
    assert.ok(error instanceof Stripe.errors.StripePermissionError, error.message);
    assert.equal(error.statusCode, 403);
    assert.ok(error.message.includes(`The provided key 'rk_test_***${key.slice(-5)}' does not have the required permissions for this endpoint on account '${account}'.`), error.message);
    assert.ok(error.message.includes("'rak_customer_read'"), error.message);
});

test('what a restricted key may not read it cannot have expanded', async () => {
    const {id} = await pay();
    const key = florin('key', 'create', '--restricted', 'payment_intents:read').trim();
    assert.equal((await ask('GET', `/v1/payment_intents/${id}`, {key})).status, 200);
    const deep = await ask('GET', `/v1/payment_intents/${id}?expand[]=latest_charge.balance_transaction`, {key});
    assert.equal(deep.status, 403);
    assert.match(deep.error.message, /rak_charge_read/);
    const list = await ask('GET', '/v1/payment_intents?expand[]=data.customer', {key});
    assert.match(list.error.message, /rak_customer_read/);
});

test('a key is listed by its last characters, and opens nothing once it is revoked', async () => {
    const key = florin('key', 'create').trim();
    assert.equal((await ask('GET', '/v1/balance', {key})).status, 200);
    const line = florin('key', 'list').split('\n').find((l) => l.includes(`…${key.slice(-4)}`));
    assert.ok(line.startsWith('key_') && line.includes('secret'), line);
    assert.ok(!florin('key', 'list').includes(key));
    florin('key', 'revoke', line.split(' ')[0]);
    assert.match(florin('key', 'list').split('\n').find((l) => l.startsWith(line.split(' ')[0])), /revoked/);
    await until('the gateway forgets the key', async () => (await ask('GET', '/v1/balance', {key})).status === 401, 20000);
});

test('nobody makes a key that may do something unknown', () => {
    for (const wrong of ['charges', 'charges:own', 'secrets:read', ''])
        assert.throws(() => florin('key', 'create', '--restricted', wrong), /permission/, wrong);
    assert.throws(() => florin('key', 'revoke', 'key_missing'));
});
