"""A Florin of its own that is measured: brought up from nothing, asked what its processes cost, loaded,
and gone at the end.

CPU is what the kernel has counted for each process (utime + stime of all its threads), read when the
measured time begins and when it ends; it says more than a rate when others use the machine too.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
BIN = CHECKOUT / "build/release/bin"
TICK = os.sysconf("SC_CLK_TCK")
SETTLE_SECONDS_MAX = 15

PAYMENT = ("amount=2000&currency=usd&payment_method=pm_card_visa"
           "&payment_method_types[]=card&confirm=true")
CREATE = "amount=2000&currency=usd&payment_method=pm_card_visa&payment_method_types[]=card"
PAY = f"POST /v1/payment_intents {PAYMENT}"


def fail(sentence):
    print(f"florin bench: {sentence}", file=sys.stderr)
    sys.exit(1)


def say(sentence):
    print(f"bench: {sentence}", file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# --- what it costs --------------------------------------------------------------------------------


def read_text(path):
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""


def tasks_of(pid):
    """Its threads; none when it has ended meanwhile."""
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def children_of(pid):
    return [int(child) for task in tasks_of(pid)
            for child in read_text(f"/proc/{pid}/task/{task}/children").split()]


def processes_of(root):
    """Every process below one: pid → its name for a person."""
    names, todo = {}, [root]
    while todo:
        pid = todo.pop()
        todo += children_of(pid)
        line = read_text(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
        named = re.search(r"--name (\S+)", line)
        if named:
            names[pid] = named[1]
        elif line.startswith("postgres: "):
            names[pid] = "postgres " + (re.sub(r" \[local\].*", "", line[10:]).split(" florin")[0])
        elif "bin/postgres" in line:
            names[pid] = "postgres main"
        elif "redis-server" in line:
            names[pid] = "redis"
        elif "florin-supervisor" in line:
            names[pid] = "supervisor"
        else:
            names[pid] = read_text(f"/proc/{pid}/comm").strip()
    return names


def ticks_of(pid):
    """CPU in µs: its own, and that of children that have ended."""
    fields = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not fields:
        return 0, 0
    own, gone = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return own * 1e6 / TICK, gone * 1e6 / TICK


class Instance:
    """A Florin in FOLDER/home. Made from nothing unless one was kept there."""

    def __init__(self, folder, settings, workers):
        self.folder = pathlib.Path(folder)
        self.home = self.folder / "home"
        self.home.mkdir(mode=0o711, exist_ok=True)
        self.port = free_port()
        self.environment = {**os.environ, "FLORIN_HOME": str(self.home),
                            "FLORIN_PORT": str(self.port)}
        self.settings = {"account_rate": 0, "key_rate": 0, "account_concurrency": 0,
                         "log_level": "warning", **({"workers": workers} if workers else {}),
                         **settings}
        self.keys = self.folder / "keys"

    def florin(self, *words, check=True):
        done = subprocess.run([str(CHECKOUT / "florin"), *words], env=self.environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if check and done.returncode != 0:
            fail(f"florin {words[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")
        return done.stdout

    def up(self):
        (self.home / "florin.conf").write_text(
            "".join(f"{name} = {value}\n" for name, value in self.settings.items()))
        self.florin("up", "--detach")
        self.supervisor = int(read_text(self.home / "run/lock") or 0)
        password = (self.home / "secrets/postgres_florin_admin").read_text()
        self.sql_environment = {**os.environ, "PGPASSWORD": password, "PGUSER": "florin_admin",
                                "PGHOST": str((self.home / "run/.s.PGSQL.5432").resolve().parent),
                                "PGPORT": "5432", "PGDATABASE": "florin"}

    def down(self):
        self.florin("down", check=False)

    def restart(self, **settings):
        """The same books, other settings. The folders of Postgres and Redis stay."""
        self.down()
        self.settings.update(settings)
        self.up()

    def remove(self):
        """As root, Postgres and Redis may have their folders elsewhere; those go too."""
        for name in ("postgres", "redis"):
            if (self.home / name).is_symlink():
                shutil.rmtree((self.home / name).resolve(), ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def make_merchants(self, count):
        """Their accounts and keys, a line each, in the file `keys`; those of an instance that was kept
        are used again."""
        there = len(read_text(self.keys).splitlines())
        if there >= count:
            return
        with open(self.keys, "a") as file:
            subprocess.run([str(BIN / "florin-load"), "merchants", "--home", str(self.home),
                            "--count", str(count - there)], stdout=file, check=True)

    def sql(self, text, database="florin"):
        done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text],
                              env=self.sql_environment, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        if done.returncode != 0:
            fail(f"psql: {done.stderr.strip()[-300:]}")
        return done.stdout.strip()

    def sql_numbers(self, text, database="florin"):
        return [float(n) for n in self.sql(text, database).split("|")]

    def databases(self):
        """Of each partition."""
        return ["florin"] + [f"florin_{n}" for n in range(2, int(self.settings.get("partitions", 1)) + 1)]

    def settle(self):
        """The same start for each load: nothing dirty, nothing behind. What a load has left for
        autovacuum is not charged to the next one; an autovacuum that takes longer than this waits is."""
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        cleaning = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'"
        while self.sql(cleaning) != "0" and time.monotonic() < deadline:
            time.sleep(0.2)
        self.sql("CHECKPOINT")

    def cpu(self):
        """Name → µs so far."""
        total = {}
        for pid, name in processes_of(self.supervisor).items():
            own, gone = ticks_of(pid)
            total[name] = total.get(name, 0) + own
            if name == "postgres main":
                total["postgres others"] = total.get("postgres others", 0) + gone
        return total

    def cpu_of_threads(self):
        """(Name, thread) → µs so far: what one thread does cannot be divided among cores."""
        found = {}
        for pid, name in processes_of(self.supervisor).items():
            for task in tasks_of(pid):
                # nanoseconds: of a gateway's hundreds of threads each has less than a tick
                fields = read_text(f"/proc/{pid}/task/{task}/schedstat").split()
                if fields:
                    found[name, task] = int(fields[0]) / 1000
        return found

    def book(self):
        each = [self.sql_numbers(
            "SELECT (SELECT last_batch FROM ledger_leader),"
            " (SELECT sum(n_tup_ins + n_tup_upd) FROM pg_stat_user_tables),"
            " (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database())", database)
            for database in self.databases()]
        batches, rows, transactions = map(sum, zip(*each))
        wal, = self.sql_numbers("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
        return {"wal_bytes": wal, "commits": batches, "rows": rows, "transactions": transactions}


def load(instance, request, *, then=None, connections=64, seconds=8.0, warmup=2.0, rate=0,
         idempotency="none", subjects=None, record=None, once=False, keys=True, port=None,
         meanwhile=None):
    """One load and what it cost, a request (or pair) each."""
    # Microseconds since 1970: no load is so fast that it meets the numbers of a later one.
    command = [str(BIN / "florin-load"), "run", "--port", str(port or instance.port), "--request",
               request, "--connections", str(connections), "--seconds", str(seconds), "--warmup",
               str(warmup), "--rate", str(rate), "--idempotency", idempotency, "--nonce",
               str(time.time_ns() // 1000)]
    for option, value in [("--then", then), ("--subjects", subjects), ("--record", record),
                          ("--once", "yes" if once else None),
                          ("--keys", instance.keys if keys else None)]:
        if value:
            command += [option, str(value)]
    marks = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            line = line.strip()
            if line in ("begin", "end"):
                marks[line] = (instance.book(), instance.cpu(), ticks_of(process.pid)[0],
                               instance.cpu_of_threads())
                if line == "begin" and meanwhile:
                    meanwhile(process)
            elif line.startswith("{"):
                result = json.loads(line)
        if process.wait() != 0:
            fail("the load generator failed.")
    (book, cpu, own, threads), (book_after, cpu_after, own_after, threads_after) = (
        marks["begin"], marks["end"])
    count = max(result["requests"], 1)
    result["cpu_us"] = {name: round((cpu_after[name] - cpu.get(name, 0)) / count, 1)
                        for name in sorted(cpu_after)
                        if cpu_after[name] - cpu.get(name, 0) > 0.5 * count}
    result["cpu_us_total"] = round(sum(cpu_after[n] - cpu.get(n, 0) for n in cpu_after) / count, 1)
    result["load_cpu_us"] = round((own_after - own) / count, 1)
    busiest = {}
    for (name, thread), used in threads_after.items():
        busiest[name] = max(busiest.get(name, 0), used - threads.get((name, thread), 0))
    result["busiest_thread_us"] = {name: round(busiest[name] / count, 1) for name in sorted(busiest)
                                   if busiest[name] > 0.5 * count}
    for name in book:
        result[name] = round((book_after[name] - book[name]) / count, 3)
    return result


def pay(instance, **options):
    """Payments, created and confirmed, each with a key of its own."""
    return load(instance, PAY, idempotency="fresh", **options)


class Counterpart:
    """The yardstick or the sink, on a port of its own."""

    def __init__(self, *words):
        self.port = free_port()
        self.process = subprocess.Popen([str(BIN / "florin-load"), words[0], "--port", str(self.port),
                                         *words[1:]], stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=60)[0]
