"""The same answers with 1, 2 and 4 workers and with 1 and 2 partitions, and what each adds to the cost of a
payment.

A play of requests is performed for several merchants at once, under every number of workers, with the
same books and merchants of their own; and by an instance of its own with two partitions. What is chance in an answer (ids, moments, codes) is masked; all
else must be the same in each performance.
"""

import concurrent.futures
import json
import os
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from instance import BIN, Instance, fail, say

# (name, method, path, parameters, Idempotency-Key or None). {name} is the id of an earlier answer.
METHOD = {"payment_method_types[]": "card"}
VISA = {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa", **METHOD}
PLAY = [
    ("customer", "POST", "/v1/customers", {"name": "Ada", "email": "ada@example.com"}, None),
    ("paid", "POST", "/v1/payment_intents", {**VISA, "confirm": "true"}, "one"),
    ("paid again", "POST", "/v1/payment_intents", {**VISA, "confirm": "true"}, "one"),
    ("key misused", "POST", "/v1/payment_intents", {**VISA, "amount": 2001, "confirm": "true"}, "one"),
    ("declined", "POST", "/v1/payment_intents",
     {**VISA, "payment_method": "pm_card_visa_chargeDeclined", "confirm": "true"}, "two"),
    ("declined again", "POST", "/v1/payment_intents",
     {**VISA, "payment_method": "pm_card_visa_chargeDeclined", "confirm": "true"}, "two"),
    ("challenged", "POST", "/v1/payment_intents",
     {**VISA, "payment_method": "pm_card_threeDSecure2Required", "confirm": "true"}, "three"),
    ("held", "POST", "/v1/payment_intents", {**VISA, "capture_method": "manual", "confirm": "true"}, "four"),
    ("captured", "POST", "/v1/payment_intents/{held}/capture", {"amount_to_capture": 1500}, "five"),
    ("captured too often", "POST", "/v1/payment_intents/{held}/capture", {}, None),
    ("made", "POST", "/v1/payment_intents", {**VISA, "customer": "{customer}"}, "six"),
    ("changed", "POST", "/v1/payment_intents/{made}", {"metadata[order]": "6735", "amount": 3100}, None),
    ("confirmed", "POST", "/v1/payment_intents/{made}/confirm", {}, "seven"),
    ("canceled too late", "POST", "/v1/payment_intents/{made}/cancel", {}, None),
    ("given up", "POST", "/v1/payment_intents", VISA, "eight"),
    ("canceled", "POST", "/v1/payment_intents/{given up}/cancel", {}, "nine"),
    ("refunded", "POST", "/v1/refunds", {"payment_intent": "{paid}", "amount": 700}, "ten"),
    ("refunded again", "POST", "/v1/refunds", {"payment_intent": "{paid}", "amount": 700}, "ten"),
    ("refunded too much", "POST", "/v1/refunds", {"payment_intent": "{paid}", "amount": 1301}, None),
    ("refunded whole", "POST", "/v1/refunds", {"payment_intent": "{paid}"}, None),
    ("seen", "GET", "/v1/payment_intents/{paid}", {}, None),
    ("listed", "GET", "/v1/payment_intents", {"limit": 10}, None),
    ("charges", "GET", "/v1/charges", {"limit": 10}, None),
    ("of the customer", "GET", "/v1/payment_intents", {"customer": "{customer}"}, None),
    ("events", "GET", "/v1/events", {"limit": 30}, None),
    ("balance", "GET", "/v1/balance", {}, None),
    ("nobody's", "GET", "/v1/payment_intents/pi_0000000000000000", {}, None),
    ("malformed", "POST", "/v1/payment_intents", {"amount": "much", "currency": "usd"}, None),
]
# What is chance without looking like an id or a moment.
CHANCE = {"authorization_code", "client_secret", "fingerprint", "invoice_prefix"}


def masked(value, name=""):
    if isinstance(value, dict):
        return {key: masked(below, key) for key, below in value.items()}
    if isinstance(value, list):
        return [masked(below, name) for below in value]
    if name in CHANCE and value is not None:
        return "…"
    if isinstance(value, str):
        value = re.sub(r"([?&]secret=)\w+", r"\1…", value)
        value = re.sub(r"^http://127\.0\.0\.1:\d+/", "http://…/", value)
        return re.sub(r"\b([a-z]+)_(?:test_)?[0-9A-Za-z]{14,}(_secret_\w+)?", r"\1_…", value)
    if isinstance(value, int) and value > 10**9:
        return "moment"
    return value


def ask(port, secret, method, path, parameters, key):
    data = urllib.parse.urlencode(parameters, safe="[]")
    if method == "GET" and data:
        path, data = f"{path}?{data}", ""
    headers = {"Authorization": f"Bearer {secret}", **({"Idempotency-Key": key} if key else {})}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data.encode() if method == "POST" else
                                     None, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def perform(port, secret):
    """[(scene, status, answer without what is chance)]; a repeated key must give the same bytes."""
    ids, first, told = {}, {}, []
    for name, method, path, parameters, key in PLAY:
        def put_in(text):
            return re.sub(r"\{([^}]+)\}", lambda found: ids[found[1]], str(text))
        said = {k: put_in(v) for k, v in parameters.items()}
        status, body = ask(port, secret, method, put_in(path), said, key)
        if name.endswith(" again"):
            if first[name[:-6]] != (status, body):
                return [(name, status, f"not what was answered first: {body[:200]}")]
        first[name] = status, body
        answer = json.loads(body)
        ids[name] = answer.get("id") or answer.get("error", {}).get("payment_intent", {}).get("id", "")
        told.append((name, status, masked(answer)))
    return told


def where_they_differ(one, other, path=""):
    """The first field in which two answers are not the same, with both values; or None."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        below = [(one[key], other[key], f"{path}.{key}") for key in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        below = [(a, b, f"{path}[{index}]") for index, (a, b) in enumerate(zip(one, other))]
    elif one == other:
        return None
    else:
        return f"{path[1:]} is {str(one)[:60]} and {str(other)[:60]}"
    return next((words for words in (where_they_differ(*row) for row in below) if words), None)


def difference(one, other):
    """In words: the first scene in which two performances are not the same; or None."""
    for (name, status, answer), (_, other_status, other_answer) in zip(one, other):
        if status != other_status:
            return f"{name}: {status} and {other_status}"
        words = where_they_differ(answer, other_answer)
        if words:
            return f"{name}: {words}"
    return None if len(one) == len(other) else "one of them ended early"


def performances(instance, count):
    secrets = [line.split()[1] for line in subprocess.run(
        [str(BIN / "florin-load"), "merchants", "--home", str(instance.home), "--count", str(count)],
        stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda secret: perform(instance.port, secret), secrets))


def wait_for_workers(instance, count):
    """Until so many share the merchants' slots; who stands ready has none."""
    end = time.monotonic() + 60
    while True:
        owners = [instance.sql("SELECT string_agg(DISTINCT owner, ' ' ORDER BY owner) FROM slot", database)
                  for database in instance.databases()]
        if all(owners) and len(" ".join(owners).split()) == count:
            return
        if time.monotonic() > end:
            fail(f"{count} workers were wanted, and {' '.join(owners).strip() or 'nobody'} has the slots.")
        time.sleep(0.1)


PLAYS = 24


def row_of(instance, pay, connections, seconds, model, plays):
    """How that instance answers, beside a model (its own first performance if there is none yet), and what
    a payment costs there; and the model."""
    workers, partitions = instance.settings["workers"], instance.settings.get("partitions", 1)
    wait_for_workers(instance, workers)
    told = performances(instance, plays)
    model = model or told[0]
    odd = next((words for words in (difference(model, other) for other in told) if words), None)
    instance.settle()
    result = pay(instance, connections=connections, seconds=seconds, warmup=3)
    say(f"workers: {workers}, partitions: {partitions}: {'the same answers' if odd is None else odd}; "
        f"{result['per_second']:.0f} payments/s, {result['cpu_us_total']:.0f} µs of CPU each")
    return {"workers": workers, "partitions": partitions, "same_answers": odd is None, "difference": odd,
            "plays": plays, "scenes": len(PLAY), "per_second": result["per_second"],
            "failed": result["failed"], "cpu_us_total": result["cpu_us_total"], "cpu_us": result["cpu_us"],
            "commits": result["commits"], "p50_ms": result["p50_ms"], "p99_ms": result["p99_ms"]}, model


def in_partitions(instance, pay, connections, seconds, model, plays):
    """A row for 1 and for 2 partitions, each fresh: how many there are is said once and for all."""
    rows = []
    instance.down()
    for count in (1, 2):
        folder = tempfile.mkdtemp(prefix="florin-bench.")
        os.chmod(folder, 0o711)
        settings = {**instance.settings, "partitions": count, "workers": 2, "webhook_workers": 2}
        other = Instance(folder, settings, 0)
        try:
            other.up()
            other.make_merchants(1000)
            pay(other, connections=64, seconds=1, warmup=1)
            rows.append(row_of(other, pay, connections, seconds, model, plays)[0])
        finally:
            other.down()
            other.remove()
    instance.up()
    return rows


def scale(instance, pay, connections, seconds, counts=(1, 2, 4), plays=PLAYS):
    """A row for each number of workers, and one for each of partitions; the last one's setting is what it was
    before."""
    before = instance.settings.get("workers")
    rows, model = [], None
    for count in counts:
        instance.restart(workers=count)
        row, model = row_of(instance, pay, connections, seconds, model, plays)
        rows.append(row)
    partitions = in_partitions(instance, pay, connections, seconds, model, plays)
    if before:
        instance.restart(workers=before)
    else:
        del instance.settings["workers"]
        instance.restart()
    return rows, partitions
