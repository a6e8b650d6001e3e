// The reference model finds what it is there to find: each history mends one thing in an innocent one.
import assert from 'node:assert/strict';
import test from 'node:test';
import {Model} from '../../tools/chaos/model.mjs';

const create = (key, id, extra = {}) => ({m: 0, op: 'create', target: '/v1/payment_intents', key, definite: true, status: 200, digest: `d-${key}`,
    body: `amount=1000&currency=usd&payment_method=pm_card_visa&confirm=true&metadata[key]=${key}`, id, state: 'succeeded', amount: 1000,
    received: 1000, ...extra});
const refund = (key, id, intent, amount, extra = {}) => ({m: 0, op: 'refund', target: '/v1/refunds', key, definite: true, status: 200,
    digest: `d-${key}`, body: `payment_intent=${intent}&amount=${amount}`, id, state: 'succeeded', amount, ...extra});
const shownIntent = (id, key, extra = {}) => ({id, status: 'succeeded', amount: 1000, amount_received: 1000, metadata: {key}, ...extra});
const shownCharge = (intent, extra = {}) => ({id: `ch_${intent}`, payment_intent: intent, status: 'succeeded', amount: 1000, amount_captured: 1000,
    amount_refunded: 0, ...extra});
const shownRefund = (id, intent, amount, extra = {}) => ({id, payment_intent: intent, amount, status: 'succeeded', ...extra});

function problems(history, intents, charges, refunds = []) {
    const model = new Model();
    for (const record of history) model.take(record);
    model.compare(0, intents, charges, refunds);
    return Object.fromEntries(Object.entries(model.problems).map(([name, list]) => [name, list.length]));
}
const none = {lost: 0, doubled: 0, wrong: 0};
const history = [create('a', 'pi_1'), refund('b', 're_1', 'pi_1', 400)];
const intents = [shownIntent('pi_1', 'a')], charges = [shownCharge('pi_1', {amount_refunded: 400})], refunds = [shownRefund('re_1', 'pi_1', 400)];

test('an innocent history has no problems', () => assert.deepEqual(problems(history, intents, charges, refunds), none));
test('a repetition with the same answer moves nothing', () =>
    assert.deepEqual(problems([...history, ...history], intents, charges, refunds), none));
test('a key with two answers is wrong', () =>
    assert.deepEqual(problems([...history, create('a', 'pi_1', {digest: 'other'})], intents, charges, refunds), {...none, wrong: 1}));
test('a payment that was told and is not there is lost, and so is its charge\'s refund', () =>
    assert.deepEqual(problems(history, [], [], refunds), {...none, lost: 1}));
test('a refund that was told and is not there is lost, and the charge is wrong', () =>
    assert.deepEqual(problems(history, intents, [shownCharge('pi_1')], []), {...none, lost: 1, wrong: 1}));
test('two payments for one key are doubled, whoever was told of one', () =>
    assert.equal(problems(history, [...intents, shownIntent('pi_2', 'a')], [...charges, shownCharge('pi_2')], refunds).doubled, 2));
test('two charges for one payment are doubled', () =>
    assert.deepEqual(problems(history, intents, [...charges, shownCharge('pi_1')], refunds), {...none, doubled: 1}));
test('a payment without its charge is lost', () => assert.deepEqual(problems(history, intents, [], refunds), {...none, lost: 1}));
test('a refund that nobody was told of is doubled', () =>
    assert.deepEqual(problems(history, intents, charges, [...refunds, shownRefund('re_2', 'pi_1', 1)]), {...none, doubled: 1}));
test('refunds above what was captured are wrong', () =>
    assert.ok(problems([...history, refund('c', 're_2', 'pi_1', 601)], intents, charges, [...refunds, shownRefund('re_2', 'pi_1', 601)]).wrong > 0));
test('a refund that was refused although it would have sufficed is wrong', () =>
    assert.deepEqual(problems([...history, refund('c', undefined, 'pi_1', 600, {status: 400})], intents, charges, refunds), {...none, wrong: 1}));
test('a refund that was refused because it would not have sufficed is right', () =>
    assert.deepEqual(problems([...history, refund('c', undefined, 'pi_1', 601, {status: 400})], intents, charges, refunds), none));
test('another state, amount or sum than was told is wrong', () => {
    assert.ok(problems(history, [shownIntent('pi_1', 'a', {status: 'processing'})], charges, refunds).wrong > 0);
    assert.ok(problems(history, [shownIntent('pi_1', 'a', {amount: 999})], charges, refunds).wrong > 0);
    assert.ok(problems(history, intents, [shownCharge('pi_1', {amount_refunded: 401})], refunds).wrong > 0);
});
test('what a client was told to have been undone must not have been paid', () => {
    const undone = create('a', 'pi_1', {status: 402, code: 'processing_error', state: 'requires_payment_method', amount: undefined});
    const failed = shownIntent('pi_1', 'a', {status: 'requires_payment_method', amount_received: 0});
    assert.deepEqual(problems([undone], [failed], []), none);
    assert.ok(problems([undone], intents, [shownCharge('pi_1')]).wrong > 0);
});
test('of what its client gave up, everything may have happened once or nothing', () => {
    const given = create('a', undefined, {op: 'abandon', definite: false, status: undefined});
    assert.deepEqual(problems([given], [], []), none);
    assert.deepEqual(problems([given], intents, [shownCharge('pi_1')]), none);
    assert.ok(problems([given], [shownIntent('pi_1', 'a', {status: 'processing'})], []).wrong > 0);
    assert.ok(problems([given], [...intents, shownIntent('pi_2', 'a')], [shownCharge('pi_1'), shownCharge('pi_2')]).doubled > 0);
});
test('what nobody has asked for is doubled', () => assert.deepEqual(problems([], intents, [shownCharge('pi_1')]), {...none, doubled: 1}));
