"""Card numbers go through a running Florin by every way in, and are then looked for in all that it has
left: logs, Redis, dumps and files of Postgres, its log of changes, the network's book, the event tap,
webhooks, packets on loopback, and the memory of every process but the vault's.

    canary.py HOME URL KEY FIND_DIGITS FOLDER

HOME/URL/KEY: an instance that runs. FIND_DIGITS: the program beside this one. FOLDER: for what is
gathered. Prints a line for each promise, `ok` or `FAILED`, and exits with 1 when one failed.

The numbers of a run share their first ten digits, made anew for it, so that a part of one is found too.
The search is proven afterwards: one number is put into each place, and must be found there.
"""

import base64
import concurrent.futures
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

home, url, key, find_digits, folder = sys.argv[1:]
port = urllib.parse.urlsplit(url).port
failed = False


def say(good, what, more=""):
    global failed
    failed |= not good
    print(("ok      " if good else "FAILED  ") + what, flush=True)
    if not good and more:
        print(more[:3000], flush=True)


# --- the numbers ------------------------------------------------------------------------------------


def luhn(digits):
    total = 0
    for i, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + (i % 2 == 0))
        total += value - 9 * (value > 9)
    return digits + str(-total % 10)


chance = random.SystemRandom()
prefix = "49" + "".join(chance.choice("1236789") for _ in range(8))
numbers = list({luhn(prefix + f"{chance.randrange(100000):05d}") for _ in range(8)})
wrong_number = numbers[0][:-1] + str((int(numbers[0][-1]) + 1) % 10)


def look(paths):
    """What find_digits finds in these files. Some are Postgres's, and go away or become shorter meanwhile: then
    it cannot tell (2), and looks again."""
    for _ in range(5):
        found = subprocess.run([find_digits, "-", *numbers, wrong_number], input="\n".join(paths) + "\n",
                               text=True, capture_output=True)
        if found.returncode != 2:
            break
        paths = [path for path in paths if os.path.exists(path)]
    return found


