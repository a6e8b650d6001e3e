// Every answer that the tests before got, held against Florin's own document: schemas.def says of
// every member what it is, and there are no others.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import {test} from 'node:test';
import {recordFolder} from './helpers.js';
import {document, operations} from './table.js';

const patterns = operations.map((o) => ({...o, pattern: new RegExp(`^${o.path.replace(/\{\w+\}/g, '[^/]+')}$`),
    whole: o.operation.responses['200'].content['application/json'].schema}));
// A path without an id is meant before one with: /v1/charges/search.
patterns.sort((a, b) => a.ids.length - b.ids.length);

function* problems(value, schema, at) {
    if (schema.$ref) {
        const name = schema.$ref.split('/').pop();
        // Whoever is deleted is shown as such wherever it is named.
        const deleted = value?.deleted === true && document.components.schemas[`deleted_${name}`];
        return yield* problems(value, deleted || document.components.schemas[name], at);
    }
    if (value === null) {
        if (!schema.nullable && !schema['x-always-null']) yield `${at} is null`;
        return;
    }
    if (schema['x-always-null']) return yield `${at} is no longer always null`;
    if (schema.anyOf) {
        const fits = schema.anyOf.find((one) => one.$ref ? typeof value === 'object' && document.components.schemas[one.$ref.split('/').pop()].properties.object?.enum?.[0] === value.object
            : typeof value === one.type || (one.type === 'integer' && Number.isInteger(value)));
        return fits ? yield* problems(value, fits, at) : yield `${at} is neither`;
    }
    for (const one of schema.allOf ?? []) yield* problems(value, one, at);
    const type = Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'integer' : typeof value;
    if (schema.type && schema.type !== type) return yield `${at} is of the type ${type}`;
    if (schema.enum && !schema.enum.includes(value)) yield `${at} is "${value}"`;
    if (type === 'array' && schema.items) for (const one of value) yield* problems(one, schema.items, `${at}[]`);
    if (type !== 'object') return;
    for (const name of schema.required ?? []) if (!(name in value)) yield `${at}.${name} is missing`;
    for (const [name, inner] of Object.entries(value)) {
        const of = schema.properties?.[name] ?? schema.additionalProperties;
        if (of && of !== true) yield* problems(inner, of, `${at}.${name}`);
        else if (of === false) yield `${at}.${name} is in no row of schemas.def`;
    }
}

test('every answer is as docs/openapi.json says', (t) => {
    if (!recordFolder) return t.skip('nothing was recorded');
    const found = new Set(), seen = new Set();
    let count = 0;
    for (const file of fs.readdirSync(recordFolder).sort()) {
        for (const line of fs.readFileSync(path.join(recordFolder, file), 'utf8').split('\n')) {
            if (!line) continue;
            const answer = JSON.parse(line);
            const [method, target] = answer.operation.split(' ');
            const entry = patterns.find((o) => o.method === method && o.pattern.test(target));
            const schema = answer.status < 400 ? entry?.whole : document.components.schemas.error;
            if (!schema) continue;
            count++;
            seen.add(entry?.name);
            // A publishable key sees a part of an object.
            for (const problem of problems(answer.body, schema, entry?.schema ?? ''))
                if (!(answer.publishable && problem.endsWith(' is missing'))) found.add(`${answer.operation.replace(/_\w{20,}/g, '_…')}: ${problem}`);
        }
    }
    assert.ok(count > 100);
    assert.deepEqual([...found].slice(0, 100), []);
    t.diagnostic(`${count} answers of ${seen.size} operations`);
});

test('the document that is served is the one that is kept', async () => {
    const kept = JSON.parse(fs.readFileSync(path.join(process.env.FLORIN_CHECKOUT, 'docs/openapi.json'), 'utf8'));
    assert.deepEqual(document, kept);
});
