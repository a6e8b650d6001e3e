#!/usr/bin/env python3
"""crowd.py HOST PORT COUNT: so many connections that want nothing good, until standard input ends.

Most are silent; some send a head or a body a byte at a time, some ask for what is long and do not
read it, some send what is no HTTP, some come and go. Whoever is closed comes again. Prints "ready"
once all have been connected at the same time, and at the end a line of JSON: what was done.
"""
import json
import os
import random
import select
import socket
import sys
import time

host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(1)
HEAD = b"GET /v1/balance HTTP/1.1\r\nHost: a\r\nX-Slow: "
BODY = b"POST /v1/customers HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\ndescription="
LONG = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"
SHORT = b"GET /v1/balance HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk_test_nobody\r\n\r\n"
TLS = bytes.fromhex("16030100ba010000b60303") + bytes(64)
KINDS = (("silent", 66), ("slow head", 14), ("slow body", 10), ("never reads", 1), ("no HTTP", 2),
         ("resets", 2), ("keeps alive", 5))
weights = [kind for kind, weight in KINDS for _ in range(weight)]

connects = closed = sent = 0
poll = select.epoll()
crowd = {}  # descriptor: [socket, kind, when to act next]
waiting = [weights[i % len(weights)] for i in range(count)]
chance.shuffle(waiting)
later = []  # when, and what comes again


def join(kind):
    global connects
    s = socket.socket()
    s.setblocking(False)
    if kind == "never reads":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    try:
        s.connect((host, port))
    except BlockingIOError:
        pass
    poll.register(s.fileno(), select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET)
    crowd[s.fileno()] = [s, kind, None]
    connects += 1


def leave(fd, again=True):
    global closed
    s, kind, _ = crowd.pop(fd)
    poll.unregister(fd)
    if kind == "resets":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    s.close()
    closed += 1
    if again:  # after a while, as a program would that is told to
        later.append((time.monotonic() + chance.uniform(1, 3), kind))


def act(fd, now):
    """Says what a connection of its kind says; returns when it speaks again."""
    global sent
    s, kind, due = crowd[fd]
    first = due is None
    words = {"slow head": HEAD if first else b"x", "slow body": BODY if first else b"x",
             "never reads": LONG if first else b"", "no HTTP": TLS if first else b"",
             "resets": SHORT if first else b"", "keeps alive": SHORT}.get(kind, b"")
    if kind == "resets" and not first:
        leave(fd)
        return
    try:
        if words:
            s.send(words)
            sent += 1
    except OSError:
        leave(fd)
        return
    crowd[fd][2] = now + {"slow head": 2, "slow body": 2, "keeps alive": 10, "resets": 5}.get(kind, 1e9)


ready = False
connected = set()
poll.register(0, select.EPOLLIN)
last_second = next_turn = time.monotonic()
budget = 0
while True:
    now = time.monotonic()
    budget = min(200, budget + (now - last_second) * (1500 if not ready else 200))  # connects a second
    last_second = now
    while later and later[0][0] <= now:
        waiting.append(later.pop(0)[1])
    while waiting and budget >= 1:
        join(waiting.pop())
        budget -= 1
    for fd, events in poll.poll(0.02, 4096):
        if fd == 0:
            print(json.dumps({"connected": len(connected), "connects": connects, "closed": closed, "sent": sent}))
            sys.stdout.flush()
            os._exit(0)
        if fd not in crowd:
            continue
        s, kind, due = crowd[fd]
        if events & (select.EPOLLERR | select.EPOLLHUP | select.EPOLLRDHUP):
            connected.discard(fd)
            leave(fd)
            continue
        if events & select.EPOLLOUT and fd not in connected:
            connected.add(fd)
            act(fd, now)
        if fd in crowd and events & select.EPOLLIN and kind not in ("never reads",):
            try:
                while s.recv(65536):
                    pass
                connected.discard(fd)
                leave(fd)
            except BlockingIOError:
                pass
            except OSError:
                connected.discard(fd)
                leave(fd)
    if now >= next_turn:
        next_turn = now + 0.25
        for fd, (_, _, due) in list(crowd.items()):
            if due is not None and due <= now:
                act(fd, now)
                if fd not in crowd:
                    connected.discard(fd)
    if not ready and len(connected) >= count * 0.95:
        ready = True
        print("ready", flush=True)
