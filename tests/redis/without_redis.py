"""Payments while Redis is killed, emptied, stopped or lying.

    without_redis.py HOME URL KEY PHASE

PHASE is `all`, or one promise alone, for a gateway that breaks it. Prints a line for each promise, `ok`
or `FAILED`, and exits with 1 when one failed.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

home, url, key, phase = sys.argv[1:]
here = os.path.dirname(os.path.abspath(__file__))
place = f"{home}/run/redis.sock"
real = os.path.realpath(place)
CALLS = 40
failed = False


def say(good, what):
    global failed
    failed |= not good
    print(("ok      " if good else "FAILED  ") + what, flush=True)


def post(path, form, idempotency):
    request = urllib.request.Request(url + path, data=urllib.parse.urlencode(form).encode())
    request.add_header("Authorization", "Bearer " + key)
    request.add_header("Idempotency-Key", idempotency)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer), answer.headers.get("Idempotent-Replayed")
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), error.headers.get("Idempotent-Replayed")


def pay(idempotency, amount):
    return post("/v1/payment_intents", {
        "amount": amount, "currency": "usd", "payment_method_types[]": "card",
        "payment_method": "pm_card_visa", "confirm": "true"}, idempotency)


paid = {}  # idempotency key: (amount, id)


def pay_some(what):
    """Pays CALLS times and repeats each; what was answered, and the times of the payments in seconds."""
    times, wrong, repeated = [], [], 0
    for i in range(CALLS):
        name, amount = str(uuid.uuid4()), 1000 + i
        began = time.monotonic()
        status, intent, _ = pay(name, amount)
        times.append(time.monotonic() - began)
        if status != 200 or intent.get("status") != "succeeded" or intent.get("amount") != amount:
            wrong.append((name, status, intent.get("error", intent.get("amount"))))
            continue
        paid[name] = (amount, intent["id"])
        status, again, replayed = pay(name, amount)
        repeated += replayed == "true"
        if status != 200 or (again.get("id"), again.get("amount")) != (intent["id"], amount):
            wrong.append((name, status, again.get("error", again.get("id"))))
    say(not wrong and repeated == CALLS,
        f"{what}: {CALLS - len(wrong)} of {CALLS} payments and their repetitions are answered rightly, "
        f"p50 {statistics.median(times) * 1000:.0f} ms, the slowest {max(times) * 1000:.0f} ms")
    if wrong:
        print("       ", wrong[:3], flush=True)
    return times


def old_answers(what):
    """Keys of earlier payments still give the answers that they gave."""
    wrong = 0
    for name, (amount, intent) in list(paid.items())[:CALLS]:
        status, again, _ = pay(name, amount)
        wrong += status != 200 or again.get("id") != intent or again.get("amount") != amount
    other = post("/v1/customers", {"name": "x"}, next(iter(paid)))[0]
    say(wrong == 0 and other == 400, f"{what}: keys give what they gave, and no other request ({wrong} wrong, {other})")


def redis(*words):
    return subprocess.run(["redis-cli", "-s", real, *words], capture_output=True, text=True, check=True).stdout


def redis_pid():
    answer = subprocess.run([os.environ["FLORIN"], "status", "--json"], capture_output=True, text=True,
                            env={**os.environ, "FLORIN_HOME": home})
    return next(row["pid"] for row in json.loads(answer.stdout) if row["name"] == "redis")


def until(what, ask, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ask():
            return True
        time.sleep(0.02)
    say(False, what)
    return False


def keeps():
    """The gateway is in touch with Redis: an answer that is given is kept."""
    before = int(redis("DBSIZE"))
    pay(str(uuid.uuid4()), 1000)
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        if int(redis("DBSIZE")) > before:
            return True
    return False


def costs_time_only(what, times, normal):
    """Some calls find out at 20 ms for each of three questions, and not every call: by the middle one,
    which another program on the machine moves least."""
    usual, now = statistics.median(normal) * 1000, statistics.median(times) * 1000
    say(now < usual * 1.5 + 20, f"{what}: p50 of {now:.0f} ms instead of {usual:.0f} ms")


def stopped():
    normal = pay_some("before it hangs")
    pid = redis_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        costs_time_only("a Redis that hangs costs little", pay_some("while it hangs"), normal)
        old_answers("while it hangs")
    finally:
        os.kill(pid, signal.SIGCONT)


class Liar:
    def __enter__(self):
        self.aside = place + ".aside"
        os.rename(place, self.aside)
        self.process = subprocess.Popen([sys.executable, os.path.join(here, "liar.py"), place, real],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        redis("CLIENT", "KILL", "TYPE", "normal")
        until("the gateway meets the liar", lambda: int(redis("CLIENT", "LIST").count("cmd=")) >= 2)
        until("and keeps its answers there", keeps)
        return self

    def tell(self, mode):
        self.process.stdin.write(mode + "\n")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.unlink(place)
        os.rename(self.aside, place)


def lied_to(modes):
    with Liar() as liar:
        for mode in modes:
            timed = mode in ("slow", "silent", "broken", "strange")
            normal = pay_some(f"before it is {mode}") if timed else None
            liar.tell(mode)
            times = pay_some(f"while it is {mode}")
            old_answers(f"while it is {mode}")
            if timed:
                costs_time_only(f"a Redis that is {mode} costs little", times, normal)
            liar.tell("honest")
            until(f"after {mode} Redis is used again", keeps)


def refused_for_ever():
    """Not 429s without end: a bucket that never has anything is no bucket."""
    with Liar() as liar:
        liar.tell("refusing")
        end, codes = time.monotonic() + 15, []
        while time.monotonic() < end and 200 not in codes:
            codes.append(pay(str(uuid.uuid4()), 1000)[0])
            if codes[-1] != 200:
                time.sleep(0.05)
        say(codes[-1] == 200 and set(codes) <= {200, 429},
            f"a Redis that refuses everybody is believed for a while and no longer: {len(codes)} tries")
        after = [pay(str(uuid.uuid4()), 1000)[0] for _ in range(CALLS)]
        say(after == [200] * CALLS, "and payments go on from then")


def poisoned():
    """Buckets that hold nonsense, in the real Redis."""
    names = redis("--scan", "--pattern", "florin:account:*").split() + redis("--scan", "--pattern", "florin:key:*").split()
    for fields in (("tokens", "-1e18"), ("tokens", "1e300"), ("tokens", "nan"), ("at", "1e300"), ("at", "-5"),
                   ("tokens", "x", "at", "y")):
        for name in names:
            redis("HSET", name, *fields)
        codes = [pay(str(uuid.uuid4()), 1000)[0] for _ in range(6)]
        say(codes == [200] * 6 and names, f"a bucket with {' '.join(fields)} stops nobody")
    for name in names:
        redis("SET", name, "no bucket")
    codes = [pay(str(uuid.uuid4()), 1000)[0] for _ in range(6)]
    say(codes == [200] * 6, "nor one that is no bucket")


def main():
    until("Redis keeps answers", keeps)
    pay_some("at first, to be warm")
    if phase in ("all", "stopped"):
        stopped()
        until("Redis that goes on is used again", keeps)
    if phase == "altered":
        lied_to(["altered"])
    if phase == "all":
        redis("FLUSHALL")
        old_answers("emptied")
        normal = pay_some("emptied")
        old = redis_pid()
        os.kill(old, signal.SIGKILL)
        costs_time_only("a Redis that was killed costs little", pay_some("killed"), normal)
        old_answers("killed")
        until("one that was started again is used", lambda: redis_pid() not in (0, old) and keeps())
        poisoned()
        lied_to(["altered", "swapped", "stale", "cut", "garbage", "strange", "generous", "slow", "silent", "broken"])
        refused_for_ever()
    sys.exit(failed)


main()