def write(name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


# --- the search itself ------------------------------------------------------------------------------


def prove_search():
    digits = numbers[0].encode()
    value = int(numbers[0])
    forms = {
        "text": digits, "groups": " ".join(numbers[0][i:i + 4] for i in range(0, 16, 4)).encode(),
        "dashes": "-".join(numbers[0][i:i + 4] for i in range(0, 16, 4)).encode(),
        "hex": digits.hex().encode(), "percent": "".join(f"%{b:02X}" for b in digits).encode(),
        "base64": base64.b64encode(digits), "base64_1": base64.b64encode(b"a" + digits + b"bc"),
        "base64_2": base64.b64encode(b"ab" + digits + b"c"),
        "utf16le": numbers[0].encode("utf-16-le"), "utf16be": numbers[0].encode("utf-16-be"),
        "utf32": numbers[0].encode("utf-32-le"), "utf32be": numbers[0].encode("utf-32-be"),
        "msgpack_text": b"\x81\x01\xb0" + digits, "msgpack_bytes": b"\x81\x01\xc4\x10" + digits,
        "msgpack_integer": b"\x81\x01\xcf" + struct.pack(">Q", value), "integer": struct.pack("<Q", value),
        "decimals": bytes.fromhex(numbers[0]), "part": b"," + digits[:12] + b",",
    }
    missed = []
    for name, form in forms.items():
        path = write("form", os.urandom(70001) + form + os.urandom(4093))
        if look([path]).returncode != 1:
            missed.append(name)
    empty = look([write("form", os.urandom(1 << 20))])
    say(not missed, f"the search finds a number in each of {len(forms)} forms", str(missed))
    say(empty.returncode == 0, "and none where there is none", empty.stdout)


# --- clients ----------------------------------------------------------------------------------------


def call(path, form=None, headers=None, method=None, secret=None):
    request = urllib.request.Request(url + path, method=method,
                                     data=None if form is None else urllib.parse.urlencode(form).encode())
    request.add_header("Authorization", "Bearer " + (secret or key))
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        body = error.read()
        try:
            return error.code, json.loads(body)
        except ValueError:
            return error.code, {}


def card(number, inside="card"):
    return {f"{inside}[number]": number, f"{inside}[exp_month]": "12", f"{inside}[exp_year]": "2034",
            f"{inside}[cvc]": "123"}


def intent(more):
    return call("/v1/payment_intents", {"amount": "2000", "currency": "usd", "payment_method_types[]": "card",
                                        "confirm": "true", **more})


def pay_by_method(number):
    status, method = call("/v1/payment_methods", {"type": "card", **card(number)})
    if status != 200:
        return False
    customer = call("/v1/customers", {"name": "Canary"})[1]["id"]
    call(f"/v1/payment_methods/{method['id']}/attach", {"customer": customer})
    return intent({"payment_method": method["id"], "customer": customer})[1].get("status") == "succeeded"


def pay_by_token(number):
    status, token = call("/v1/tokens", card(number))
    return status == 200 and call("/v1/charges", {"amount": "700", "currency": "usd",
                                                  "source": token["id"]})[1].get("paid") is True


def pay_at_once(number):
    grouped = " ".join(number[i:i + 4] for i in range(0, 16, 4))
    return intent({"payment_method_data[type]": "card",
                   **card(grouped, "payment_method_data[card]")})[1].get("status") == "succeeded"


def pay_page(number):
    status, session = call("/v1/checkout/sessions", {
        "mode": "payment", "success_url": "http://localhost/ok", "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": "usd", "line_items[0][price_data][unit_amount]": "900",
        "line_items[0][price_data][product_data][name]": "Canary"})
    if status != 200:
        return False
    status, _ = call(f"/v1/payment_pages/{session['id']}/confirm", {
        "email": "canary@example.com", "payment_method_data[type]": "card",
        **card(number, "payment_method_data[card]")})
    return status == 200


def raw(data, then_close=True):
    """Bytes as they are, and what came back."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        s.sendall(data)
        if then_close:
            s.shutdown(socket.SHUT_WR)
        try:
            return s.recv(65536)
        except OSError:
            return b""


def in_wrong_places():
    """Where a number has no business. Whatever the answer, nothing may keep it."""
    n = numbers
    said = {
        "description": intent({"payment_method": "pm_card_visa", "description": f"card {n[1]}"})[0],
        "metadata": intent({"payment_method": "pm_card_visa", "metadata[card]": n[2]})[0],
        "metadata name": intent({"payment_method": "pm_card_visa", f"metadata[{n[2]}]": "1"})[0],
        "customer": call("/v1/customers", {"name": n[3], "email": f"{n[3]}@example.com"})[0],
        "key": intent({"payment_method": "pm_card_visa"})[0] if not call(
            "/v1/customers", {"name": "x"}, {"Idempotency-Key": n[1]}) else call(
            "/v1/customers", {"name": "x"}, {"Idempotency-Key": f"order-{n[2]}"})[0],
        "path": call(f"/v1/payment_intents/{n[3]}")[0],
        "path with its prefix": call(f"/v1/payment_methods/pm_{n[3]}")[0],
        "query": call(f"/v1/customers?email={n[1]}")[0],
        "unknown route": call(f"/v1/cards/{n[2]}/charge", {"a": "b"})[0],
        "unknown parameter": intent({"card_number": n[3]})[0],
        "parameter name": intent({n[3]: "1"})[0],
        "payment method": intent({"payment_method": n[1]})[0],
        "source": call("/v1/charges", {"amount": "700", "currency": "usd", "source": n[1]})[0],
        "wrong number": call("/v1/tokens", card(wrong_number))[0],
        "expired card": call("/v1/tokens", {**card(n[2]), "card[exp_year]": "2001"})[0],
        "another's account": call("/v1/tokens", card(n[2]), {"Stripe-Account": n[3]})[0],
        "version": call("/v1/customers", {"name": "x"}, {"Stripe-Version": n[3]})[0],
        "no such key": call("/v1/tokens", card(n[1]), secret="sk_test_" + "x" * 24)[0],
        "number as key": call("/v1/tokens", card(n[1]), secret=n[1])[0],
        "JSON": call("/v1/tokens", card(n[1]), {"Content-Type": "application/json"})[0],
        "webhook URL": call("/v1/webhook_endpoints", {"url": f"http://127.0.0.1:9/{n[2]}",
                                                      "enabled_events[]": "*"})[0],
    }
    form = urllib.parse.urlencode(card(n[3])).encode()
    head = (f"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n")
    raw((head + f"Content-Length: {len(form) + 50}\r\n\r\n").encode() + form)  # cut off
    raw((head + "Transfer-Encoding: chunked\r\n\r\n").encode() + form)
    raw((head + "Content-Length: 99999999\r\n\r\n").encode() + form)
    raw((head + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n").encode() + form)
    raw(f"GET /v1/{n[1]} HTTP/9.9\r\nX-Card: {n[2]}\r\n\r\n".encode())
    raw(f"{n[1]} {n[2]}\r\n{n[3]}\r\n\r\n".encode())
    # A large form, so that buffers grow while the number is in them, in two pieces.
    large = form + b"&metadata[x]=" + b"y" * 70000
    request = (head + f"Content-Length: {len(large)}\r\n\r\n").encode() + large
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        for i in range(0, len(request), 3000):
            s.sendall(request[i:i + 3000])
            time.sleep(0.001)  # so that it comes in pieces; nothing is waited for
        s.recv(65536)
    return said


# --- what is left -----------------------------------------------------------------------------------


def status():
    answer = subprocess.run([os.environ["FLORIN"], "status", "--json"], capture_output=True, text=True,
                            env={**os.environ, "FLORIN_HOME": home})
    return {row["name"]: row["pid"] for row in json.loads(answer.stdout)}


def parent_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])


def everybody():
    """{name: pid} of all that the instance runs, Postgres's children and the supervisor among them."""
    found = status()
    postmaster = found["postgres"]
    with open(f"{home}/run/lock") as file:
        found["supervisor-1"] = int(file.read())
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and parent_of(entry) == postmaster:
                found[f"postgres-{entry}"] = int(entry)
        except OSError:
            pass
    return found


def image(name, pid):
    """The memory of a process as a core file would have it, taken while it stands still. Shared buffers
    are Postgres's one memory: they are in the image of its first process."""
    path = os.path.join(folder, f"memory-{name}")
    os.kill(pid, signal.SIGSTOP)
    try:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory, open(path, "wb") as out:
            for line in maps:
                match = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ (\S+) \S+\s*(.*)", line)
                low, high, mode, _, file = (int(match[1], 16), int(match[2], 16), match[3], match[4], match[5])
                shared = mode[3] == "s"
                if mode[0] != "r" or file in ("[vvar]", "[vsyscall]"):
                    continue
                if shared and (name.startswith("postgres-") or "/data.mdb" in file):
                    continue
                try:
                    memory.seek(low)
                    while low < high:
                        piece = memory.read(min(high - low, 1 << 22))
                        if not piece:
                            break
                        low += len(piece)
                        if piece.strip(b"\0"):
                            out.write(piece)
                except OSError:
                    continue
    finally:
        os.kill(pid, signal.SIGCONT)
    return path


def sql(database, command, program="psql"):
    with open(f"{home}/secrets/postgres_florin_admin") as file:
        password = file.read().strip()
    where = os.path.dirname(os.path.realpath(f"{home}/run/.s.PGSQL.5432"))
    return subprocess.run([program, "-h", where, "-U", "florin_admin", "-d", database, *command],
                          env={**os.environ, "PGPASSWORD": password}, capture_output=True)


def files_below(*folders):
    return [os.path.join(at, name) for top in folders for at, _, names in os.walk(os.path.realpath(top))
            for name in names if os.path.isfile(os.path.join(at, name))]


def redis_file():
    path = os.path.join(folder, "redis.rdb")
    subprocess.run(["redis-cli", "-s", f"{home}/run/redis.sock", "--rdb", path], capture_output=True, check=True)
    keys = subprocess.run(["redis-cli", "-s", f"{home}/run/redis.sock", "--scan"], capture_output=True, check=True).stdout
    # The file may be compressed; so each value as it is, too.
    values = b""
    for name in keys.split():
        for question in ("GET", "HGETALL"):
            values += name + b"\n" + subprocess.run(["redis-cli", "-s", f"{home}/run/redis.sock", "--raw", question, name],
                                                    capture_output=True).stdout
    return [path, write("redis.values", values)], len(keys.split())


def dump_files():
    paths = []
    for database in ("florin", "florin_vault"):
        for how in ("plain", "custom"):
            dump = sql(database, ["-F", how[0], "-Z", "0"] if how == "custom" else ["-F", "p"], "pg_dump")
            paths.append(write(f"dump-{database}-{how}", dump.stdout))
            if dump.returncode or not dump.stdout:
                say(False, f"{database} can be dumped", dump.stderr.decode())
    sql("florin", ["-c", "CHECKPOINT"])
    return paths


def clean(what, paths):
    size = sum(os.path.getsize(path) for path in paths if os.path.exists(path))
    found = look(paths)
    # A file may be gone by now, as Postgres's temporary ones are.
    lines = [line for line in found.stderr.splitlines() if "No such file" not in line]
    say(bool(paths) and size > 0 and not found.stdout and not lines,
        f"{what}: {len(paths)} files, {size / 1e6:.1f} MB", found.stdout + "\n".join(lines))


# --- the whole --------------------------------------------------------------------------------------


class Listener(BaseHTTPRequestHandler):
    heard = []

    def do_POST(self):
        Listener.heard.append(str(self.headers).encode() + self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def wait_for(what, ask, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if ask():
            return True
        time.sleep(0.05)
    say(False, what)
    return False


def main():
    prove_search()

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    call("/v1/webhook_endpoints", {"url": f"http://127.0.0.1:{listener.server_port}/", "enabled_events[]": "*"})
    capture = os.path.join(folder, "loopback.pcap")
    # The client's own leg is TLS in front of Florin's port, and not Florin's.
    sniffer = subprocess.Popen(["tcpdump", "-i", "lo", "-U", "-s", "0", "-Z", "root", "-w", capture, "not", "tcp", "port", str(port)],
                               stderr=subprocess.PIPE, text=True)
    sniffing = "listening on" in sniffer.stderr.readline()
    threading.Thread(target=sniffer.stderr.read, daemon=True).start()
    tap_file = open(os.path.join(folder, "tap"), "wb")
    tap = subprocess.Popen([os.environ["FLORIN"], "tap", "--json"], stdout=tap_file,
                           env={**os.environ, "FLORIN_HOME": home})

    ways = [pay_by_method, pay_by_token, pay_at_once, pay_page]
    for way in ways:
        say(way(numbers[0]), f"a card pays: {way.__name__}")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        paid = list(pool.map(lambda i: ways[i % 4](numbers[i % len(numbers)]), range(96)))
    say(all(paid), f"{sum(paid)} of {len(paid)} cards pay, sixteen at once")
    said = in_wrong_places()
    broken = {place: code for place, code in said.items() if code >= 500 or code < 200}
    say(not broken, f"{len(said)} numbers in wrong places are answered: "
        + ", ".join(f"{place} {code}" for place, code in said.items()), str(broken))
    # What frees memory leaves its traces; requests without a card overwrite few of them.
    for _ in range(8):
        intent({"payment_method": "pm_card_visa"})
    wait_for("webhooks arrive", lambda: len(Listener.heard) >= 100)
    wait_for("the tap tells", lambda: os.path.getsize(tap_file.name) > 1000)

    processes = everybody()
    vault = processes.pop("vault-1")
    images = {name: image(name, pid) for name, pid in processes.items() if os.path.exists(f"/proc/{pid}")}
    dumps = dump_files()
    redis_paths, redis_keys = redis_file()
    sniffer.send_signal(signal.SIGINT)
    sniffer.wait()
    tap.send_signal(signal.SIGINT)
    tap.wait()

    clean("no number in the logs", files_below(f"{home}/log"))
    say(redis_keys > 0, f"Redis holds {redis_keys} keys")
    clean("none in Redis", redis_paths)
    clean("none in the dumps of both databases", dumps)
    clean("none in Postgres's files, its log of changes among them", files_below(f"{home}/postgres"))
    clean("none in the card network's book", files_below(f"{home}/network"))
    clean("none in run/ and florin.conf", [f"{home}/florin.conf", *files_below(f"{home}/run")])
    clean("none on the event tap", [tap_file.name])
    clean("none in the webhooks", [write("webhooks", b"\n".join(Listener.heard))])
    say(sniffing, "loopback was listened to")
    clean("none in what passed over loopback", [capture])
    for name in sorted(images):
        if not name.startswith("postgres-"):
            clean(f"none in the memory of {name}", [images[name]])
    clean("none in the memory of Postgres's other processes",
          [path for name, path in images.items() if name.startswith("postgres-")])

    # --- the search, where it searched ---
    planted = numbers[-1]
    subprocess.run(["redis-cli", "-s", f"{home}/run/redis.sock", "SET", "canary", "card " + planted],
                   capture_output=True, check=True)
    # CHECKPOINT: in the log of changes alone it may stand across the end of a page, and be in two parts.
    sql("florin", ["-c", "CREATE SCHEMA canary", "-c", f"CREATE TABLE canary.t AS SELECT 'card {planted}' AS x",
                   "-c", "CHECKPOINT"])
    with open(f"{home}/log/gateway-1.log", "a") as file:
        file.write(f"canary {planted}\n")
    holder = subprocess.Popen([sys.executable, "-c", "import sys; n = sys.stdin.readline(); print('ready', flush=True); sys.stdin.read()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    holder.stdin.write(planted + "\n")
    holder.stdin.flush()
    holder.stdout.readline()
    for what, paths in (("Redis", redis_file()[0]), ("a dump", dump_files()),
                        ("Postgres's files", files_below(f"{home}/postgres")), ("a log", files_below(f"{home}/log")),
                        ("the memory of a process", [image("canary", holder.pid)]),
                        ("the memory of Redis", [image("redis", processes["redis"])])):
        found = look(paths)
        say(found.returncode == 1, f"a number planted in {what} is found", f"{found.returncode} {found.stdout[-300:]} {found.stderr[-300:]}")
    holder.kill()
    sql("florin", ["-c", "DROP SCHEMA canary CASCADE"])
    print(vault, file=open(os.path.join(folder, "vault.pid"), "w"))
    sys.exit(failed)


main()
