#!/usr/bin/env python3
"""Proposes rows of common/core/schemas.def for objects that were answered.

  schema_rows.py OPENAPI.json RECORD.jsonl… [SCHEMA…]

A line of a record is {"body": {…}} (tests/stripe keeps them in FLORIN_RECORD) or ["anything", {…}].
What was seen says which members there are; the published document says of what kind a member is that
was null all the time. Rows are to be read before they are kept.
"""
import json
import sys

spec = json.load(open(sys.argv[1]))
S = spec['components']['schemas']
records = [a for a in sys.argv[2:] if a.endswith('.jsonl')]
wanted = [a for a in sys.argv[2:] if not a.endswith('.jsonl')]
seen = {}  # schema -> list of objects


def name_of(o):
    if o.get('deleted') is True and set(o) == {'id', 'object', 'deleted'}:
        return 'deleted_' + o['object']
    return o['object']


def walk(v):
    if isinstance(v, dict):
        if isinstance(v.get('object'), str) and v['object'] not in ('list', 'search_result'):
            seen.setdefault(name_of(v), []).append(v)
        for x in v.values():
            walk(x)
    elif isinstance(v, list):
        for x in v:
            walk(x)


def resolve(s):
    """A schema without references and without its null."""
    while s and '$ref' in s:
        s = S.get(s['$ref'].split('/')[-1])
    return s or {}


def reference(s):
    """What an expandable member expands to, or ''."""
    r = resolve(s)
    names = [x['$ref'].split('/')[-1] for x in r.get('anyOf', []) if '$ref' in x]
    texts = [x for x in r.get('anyOf', []) if resolve(x).get('type') == 'string']
    return [n for n in names if not n.startswith('deleted_')] if texts and names else []


def member(s, name):
    s = resolve(s)
    for x in [s] + [resolve(y) for y in s.get('anyOf', []) + s.get('allOf', [])]:
        if name in x.get('properties', {}):
            return x['properties'][name]
    return {}


def row(schema, path, values, count, s, out):
    """Appends the row of one member and the rows below it."""
    there = [v for v in values if v is not None]
    maybe_null = len(there) < len(values) or resolve(s).get('nullable') or s.get('nullable')
    need = 'SOMETIMES' if len(values) < count else 'OR_NULL' if maybe_null else 'ALWAYS'
    to = [r for r in reference(s)]
    def put(kind, of=''):
        out.append(f'PROPERTY({schema}, {kind}, "{path}", {need}, "{of}")')
    r = resolve(s)
    if to:
        return put('ID', ' '.join(to))
    if path.split('.')[-1] == 'metadata':
        return put('MAP')
    if not there:
        need = 'OR_NULL' if need == 'ALWAYS' else need
        kind = {'string': 'TEXT', 'integer': 'INTEGER', 'boolean': 'FLAG', 'array': 'TEXTS'}.get(r.get('type'), 'NOTHING')
        return put(kind)
    v = there[0]
    if isinstance(v, bool):
        return put('FLAG')
    if isinstance(v, int):
        return put('INTEGER')
    if isinstance(v, str):
        enum = [e for e in r.get('enum', []) if e]
        return put('TEXT', v if path == 'object' else ' '.join(enum) if 0 < len(enum) <= 12 else '')
    if isinstance(v, list):
        items = [x for w in there for x in w]
        if items and isinstance(items[0], dict):
            if 'object' in items[0]:
                return put('OBJECTS', name_of(items[0]))
            put('ARRAY')
            return rows(schema, path + '[].', items, resolve(r).get('items', {}), out)
        return put('TEXTS')
    if v.get('object') == 'list':
        items = [x for w in there for x in w['data']]
        return put('LIST', name_of(items[0]) if items else '')
    if isinstance(v.get('object'), str):
        return put('OBJECT', name_of(v))
    put('HASH')
    rows(schema, path + '.', there, s, out)


def rows(schema, prefix, objects, s, out):
    names = []
    for o in objects:
        for k in o:
            if k not in names:
                names.append(k)
    first = [k for k in ('id', 'object') if k in names]
    for k in first + sorted(k for k in names if k not in first):
        row(schema, prefix + k, [o[k] for o in objects if k in o], len(objects), member(s, k), out)


for path in records:
    for line in open(path):
        line = json.loads(line)
        walk(line[1] if isinstance(line, list) else line['body'])
for name in sorted(wanted or seen):
    out = []
    rows(name.replace('.', '_'), '', seen.get(name, []), S.get(name, {}), out)
    print(f'SCHEMA({name.replace(".", "_")}, "{name}", "")')
    print('\n'.join(out))
    print(f'SCHEMA_END({name.replace(".", "_")})\n')
