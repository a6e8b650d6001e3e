#!/usr/bin/env python3
"""Holds answers against the published schema, many in one process.

  validate.py PATH/validate_response.py < answers.jsonl

A line is {"operation": "GET /v1/charges/ch_1", "status": 200, "kind": "GET /v1/charges/{id}", "body": {…}}. Strict: a property that
the schema does not know is a violation too. The object inside an event is held against the schema of
its own kind. Prints one line per kind of violation; exit 0 when there is none.
"""
import collections
import importlib.util
import json
import re
import sys


def load(path):
    spec = importlib.util.spec_from_file_location('validate_response', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def objects_of_events(body, path='$'):
    """The data.object of every event in an answer, with the path to it."""
    if isinstance(body, dict):
        if body.get('object') == 'event' and isinstance(body.get('data'), dict):
            inner = body['data'].get('object')
            if isinstance(inner, dict):
                yield path + '.data.object', inner
        for name, value in body.items():
            yield from objects_of_events(value, f'{path}.{name}')
    elif isinstance(body, list):
        for i, value in enumerate(body):
            yield from objects_of_events(value, f'{path}[{i}]')


def violations(validator, answer):
    body = answer['body']
    if isinstance(body, dict) and 'error' in body and len(body) == 1:
        if answer['status'] < 400:
            yield '$', f'an error with status {answer["status"]}'
        yield from validator.check(body, validator.S['error'], strict=True)
        return
    # What the command line tool calls and the published operations leave out: it answers with the event.
    operation = re.sub(r'^POST (/v1/events/[^/]+)/retry$', r'GET \1', answer['operation'])
    for path, what in validator.check(body, validator.op_schema(operation), strict=True):
        # A publishable key sees a part of an object; what it sees must be right.
        if not (answer.get('publishable') and what == 'required, missing'):
            yield path, what
    for path, inner in objects_of_events(body):
        schema = validator.S.get(inner.get('object'))
        if schema:
            for where, what in validator.check(inner, schema, strict=True):
                yield path + where[1:], what


def main():
    validator = load(sys.argv[1])
    seen = collections.Counter()
    for line in sys.stdin:
        answer = json.loads(line)
        for path, what in violations(validator, answer):
            path = re.sub(r'\[\d+\]', '[]', path)
            key = (answer['kind'], path, what)
            seen[key] += 1
            if seen[key] <= 1:
                print(f'{answer["kind"]} {answer["status"]}: {path} {what}')
    return 1 if seen else 0


if __name__ == '__main__':
    sys.exit(main())
