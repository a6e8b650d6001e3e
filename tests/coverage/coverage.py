#!/usr/bin/env python3
"""Holds docs/openapi.json, which is made from Florin's tables, against the published document.

  coverage.py [--write]

Prints figures for operations, parameters and response fields, and one line per check. Writes
docs/COMPATIBILITY.md with --write; without it, the committed copy must be what would be written.
FLORIN_SHARED names the folder with stripe/openapi.json (default: ../shared beside the checkout).
"""
import json
import os
import re
import sys

here = os.path.dirname(os.path.abspath(__file__))
checkout = os.path.dirname(os.path.dirname(here))
shared = os.environ.get('FLORIN_SHARED') or os.path.join(checkout, '../shared')
published_path = os.path.join(shared, 'stripe/openapi.json')
compatibility = os.path.join(checkout, 'docs/COMPATIBILITY.md')
passed = failed = 0


def check(what, wrong):
    """One promise: `wrong` are the names that break it."""
    global passed, failed
    wrong = list(wrong)
    if wrong:
        failed += 1
        print(f'FAILED  {what}')
        for name in wrong:
            print(f'        {name}')
    else:
        passed += 1
        print(f'ok      {what}')


# --- reading a document ---------------------------------------------------------------------------

class Document:
    def __init__(self, path):
        self.whole = json.load(open(path))
        self.schemas = self.whole['components']['schemas']
        self.operations = {}  # 'POST /v1/charges/{}' -> operation
        self.names = {}       # the same -> as it is written
        for path_name, methods in self.whole['paths'].items():
            for method, operation in methods.items():
                key = normal(f'{method.upper()} {path_name}')
                self.operations[key] = operation
                self.names[key] = f'{method.upper()} {path_name}'

    def resolve(self, schema):
        while '$ref' in schema:
            schema = self.schemas[schema['$ref'].split('/')[-1]]
        return schema

    def alternatives(self, schema):
        schema = self.resolve(schema)
        yield schema
        for one in schema.get('anyOf', []) + schema.get('allOf', []) + schema.get('oneOf', []):
            yield from self.alternatives(one)

    def parameters(self, key):
        """{'card[number]': schema} of an operation, outer names among them."""
        operation, names = self.operations[key], {}
        for parameter in operation.get('parameters', []):
            if parameter['in'] == 'query':
                self.flatten_parameter(parameter['name'], parameter['schema'], names, 0)
        content = operation.get('requestBody', {}).get('content', {})
        for body in content.values():
            for schema in self.alternatives(body['schema']):
                for name, inner in schema.get('properties', {}).items():
                    self.flatten_parameter(name, inner, names, 0)
        return names

    def flatten_parameter(self, name, schema, names, depth):
        names[name] = schema
        if depth > 6:
            return
        for one in self.alternatives(schema):
            for inner, of in one.get('properties', {}).items():
                self.flatten_parameter(f'{name}[{inner}]', of, names, depth + 1)
            items = one.get('items')
            if items:
                for each in self.alternatives(items):
                    for inner, of in each.get('properties', {}).items():
                        self.flatten_parameter(f'{name}[][{inner}]', of, names, depth + 1)

    def answer_of(self, key):
        """Name of the schema that an operation answers with; of the elements, if it is a list."""
        responses = self.operations[key]['responses']
        schema = responses['200']['content']['application/json']['schema']
        for one in self.alternatives_unresolved(schema):
            if '$ref' in one:
                return one['$ref'].split('/')[-1]
            items = one.get('properties', {}).get('data', {}).get('items')
            if items and '$ref' in items:
                return items['$ref'].split('/')[-1]
        return schema.get('x-undescribed')

    def alternatives_unresolved(self, schema):
        yield schema
        for one in schema.get('anyOf', []) + schema.get('allOf', []):
            yield from self.alternatives_unresolved(one)

    def is_resource(self, schema):
        words = schema.get('properties', {}).get('object', {}).get('enum')
        return bool(words) and words != ['list']

    def fields(self, name):
        """{'card.brand': schema} of an object, without what belongs to other objects inside it."""
        names = {}
        if name in self.schemas:
            self.flatten_fields('', self.schemas[name], names, 0)
        return names

    def flatten_fields(self, prefix, schema, names, depth):
        if depth > 7:
            return
        for one in [schema] + [self.resolve(x) for x in schema.get('anyOf', []) + schema.get('allOf', [])]:
            if depth and self.is_resource(one):
                continue
            for name, of in one.get('properties', {}).items():
                path = prefix + name
                if path in names:
                    continue
                names[path] = of
                inner = self.resolve(of)
                if depth == 0 and name == 'object':
                    continue
                items = inner.get('items')
                if items:
                    items = self.resolve(items)
                    if not self.is_resource(items):
                        self.flatten_fields(path + '[].', items, names, depth + 1)
                elif not self.is_resource(inner) and not is_list(inner):
                    self.flatten_fields(path + '.', inner, names, depth + 1)


