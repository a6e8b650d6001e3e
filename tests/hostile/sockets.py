#!/usr/bin/env python3
"""Bad bytes on every socket that Florin's processes listen at (RELIABILITY e5, Z rows): none is let
in, none is answered beyond the handshake, nobody ends or grows, and payments go on meanwhile."""
import ctypes
import json
import os
import random
import resource
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

home, url, key = os.environ["FLORIN_HOME"], os.environ["FLORIN_URL"], os.environ["FLORIN_SECRET_KEY"]
passed = failed = 0


def check(what, holds):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print(f"{'ok    ' if holds else 'FAILED'} {what}", flush=True)


def status():
    text = subprocess.run([os.environ["FLORIN"], "status", "--json"], capture_output=True, text=True).stdout
    processes = json.loads(text)
    return [p for p in processes if p["name"] not in ("postgres", "redis")]


def memory(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024
    return 0


def pay():
    body = urllib.parse.urlencode({"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true",
                                   "payment_method_types[]": "card"}).encode()
    request = urllib.request.Request(url + "/v1/payment_intents", body, {"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["status"] == "succeeded"


def sockets():
    """Where each process of ours listens: of the kind that ZeroMQ speaks over."""
    found = []
    for line in open("/proc/net/unix"):
        words = line.split()
        if len(words) == 8 and words[3] == "00010000" and not words[7].endswith("redis.sock") and ".s.PGSQL" not in words[7] and "@" not in words[7]:
            found.append(words[7])
    mine = [path for path in found if path.startswith(os.path.join(home, "run") + "/")]
    return sorted(set(mine))


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(5)
    s.connect(path)
    return s


def until_closed(s, most=5):
    """What is said until the other side closes; None when it never does."""
    said = b""
    end = time.monotonic() + most
    try:
        while time.monotonic() < end:
            s.settimeout(max(0.01, end - time.monotonic()))
            more = s.recv(65536)
            if not more:
                return said
            said += more
    except TimeoutError:
        return None
    except OSError:
        return said
    return None


def greeting(mechanism, version=(3, 1), server=0):
    return b"\xff" + bytes(7) + b"\x01\x7f" + bytes(version) + mechanism.ljust(20, b"\0") + bytes([server]) + bytes(31)


def command(body):
    return (b"\x04" + bytes([len(body)]) if len(body) < 256 else b"\x06" + len(body).to_bytes(8, "big")) + body


chance = random.Random(7)
ready = command(b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER")
hello = command(b"\x05HELLO\x01\x00" + bytes(72) + chance.randbytes(32) + bytes(8) + chance.randbytes(80))
ROWS = [  # what is sent; what it is
    ("Z1 garbage", chance.randbytes(4096)),
    ("Z1 HTTP", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("Z3 no security at all", greeting(b"NULL") + ready),
    ("Z4 a password", greeting(b"PLAIN") + command(b"\x05HELLO\x05admin\x05admin")),
    ("Z5 CURVE of nobody", greeting(b"CURVE") + hello),
    ("Z10 one HELLO after the other", greeting(b"CURVE") + hello * 3),
    ("Z10 an INITIATE before anything", greeting(b"CURVE") + command(b"\x08INITIATE" + chance.randbytes(200))),
    ("Z12 an INITIATE of a megabyte", greeting(b"CURVE") + hello + command(b"\x08INITIATE" + bytes(1 << 20))),
    ("Z13 ZMTP 1.0", b"\x01\x00\x05hello"),
    ("Z13 ZMTP 2.0", b"\xff" + bytes(7) + b"\x01\x7f\x01\x05\x00\x00"),
    ("Z14 a frame of 2^63 bytes", greeting(b"CURVE") + b"\x06" + (1 << 63).to_bytes(8, "big") + b"x"),
    ("Z15 a frame of a gigabyte", greeting(b"CURVE") + b"\x06" + (1 << 30).to_bytes(8, "big") + bytes(100000)),
    ("Z16 a message before the handshake, in many parts", greeting(b"CURVE") + b"\x01\x01x" * 5000),
    ("Z33 half a greeting and the end", greeting(b"CURVE")[:20]),
]

before = status()
grown = {p["name"]: memory(p["pid"]) for p in before}
paths = sockets()
check(f"{len(paths)} sockets are there to be tried", len(paths) >= 8)

for what, words in ROWS:
    bad, open_ones = [], []
    for path in paths:
        s = connect(path)
        open_ones.append((path, s))
        try:
            s.sendall(words)
            if "the end" in what:
                s.shutdown(socket.SHUT_WR)
        except OSError:  # closed in the middle of it
            pass
    for path, s in open_ones:
        said = until_closed(s)
        s.close()
        # a greeting of its own, and perhaps an ERROR; never READY, and never silence for ever
        if said is None or b"\x05READY" in said or len(said) > 300:
            bad.append(f"{os.path.basename(path)}: {said!r:.80}")
    check(f"{what}: closed by us, on every socket{''.join(' ' + b for b in bad[:3])}", not bad)

crowd = []
for i in range(1000):
    try:
        crowd.append(connect(paths[i % len(paths)]))
    except OSError:
        break
gone = sum(until_closed(s, 6) is not None for s in crowd)
for s in crowd:
    s.close()
check(f"Z2 of {len(crowd)} who say nothing all are closed in a few seconds ({gone})", len(crowd) > 900 and gone == len(crowd))

start = time.monotonic()
storms = 0
while time.monotonic() - start < 2:
    for path in paths:
        try:
            s = connect(path)
            if storms % 2:
                s.sendall(greeting(b"CURVE")[: chance.randrange(64)])
            s.close()
            storms += 1
        except OSError:
            pass
check(f"Z29 {storms} connects and ends in two seconds", storms > 200 and pay())



# --- Z27: who has a key of Florin's, and asks the tap for more than anybody needs


class Subscriber:
    """A peer of the tap with a monitor's own key, over libzmq itself."""
    ZMQ = ctypes.CDLL("libzmq.so.5")
    ZMQ.zmq_ctx_new.restype = ZMQ.zmq_socket.restype = ctypes.c_void_p
    PAIR, SUB, SUBSCRIBE, LINGER, SNDHWM, RCVTIMEO = 0, 2, 6, 17, 23, 27
    PUBLIC, SECRET, SERVER, DISCONNECTED = 48, 49, 50, 0x0200

    def __init__(self, ledger):
        keys = os.path.join(home, "keys")
        public, secret = open(os.path.join(keys, "monitor-1.key")).read().split()
        server = open(os.path.join(keys, "public", f"ledger-{ledger}.pub")).read().strip()
        self.context = ctypes.c_void_p(self.ZMQ.zmq_ctx_new())
        self.socket = ctypes.c_void_p(self.ZMQ.zmq_socket(self.context, self.SUB))
        for option, value in (self.PUBLIC, public), (self.SECRET, secret), (self.SERVER, server):
            self.set(option, value.encode())
        for option, value in (self.LINGER, 0), (self.SNDHWM, 0), (self.RCVTIMEO, 200):
            self.set(option, value.to_bytes(4, "little"))
        assert self.ZMQ.zmq_socket_monitor(self.socket, b"inproc://ends", self.DISCONNECTED) == 0
        self.ends = ctypes.c_void_p(self.ZMQ.zmq_socket(self.context, self.PAIR))
        assert self.ZMQ.zmq_connect(self.ends, b"inproc://ends") == 0
        self.at = os.path.join(home, "run", f"ledger_tap-{ledger}").encode()

    def set(self, option, value):
        assert self.ZMQ.zmq_setsockopt(self.socket, option, value, ctypes.c_size_t(len(value))) == 0, option

    def connect(self):
        assert self.ZMQ.zmq_connect(self.socket, b"ipc://" + self.at) == 0

    def hears(self, most=10):
        """Whether the ledger tells anything: heads come several times a second."""
        end, at = time.monotonic() + most, ctypes.create_string_buffer(4096)
        while time.monotonic() < end:
            if self.ZMQ.zmq_recv(self.socket, at, ctypes.c_size_t(4096), 0) >= 0:
                return True
        return False

    def is_dropped(self, most=5):
        end, at = time.monotonic() + most, ctypes.create_string_buffer(256)
        while time.monotonic() < end:
            if self.ZMQ.zmq_recv(self.ends, at, ctypes.c_size_t(256), 1) >= 0:
                return True
            time.sleep(0.02)
        return False

    def leave(self):
        """Without freeing anything: libzmq takes a topic of a megabyte apart by a recursion, and dies of it."""
        self.ZMQ.zmq_disconnect(self.socket, b"ipc://" + self.at)

    def close(self):
        self.ZMQ.zmq_close(self.ends)
        self.ZMQ.zmq_close(self.socket)
        self.ZMQ.zmq_ctx_term(self.context)


def leader():
    """The ledger that publishes, and its process."""
    for n in (1, 2):
        one = Subscriber(n)
        one.set(one.SUBSCRIBE, b"")
        one.connect()
        heard = one.hears(2)
        one.close()
        if heard:
            return n, next(p["pid"] for p in before if p["name"] == f"ledger-{n}")
    return None, None


ledger, ledger_pid = leader()
check(f"a monitor is let in, and hears the tap of ledger-{ledger}", ledger)
first = memory(ledger_pid)
greedy = Subscriber(ledger)
greedy.set(greedy.SUBSCRIBE, b"")
greedy.connect()
heard = greedy.hears()
greedy.set(greedy.SUBSCRIBE, chance.randbytes(1 << 20))
dropped = greedy.is_dropped()
greedy.leave()
most = memory(ledger_pid) - first
check(f"Z27 who asks the tap for a topic of a megabyte is dropped, and the ledger grows by {most} MiB", heard and dropped and most < 8)

dropped = 0
for _ in range(2):
    greedy = Subscriber(ledger)
    for _ in range(100_000):
        greedy.set(greedy.SUBSCRIBE, b"\0" + chance.randbytes(15) + bytes(32))  # of nothing that is ever sent
    greedy.connect()
    dropped += greedy.is_dropped(20)
    greedy.close()
most = memory(ledger_pid) - first
check(f"Z27 who asks it for 100,000 topics is dropped too, and the ledger grows by {most} MiB", dropped == 2 and most < 8 and pay())
quiet = Subscriber(ledger)
quiet.set(quiet.SUBSCRIBE, b"")
quiet.connect()
check("Z27 the tap tells others as before", quiet.hears() and pay())
quiet.close()

# --- Z30: connections until a process has no descriptor left

exhausted, full = [], []
for p in before:
    mine = [path for path in paths if os.path.basename(path).split("_")[0] + path[path.rindex("-"):] == p["name"]]
    if not mine:
        continue
    old = resource.prlimit(p["pid"], resource.RLIMIT_NOFILE)
    had = len(os.listdir(f"/proc/{p['pid']}/fd"))
    resource.prlimit(p["pid"], resource.RLIMIT_NOFILE, (had + 40, old[1]))
    many, most = [], 0
    try:
        for _ in range(3):  # the full moment lasts until the silent are closed: who was held up then, sees the next
            many += [connect(mine[i % len(mine)]) for i in range(120)]
            end = time.monotonic() + 5
            while most < had + 40 and time.monotonic() < end:
                most = max(most, len(os.listdir(f"/proc/{p['pid']}/fd")))
                time.sleep(0.01)
            if most >= had + 40:
                full.append(p["name"])
                break
        else:
            exhausted.append(f"{p['name']}: took {most - had} more of 40")
        paid = pay()
        all_closed = all(until_closed(s, 20) is not None for s in many)
        if not (paid and all_closed):
            exhausted.append(f"{p['name']}: paid {paid}, closed {all_closed}")
    except OSError as error:  # the process has ended
        exhausted.append(f"{p['name']}: {error}")
    finally:
        for s in many:
            s.close()
        try:
            resource.prlimit(p["pid"], resource.RLIMIT_NOFILE, old)
        except ProcessLookupError:
            exhausted.append(f"{p['name']} has ended")
check(f"Z30 with all descriptors of {', '.join(full)} taken, payments go on, and the silent are closed in turn{''.join(' ' + e for e in exhausted)}",
      len(full) >= 5 and not exhausted)

after = status()
check("all processes are those that they were, and serve", [(p["name"], p["pid"], p["restarts"]) for p in before] ==
      [(p["name"], p["pid"], p["restarts"]) for p in after] and all(p["state"] in ("serving", "standby", "running") for p in after))
most = max((memory(p["pid"]) - grown[p["name"]], p["name"]) for p in after)
check(f"none has grown: {most[1]} most, by {most[0]} MiB", most[0] < 48)
check("payments go on", all(pay() for _ in range(5)))
print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)
