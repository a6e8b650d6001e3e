// Every answer that the tests before got, held against the published schema.
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {test} from 'node:test';
import {recordFolder, shared} from './helpers.js';

const validator = path.join(shared ?? '', 'stripe/validate_response.py');

// What the API offers; each must have been seen.
const operations = `
POST /v1/payment_intents · GET /v1/payment_intents · GET /v1/payment_intents/{id} · POST /v1/payment_intents/{id}
POST /v1/payment_intents/{id}/confirm · POST /v1/payment_intents/{id}/capture · POST /v1/payment_intents/{id}/cancel
POST /v1/payment_intents/{id}/increment_authorization · GET /v1/payment_intents/{id}/amount_details_line_items
GET /v1/payment_intents/search · GET /v1/customers/search · GET /v1/charges/search · POST /v1/events/{id}/retry
POST /v1/setup_intents · GET /v1/setup_intents · GET /v1/setup_intents/{id} · POST /v1/setup_intents/{id}
POST /v1/setup_intents/{id}/confirm · POST /v1/setup_intents/{id}/cancel · GET /v1/setup_attempts
POST /v1/payment_methods · GET /v1/payment_methods · GET /v1/payment_methods/{id} · POST /v1/payment_methods/{id}
POST /v1/payment_methods/{id}/attach · POST /v1/payment_methods/{id}/detach
POST /v1/customers · GET /v1/customers · GET /v1/customers/{id} · POST /v1/customers/{id} · DELETE /v1/customers/{id}
GET /v1/charges · GET /v1/charges/{id} · POST /v1/charges/{id} · POST /v1/charges/{id}/capture
POST /v1/refunds · GET /v1/refunds · GET /v1/refunds/{id} · POST /v1/refunds/{id}
GET /v1/balance · GET /v1/balance_transactions · GET /v1/balance_transactions/{id} · GET /v1/events · GET /v1/events/{id}
POST /v1/checkout/sessions · GET /v1/checkout/sessions · GET /v1/checkout/sessions/{id} · POST /v1/checkout/sessions/{id}
POST /v1/checkout/sessions/{id}/expire · GET /v1/checkout/sessions/{id}/line_items
POST /v1/webhook_endpoints · GET /v1/webhook_endpoints · GET /v1/webhook_endpoints/{id}
POST /v1/webhook_endpoints/{id} · DELETE /v1/webhook_endpoints/{id}
POST /v1/tokens · GET /v1/tokens/{id} · GET /v1/confirmation_tokens/{id} · POST /v1/test_helpers/confirmation_tokens
POST /v1/charges · POST /v1/customers/{id}/sources · GET /v1/customers/{id}/sources
GET /v1/customers/{id}/sources/{id} · POST /v1/customers/{id}/sources/{id} · DELETE /v1/customers/{id}/sources/{id}
GET /v1/customers/{id}/payment_methods/{id} · POST /v1/refunds/{id}/cancel · POST /v1/test_helpers/refunds/{id}/expire`
    .trim().split(/\s*[·\n]\s*/);

const perKind = 60; // answers of one operation and status: enough of each

function answers() {
    const kinds = new Map();
    for (const file of fs.readdirSync(recordFolder).sort()) {
        for (const line of fs.readFileSync(path.join(recordFolder, file), 'utf8').split('\n')) {
            if (!line) continue;
            const answer = JSON.parse(line);
            answer.kind = answer.operation
                .replace(/\/v1\/((?:test_helpers\/|checkout\/)?(?!test_helpers|checkout\/)\w+)\/(?!search$)[^/]+/, '/v1/$1/{id}')
                .replace(/(\{id\}\/\w+)\/[^/]+$/, '$1/{id}');
            const key = `${answer.kind} ${answer.status} ${answer.body?.error?.code ?? ''} ${answer.body?.error?.type ?? ''}`;
            const list = kinds.get(key) ?? kinds.set(key, []).get(key);
            if (list.length < perKind) list.push(answer);
        }
    }
    return [...kinds.values()].flat();
}

test('every operation has been answered', {skip: !recordFolder && 'nothing was recorded'}, () => {
    const seen = new Set(answers().filter((a) => a.status === 200).map((a) => a.kind));
    assert.deepEqual(operations.filter((o) => !seen.has(o)), []);
});

test('every answer is as the published schema says, strictly', async (t) => {
    if (!recordFolder) return t.skip('nothing was recorded');
    if (!fs.existsSync(validator)) return t.skip(`${validator} is absent: the shape of the answers was not checked`);
    const all = answers();
    assert.ok(all.length > 100);
    const python = spawn('python3', [path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), 'validate.py'), validator]);
    let said = '', complained = '';
    python.stdout.on('data', (chunk) => said += chunk);
    python.stderr.on('data', (chunk) => complained += chunk);
    python.stdin.on('error', () => {});
    for (const answer of all) python.stdin.write(JSON.stringify(answer) + '\n');
    python.stdin.end();
    const status = await new Promise((resolve) => python.on('close', resolve));
    assert.equal(complained, '');
    assert.equal(said, '', `${said.split('\n').length - 1} violations`);
    assert.equal(status, 0);
    t.diagnostic(`${all.length} answers of ${new Set(all.map((a) => a.kind)).size} operations`);
});
