// The API as its own table has it (GET /openapi.json), and plain requests that are not recorded:
// for tests that go through all operations, and for answers of older versions.
import {execFileSync} from 'node:child_process';
import path from 'node:path';
import {checkout, inParallel, secretKey, url} from './helpers.js';

export const document = await (await fetch(new URL('/openapi.json', url))).json();

export const operations = Object.entries(document.paths).flatMap(([route, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
        name: operation.operationId,
        method: method.toUpperCase(),
        path: route,
        operation,
        publishable: operation['x-publishable-key'],
        permission: operation['x-permission'],
        refused: operation['x-refused'],
        ids: [...route.matchAll(/\{(\w+)\}/g)].map((m) => m[1]),
        schema: answerOf(operation),
    })));

function answerOf(operation) {
    const schema = operation.responses['200'].content['application/json'].schema;
    const name = (schema.$ref ?? schema.properties?.data?.items?.$ref ?? '').split('/').pop();
    return name && document.components.schemas[name] ? name : null;
}

// Every parameter that has a value of its own, by its full name: {name, schema, required, kin}. `kin` are
// those that must be there when it is, because they are inside the same hash.
export function leaves(entry) {
    const found = [];
    const walk = (name, schema, required, kin) => {
        if (schema.properties && !schema['x-without-effect']) {
            const must = name ? (schema.required ?? []).map((inner) => ({name: `${name}[${inner}]`, schema: schema.properties[inner]})) : [];
            for (const [inner, of] of Object.entries(schema.properties))
                walk(name ? `${name}[${inner}]` : inner, of, !name && (schema.required ?? []).includes(inner), [...kin, ...must]);
        } else if (name) found.push({name, schema, required, kin: kin.filter((k) => k.name !== name)});
    };
    const body = entry.operation.requestBody?.content['application/x-www-form-urlencoded'].schema;
    if (body) walk('', body, false, []);
    for (const p of entry.operation.parameters ?? [])
        if (p.in === 'query') walk(p.name, p.schema, p.required, []);
    return found;
}

// A value that passes the table's own check.
export function good(schema) {
    if (schema.properties) return null;
    if (schema.enum) return schema.enum[0];
    if (schema.type === 'integer') return String(Math.max(1, schema.minimum ?? 1));
    if (schema.type === 'boolean') return 'false';
    if (schema.format === 'currency') return 'usd';
    return 'x'.repeat(Math.max(1, schema.minLength ?? 1));
}

// Objects of one's own, by the parameter that wants one; filled in by the tests that need them.
export const own = {};

// What an operation needs besides what its row says must be there, because one thing makes another needed.
const needed = {
    checkout_session_create: {success_url: 'https://example.com/', 'line_items[0][quantity]': '1',
        'line_items[0][price_data][currency]': 'usd', 'line_items[0][price_data][unit_amount]': '1500',
        'line_items[0][price_data][product_data][name]': 'Tea'},
};

// What an operation cannot do without, all of it well formed.
export function required(entry) {
    const params = new Map(Object.entries(needed[entry.name] ?? {}));
    for (const leaf of leaves(entry)) {
        if (!leaf.required) continue;
        if (leaf.schema.type === 'array') params.set(`${leaf.name}[]`, leaf.schema.items.enum?.[0] ?? 'x');
        else params.set(leaf.name, leaf.name === 'amount' ? '2000' : own[leaf.name] ?? good(leaf.schema));
    }
    return params;
}

// The name that a parameter inside an array of hashes has in its first element.
export const nameOfFirst = (leaf) => leaf.name.replace('[][', '[0][');

// That, and one parameter more, with what must stand beside it.
export function requiredAnd(entry, leaf, value) {
    if (needed[entry.name] && leaf.name.includes('[]['))
        return new Map([...required(entry), [nameOfFirst(leaf), value]]);
    const params = new Map([...required(entry)].filter(([k]) => k.replace('[]', '') !== leaf.name));
    for (const kin of leaf.kin)
        for (const [k, v] of good(kin.schema) === null ? leavesOf(kin) : [[kin.name, good(kin.schema)]]) params.set(k, v);
    params.set(leaf.name, value);
    return params;
}

// A hash that must be there: its first field will do, and those that it must have.
function leavesOf({name, schema}) {
    const names = schema.required ?? Object.keys(schema.properties).slice(0, 1);
    return names.map((inner) => [`${name}[${inner}]`, good(schema.properties[inner]) ?? 'x']);
}

export const filled = (entry, ids) => entry.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(ids[name] ?? 'x'));

export function form(params) {
    return [...params].map(([k, v]) => `${encodeURIComponent(k).replaceAll('%5B', '[').replaceAll('%5D', ']')}=${encodeURIComponent(v)}`).join('&');
}

// A request as it goes over the wire; waits as it is told to when there were too many.
export async function ask(method, target, {params = new Map(), key = secretKey, headers = {}} = {}) {
    const all = {Authorization: `Bearer ${key}`, ...headers};
    const text = form(params instanceof Map ? params : Object.entries(params));
    const inQuery = method !== 'POST' && text;
    for (;;) {
        const response = await fetch(new URL(target + (inQuery ? (target.includes('?') ? '&' : '?') + text : ''), url), {
            method,
            headers: method === 'POST' ? {...all, 'Content-Type': 'application/x-www-form-urlencoded'} : all,
            body: method === 'POST' ? text : undefined,
        });
        const body = await response.text();
        if (response.status === 429 && response.headers.get('stripe-rate-limited-reason')) {
            await new Promise((resolve) => setTimeout(resolve, 100));
            continue;
        }
        let json;
        try { json = JSON.parse(body); } catch { json = undefined; }
        return {status: response.status, headers: response.headers, text: body, json, error: json?.error};
    }
}

// Rows {what, ask, expect(answer) → complaint or nothing}, some at a time; gives the complaints.
export async function complaints(rows, width = 8) {
    const all = await inParallel(rows.length, width, async (i) => {
        const answer = await rows[i].ask();
        const complaint = rows[i].expect(answer);
        return complaint && `${rows[i].what}: ${complaint} — ${answer.status} ${answer.text.slice(0, 200).replace(/\s+/g, ' ')}`;
    });
    return all.filter(Boolean);
}

export function florin(...words) {
    return execFileSync(path.join(checkout, 'florin'), words, {encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe']});
}

// A further merchant, as `./florin merchant` makes it.
export function merchant(...words) {
    const said = florin('merchant', ...words);
    const value = (name) => said.match(new RegExp(`^${name}=(.*)$`, 'm'))[1];
    return {account: value('FLORIN_ACCOUNT'), secretKey: value('FLORIN_SECRET_KEY'), publishableKey: value('FLORIN_PUBLISHABLE_KEY')};
}
