"""A Redis that lies. Stands where Redis's socket was, passes everything on to the real one, and changes
the answers as it is told to.

    liar.py SOCKET REAL_SOCKET

Reads one mode a line from standard input, and says it back when it counts:

    honest      passes on
    altered     every kept answer with a digit of its body changed
    swapped     every kept answer is that of another key
    stale       every kept answer is the first that was ever kept
    cut         every kept answer without its end
    garbage     random bytes for every answer
    strange     an answer of another kind: an array, a number, an error, nothing
    refusing    every bucket is empty, for ever
    generous    every bucket gives more than was asked
    slow        every answer comes 200 ms late
    silent      takes everything, answers nothing
    broken      bytes that are no protocol
"""

import os
import random
import socket
import sys
import threading
import time

place, real = sys.argv[1:]
mode = "honest"
kept = []  # what was ever SET


def read_value(file):
    """One value of the protocol, as it is, and a bulk's bytes."""
    line = file.readline()
    if not line:
        raise EOFError
    kind, number = line[:1], line[1:-2]
    if kind == b"$":
        if int(number) < 0:
            return line, None
        body = file.read(int(number) + 2)
        return line + body, body[:-2]
    if kind == b"*":
        whole, parts = line, []
        for _ in range(int(number)):
            raw, part = read_value(file)
            whole += raw
            parts.append(part)
        return whole, parts
    return line, number


def bulk(data):
    return b"$%d\r\n%s\r\n" % (len(data), data)


def altered(value):
    """The body's first digit after `"amount":` is another one; length and all else stay."""
    at = value.find(b'"amount":')
    at = at + 9 if at >= 0 else len(value) - 1
    return value[:at] + (b"7" if value[at:at + 1] != b"7" else b"3") + value[at + 1:]


def lie(command, raw, value):
    name = command[0].upper()
    if name == b"PING":
        return raw
    if mode == "slow":
        time.sleep(0.2)
        return raw
    if mode == "garbage" and name in (b"GET", b"EVAL"):
        return bulk(os.urandom(random.randrange(1, 300)))
    if mode == "strange" and name in (b"GET", b"EVAL"):
        return random.choice([b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", b":17\r\n", b"-ERR no\r\n", b"$-1\r\n", b"$0\r\n\r\n"])
    if mode == "refusing" and name == b"EVAL":
        return bulk(b"-1")
    if mode == "generous" and name == b"EVAL":
        return bulk(b"999999999999")
    if name == b"GET" and kept:
        other = next((v for v in kept if v != value), None)
        if mode == "altered" and value:
            return bulk(altered(value))
        if mode == "swapped" and other:
            return bulk(other)
        if mode == "stale":
            return bulk(kept[0])
        if mode == "cut" and value:
            return bulk(value[:random.randrange(len(value))])
    return raw


def serve(client):
    try:
        behind = socket.socket(socket.AF_UNIX)
        behind.connect(real)
        asks, answers = client.makefile("rb"), behind.makefile("rb")
        while True:
            raw, command = read_value(asks)
            if command[0].upper() == b"SET":
                kept.append(command[2])
            behind.sendall(raw)
            said, value = read_value(answers)
            if mode == "silent":
                continue
            if mode == "broken":
                client.sendall(b"\x00\xffno protocol at all\r\n")
                return
            client.sendall(lie(command, said, value if isinstance(value, bytes) else None))
    except (EOFError, OSError):
        pass
    finally:
        client.close()


listener = socket.socket(socket.AF_UNIX)
listener.bind(place)
listener.listen(64)


def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    mode = line.strip()
    print(mode, flush=True)