def is_list(schema):
    return any(one.get('properties', {}).get('object', {}).get('enum') == ['list']
               for one in [schema] + schema.get('allOf', []))


def normal(operation):
    return re.sub(r'\{[^}]*\}', '{}', operation)


def outermost(names):
    """Names whose own parents are not among them."""
    names = set(names)

    def parents(name):
        for i, c in enumerate(name):
            if i and c in '[.':
                yield name[:i]
                if name[:i].endswith('[]'):
                    yield name[:i - 2]
    return sorted(n for n in names if not any(p in names for p in parents(n)))


def share(have, of):
    return f'{have} of {of} ({100 * have / of:.1f} %)' if of else 'none'


# --- what is compared -------------------------------------------------------------------------------

def main():
    if not os.path.exists(published_path):
        print(f'SKIPPED: {published_path} is not there (FLORIN_SHARED names its folder): '
              'nothing was compared with the published API')
        print('0 passed, 0 failed')
        return 0
    ours = Document(os.path.join(checkout, 'docs/openapi.json'))
    theirs = Document(published_path)
    promised = {'now': [], 'later': []}
    for line in open(os.path.join(here, 'operations.txt')):
        words = line.split('#')[0].split()
        if words:
            promised[words[0]].append(normal(' '.join(words[1:])))

    out = ['# Compatibility', '',
           'Made by `tests/coverage/run.sh --write`; not to be edited. It holds Florin\'s own table of routes and',
           f'objects (`docs/openapi.json`) against Stripe\'s API of version {theirs.whole["info"]["version"]}, as far as that is',
           'about the resources of this project.', '']

    # Operations.
    there = [k for k in theirs.operations if k in ours.operations]
    missing = [k for k in theirs.operations if k not in ours.operations]
    own = [k for k in ours.operations if k not in theirs.operations]
    all_promised = promised['now'] + promised['later']
    kept = [k for k in all_promised if k in ours.operations]

    # Parameters, of the operations that are there.
    taken = refused = without_effect = top_taken = 0
    all_parameters = top_parameters = 0
    parameter_lists = []
    for key in there:
        theirs_p, ours_p = theirs.parameters(key), ours.parameters(key)
        refused_names = set(ours.operations[key].get('x-refused', []))
        effectless = [n for n, s in ours_p.items() if s.get('x-without-effect')]

        def below(name, names):
            return any(name == n or name.startswith(n + '[') for n in names)
        lacking = []
        for name in theirs_p:
            all_parameters += 1
            top = '[' not in name
            top_parameters += top
            if below(name, effectless):
                without_effect += 1
                taken += 1
                top_taken += top
            elif name in ours_p:
                taken += 1
                top_taken += top
            else:
                lacking.append(name)
                refused += below(name, refused_names)
        if lacking or effectless:
            parameter_lists.append((theirs.names[key], outermost(lacking), sorted(n for n in effectless if n in theirs_p)))
    extra = {theirs.names[k]: outermost(set(ours.parameters(k)) - set(theirs.parameters(k))) for k in there}

    # Response fields, once for each object that the operations answer with.
    objects = sorted({theirs.answer_of(k) for k in there} - {None})
    have = null = total = top_have = top_total = 0
    field_lists, strange_fields = [], {}
    for name in objects:
        theirs_f, ours_f = theirs.fields(name), ours.fields(name)
        nothing = [f for f, s in ours_f.items() if s.get('x-always-null')]
        lacking = [f for f in theirs_f if f not in ours_f]
        have += len(theirs_f) - len(lacking)
        total += len(theirs_f)
        top_total += sum('.' not in f for f in theirs_f)
        top_have += sum('.' not in f and f in ours_f for f in theirs_f)
        null += len(nothing)
        field_lists.append((name, len(theirs_f) - len(lacking), len(theirs_f), outermost(lacking), nothing))
        strange = outermost(set(ours_f) - set(theirs_f))
        # Errors of cards have members that stand in no schema of the object itself.
        if strange:
            strange_fields[name] = strange

    figures = [('operations that Florin promises', share(len(kept), len(all_promised))),
               ('operations of the published document, resources to come among them', share(len(there), len(theirs.operations))),
               ('parameters of the operations that are there, outermost', share(top_taken, top_parameters)),
               ('parameters, those inside hashes too', share(taken, all_parameters)),
               ('of these, taken without effect', str(without_effect)),
               ('refused by a sentence that says so', str(refused)),
               ('response fields, outermost', share(top_have, top_total)),
               ('response fields, those inside too', share(have, total)),
               ('of these, always null so far', str(null))]
    out += ['| | |', '|---|---|'] + [f'| {a} | {b} |' for a, b in figures] + ['']
    for a, b in figures:
        print(f'{b:>24}  {a}')
    print()

    out += ['## Promised, and not there yet', '']
    out += [f'- `{theirs.names.get(k, k)}`' for k in all_promised if k not in ours.operations] or ['Nothing.']
    out += ['', '## Published operations that are not there', '']
    out += [f'- `{theirs.names[k]}`' for k in missing if k not in all_promised] or ['None.']
    out += ['', '## Operations that only Florin documents', '']
    out += [f'- `{ours.names[k]}`' for k in own] or ['None.']
    out += ['', '## Parameters', '',
            'A parameter that is missing is refused by name. Of a hash that is missing only its own name stands here.', '']
    for name, lacking, effectless in parameter_lists:
        out.append(f'- `{name}`')
        if lacking:
            out.append('  - missing: ' + ', '.join(f'`{n}`' for n in lacking))
        if effectless:
            out.append('  - without effect: ' + ', '.join(f'`{n}`' for n in effectless))
    out += ['', 'Taken though they are not published, as they were once, or are elsewhere:', '']
    out += [f'- `{k}`: ' + ', '.join(f'`{n}`' for n in v) for k, v in extra.items() if v] or ['- none']
    out += ['', '## Response fields', '', '| object | fields |', '|---|---|']
    out += [f'| `{name}` | {share(h, t)} |' for name, h, t, _, _ in field_lists] + ['']
    for name, _, _, lacking, nothing in field_lists:
        if lacking:
            out.append(f'- `{name}` misses: ' + ', '.join(f'`{n}`' for n in lacking))
        if nothing:
            out.append(f'- `{name}`, always null: ' + ', '.join(f'`{n}`' for n in nothing))
    text = '\n'.join(out).rstrip() + '\n'

    if '--write' in sys.argv[1:]:
        with open(compatibility, 'w') as f:
            f.write(text)
    committed = open(compatibility).read() if os.path.exists(compatibility) else ''

    references = re.findall(r'#/components/schemas/([^"]+)', json.dumps(ours.whole))
    check('every operation that is promised for now is there',
          [theirs.names.get(k, k) for k in promised['now'] if k not in ours.operations])
    check('what is expected to be missing is missing (else: say "now" in operations.txt)',
          [theirs.names.get(k, k) for k in promised['later'] if k in ours.operations])
    check('operations.txt names operations that are published',
          [k for k in all_promised if k not in theirs.operations])
    check('every reference in docs/openapi.json leads somewhere', sorted(set(references) - set(ours.schemas)))
    check('every operation answers with an object that schemas.def describes',
          [f'{ours.names[k]}: {ours.answer_of(k)}' for k in ours.operations if ours.answer_of(k) not in ours.schemas])
    check('no object has a field that is not published',
          [f'{k}: {", ".join(v)}' for k, v in strange_fields.items()])
    check('docs/COMPATIBILITY.md is what this test writes (tests/coverage/run.sh --write)',
          [] if committed == text else ['it differs'])
    print(f'\n{passed} passed, {failed} failed')
    return 1 if failed else 0


sys.exit(main())
