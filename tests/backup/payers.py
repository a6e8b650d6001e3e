"""Payers who pay, refund and repeat until they are told to end (a line on standard input), each with an
Idempotency-Key. Writes every answer that said `succeeded` into FILE, as `TIME ID AMOUNT`, at once.

    payers.py URL KEY FILE COUNT
"""

import json
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

url, key, path, count = *sys.argv[1:4], int(sys.argv[4])
out, lock, over = open(path, "w"), threading.Lock(), threading.Event()
number = "4242424242424242"


def post(where, form):
    request = urllib.request.Request(url + where, data=urllib.parse.urlencode(form).encode())
    request.add_header("Authorization", "Bearer " + key)
    request.add_header("Idempotency-Key", str(uuid.uuid4()))
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def pay(which):
    amount = 1000 + which
    while not over.is_set():
        amount += count
        intent = post("/v1/payment_intents", {
            "amount": amount, "currency": "usd", "payment_method_types[]": "card", "confirm": "true",
            "payment_method_data[type]": "card", "payment_method_data[card][number]": number,
            "payment_method_data[card][exp_month]": 12, "payment_method_data[card][exp_year]": 2030 + which,
            "payment_method_data[card][cvc]": "123"})
        if intent.get("status") != "succeeded":
            continue
        with lock:
            print(f"{time.time():.3f} {intent['id']} {amount}", file=out, flush=True)
        if amount % 3 == 0:
            post("/v1/refunds", {"payment_intent": intent["id"], "amount": 100})


threads = [threading.Thread(target=pay, args=(i,)) for i in range(count)]
for thread in threads:
    thread.start()
sys.stdin.readline()
over.set()
for thread in threads:
    thread.join()
