"""florin bench: what Florin does in a second, what each payment costs and whom, beside pgbench.

A fresh instance with a folder and a port of its own; its own Postgres serves pgbench too, in a
database beside Florin's, so that both have the same binaries, settings and disk. The two take turns,
so that a machine that becomes slower or faster meanwhile does so for both. What is quoted are medians
of the rounds, and the ratio of each round's two figures.

CPU is what the kernel has counted for each process (utime + stime of all its threads), read when the
measured time begins and when it ends; it says more than a rate when others use the machine too.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
BIN = CHECKOUT / "build/release/bin"
TICK = os.sysconf("SC_CLK_TCK")
sys.path.insert(0, str(HERE))
import flame  # noqa: E402  beside this file

PAYMENT = ("amount=2000&currency=usd&payment_method=pm_card_visa"
           "&payment_method_types[]=card&confirm=true")
CREATE = "amount=2000&currency=usd&payment_method=pm_card_visa&payment_method_types[]=card"


def fail(sentence):
    print(f"florin bench: {sentence}", file=sys.stderr)
    sys.exit(1)


def say(sentence):
    print(f"bench: {sentence}", file=sys.stderr, flush=True)


# --- what it costs --------------------------------------------------------------------------------


def read_text(path):
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""


def children_of(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in read_text(task).split()]
    return found


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
    """A Florin of its own, from nothing; gone at the end."""

    def __init__(self, folder, settings, workers):
        self.home = pathlib.Path(folder) / "home"
        self.home.mkdir(mode=0o711)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.environment = {**os.environ, "FLORIN_HOME": str(self.home),
                            "FLORIN_PORT": str(self.port)}
        lines = {"account_rate": 0, "key_rate": 0, "account_concurrency": 0,
                 "log_level": "warning", **({"workers": workers} if workers else {}), **settings}
        (self.home / "florin.conf").write_text(
            "".join(f"{name} = {value}\n" for name, value in lines.items()))

    def florin(self, *words, check=True):
        done = subprocess.run([str(CHECKOUT / "florin"), *words], env=self.environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if check and done.returncode != 0:
            fail(f"florin {words[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")
        return done.stdout

    def up(self):
        self.florin("up", "--detach")
        self.supervisor = int(read_text(self.home / "run/lock") or 0)
        password = (self.home / "secrets/postgres_florin_admin").read_text()
        self.sql_environment = {**os.environ, "PGPASSWORD": password, "PGUSER": "florin_admin",
                                "PGHOST": str((self.home / "run/.s.PGSQL.5432").resolve().parent),
                                "PGPORT": "5432", "PGDATABASE": "florin"}

    def down(self):
        self.florin("down", check=False)

    def sql(self, text, database="florin"):
        done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text],
                              env=self.sql_environment, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        if done.returncode != 0:
            fail(f"psql: {done.stderr.strip()[-300:]}")
        return done.stdout.strip()

    def sql_numbers(self, text):
        return [float(n) for n in self.sql(text).split("|")]

    def cpu(self):
        """Name → µs so far."""
        total = {}
        for pid, name in processes_of(self.supervisor).items():
            own, gone = ticks_of(pid)
            total[name] = total.get(name, 0) + own
            if name == "postgres main":
                total["postgres others"] = total.get("postgres others", 0) + gone
        return total

    def book(self):
        wal, batches, rows, transactions = self.sql_numbers(
            "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'),"
            " (SELECT last_batch FROM ledger_leader),"
            " (SELECT sum(n_tup_ins + n_tup_upd) FROM pg_stat_user_tables),"
            " (SELECT xact_commit FROM pg_stat_database WHERE datname = 'florin')")
        return {"wal_bytes": wal, "commits": batches, "rows": rows, "transactions": transactions}


def load(instance, request, *, then=None, connections=64, seconds=8.0, warmup=2.0, rate=0,
         idempotency="none", subjects=None, record=None, once=False, keys=True, port=None,
         before_end=None):
    """One load and what it cost, a request (or pair) each."""
    instance.nonce += 100_000_000
    command = [str(BIN / "florin-load"), "run", "--port", str(port or instance.port), "--request",
               request, "--connections", str(connections), "--seconds", str(seconds), "--warmup",
               str(warmup), "--rate", str(rate), "--idempotency", idempotency, "--nonce",
               str(instance.nonce)]
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
                marks[line] = (instance.book(), instance.cpu(), ticks_of(process.pid)[0])
                if line == "end" and before_end:
                    before_end()
            elif line.startswith("{"):
                result = json.loads(line)
        if process.wait() != 0:
            fail("the load generator failed.")
    (book, cpu, own), (book_after, cpu_after, own_after) = marks["begin"], marks["end"]
    count = max(result["requests"], 1)
    result["cpu_us"] = {name: round((cpu_after[name] - cpu.get(name, 0)) / count, 1)
                        for name in sorted(cpu_after)
                        if cpu_after[name] - cpu.get(name, 0) > 0.5 * count}
    result["cpu_us_total"] = round(sum(cpu_after[n] - cpu.get(n, 0) for n in cpu_after) / count, 1)
    result["load_cpu_us"] = round((own_after - own) / count, 1)
    for name in book:
        result[name] = round((book_after[name] - book[name]) / count, 3)
    return result


# --- pgbench ----------------------------------------------------------------------------------------


def pgbench_prepare(instance, scale):
    instance.sql("CREATE DATABASE bench", "postgres")
    subprocess.run(["pgbench", "-i", "-q", "-s", str(scale), "bench"], check=True,
                   env=instance.sql_environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def pgbench(instance, clients, seconds):
    done = subprocess.run(["pgbench", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, 2)),
                           "-T", str(seconds), "-n", "bench"], env=instance.sql_environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    tps = re.search(r"^tps = ([0-9.]+)", done.stdout, re.M)
    if done.returncode != 0 or not tps:
        fail(f"pgbench: {done.stderr.strip()[-300:]}")
    return float(tps[1])


# --- the scenarios ------------------------------------------------------------------------------------


def settle(instance):
    """The same start for each: nothing dirty, nothing behind."""
    instance.sql("CHECKPOINT")


def create_confirm(instance, **options):
    return load(instance, f"POST /v1/payment_intents {PAYMENT}", idempotency="fresh", **options)


def machine():
    model = re.search(r"model name\s*: (.*)", read_text("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s*(\d+)", read_text("/proc/meminfo"))
    return {"cpus": os.cpu_count(), "cpu": model[1] if model else "unknown",
            "memory_gib": round(int(memory[1]) / 2**20, 1) if memory else 0,
            "kernel": os.uname().release,
            "postgres": subprocess.run(["psql", "--version"], stdout=subprocess.PIPE,
                                       text=True).stdout.split()[2]}


def measure(instance, arguments):
    report = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
              "machine": machine(), "quick": arguments.quick, "rounds": [], "scenarios": {}}
    quick = arguments.quick
    seconds = arguments.seconds or (6 if quick else 10)
    say("making 1,000 merchants and pgbench's tables")
    instance.keys = instance.home.parent / "keys"
    instance.nonce = 0
    with open(instance.keys, "w") as file:
        subprocess.run([str(BIN / "florin-load"), "merchants", "--home", str(instance.home),
                        "--count", "1000"], stdout=file, check=True)
    pgbench_prepare(instance, 10)
    load(instance, f"POST /v1/payment_intents {PAYMENT}", idempotency="fresh", connections=64,
         seconds=1, warmup=1)

    counts = [1, 8, 32]
    best_clients = None
    for number in range(2 if quick else 3):
        tps = {}
        for clients in ([best_clients] if best_clients else counts):
            settle(instance)
            tps[clients] = pgbench(instance, clients, max(4, round(seconds / 2)))
        best_clients = max(tps, key=tps.get)
        settle(instance)
        result = create_confirm(instance, connections=arguments.connections, seconds=seconds)
        if result["failed"]:
            fail(f"{result['failed']} payments failed.")
        result["pgbench_tps"] = round(tps[best_clients], 1)
        result["pgbench_clients"] = best_clients
        result["ratio"] = round(result["per_second"] / tps[best_clients], 3)
        report["rounds"].append(result)
        say(f"round {number + 1}: pgbench {tps[best_clients]:.0f}/s ({best_clients} clients), Florin "
            f"{result['per_second']:.0f} payments/s, {result['cpu_us_total']:.0f} µs of CPU each; "
            f"ratio {result['ratio']:.2f}")

    rounds = report["rounds"]

    def middle(name):
        return statistics.median(r[name] for r in rounds)

    names = sorted({n for r in rounds for n in r["cpu_us"]})
    report.update(
        pgbench_tps=middle("pgbench_tps"), payments_per_second=middle("per_second"),
        ratio_to_pgbench=middle("ratio"),
        p50_ms=middle("p50_ms"), p99_ms=middle("p99_ms"), p999_ms=middle("p999_ms"),
        cpu_us_per_payment={n: round(statistics.median(r["cpu_us"].get(n, 0) for r in rounds), 1)
                            for n in names},
        cpu_us_per_payment_total=middle("cpu_us_total"),
        commits_per_payment=middle("commits"), wal_bytes_per_payment=round(middle("wal_bytes")),
        rows_per_payment=middle("rows"), transactions_per_payment=middle("transactions"),
        connections=arguments.connections)
    if arguments.profile:
        report["profile"] = profile(instance, arguments)
    if not quick:
        scenarios(instance, report, seconds)
    if arguments.minutes:
        report["memory"] = soak(instance, report["payments_per_second"] / 2, arguments.minutes)
    return report


class Counterpart:
    """The yardstick or the sink, on a port of its own."""

    def __init__(self, *words):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.process = subprocess.Popen([str(BIN / "florin-load"), words[0], "--port", str(self.port),
                                         *words[1:]], stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=60)[0]


def scenarios(instance, report, seconds):
    made = instance.home.parent / "made"
    rows = report["scenarios"]

    def run(name, title, request, **options):
        settle(instance)
        rows[name] = load(instance, request, **{"connections": 64, "seconds": seconds, **options})
        rows[name]["title"] = title
        rows[name]["ratio"] = round(rows[name]["per_second"] / report["pgbench_tps"], 3)
        say(f"{title}: {rows[name]['per_second']:.0f}/s, p50 {rows[name]['p50_ms']:.1f} ms, "
            f"p99 {rows[name]['p99_ms']:.1f} ms")

    pay = f"POST /v1/payment_intents {PAYMENT}"
    run("alone", "one payment alone", pay, idempotency="fresh", connections=1, seconds=3)
    run("half_load", "payments at half load, open loop", pay, idempotency="fresh", connections=256,
        rate=report["payments_per_second"] / 2, record=made)
    run("two_requests", "create, then confirm", f"POST /v1/payment_intents {CREATE}", idempotency="fresh",
        then="POST /v1/payment_intents/{id}/confirm ", connections=256)
    run("retrieve", "retrieve", "GET /v1/payment_intents/{id}", subjects=made)
    run("list", "list of 10", "GET /v1/payment_intents?limit=10")
    run("replay", "replay of a known key", pay, subjects=made, idempotency="subject")
    run("refund", "refund", "POST /v1/refunds payment_intent={id}&amount=100", subjects=made,
        idempotency="fresh", connections=256)
    yardstick = Counterpart("yardstick", "--bytes", "1536")
    run("yardstick", "civetweb with a constant body", "GET /", keys=False, port=yardstick.port)
    yardstick.end()
    report["retrieve_to_yardstick"] = round(rows["retrieve"]["per_second"] / rows["yardstick"]["per_second"], 3)
    report["replay_to_retrieve"] = round(rows["replay"]["per_second"] / rows["retrieve"]["per_second"], 3)
    report["webhooks"] = webhooks(instance, seconds)


def webhooks(instance, seconds):
    """1,000 payments a second over 100 merchants with an endpoint each, ten of which never answer."""
    sink = Counterpart("sink")
    keys = [line.split()[1] for line in open(instance.keys)][:100]
    endpoints = instance.home.parent / "endpoints"
    endpoints.write_text("".join(f"acct {key}\n" for key in keys))
    for number, key in enumerate(keys):
        kind = "hang" if number % 10 == 0 else "take"
        done = subprocess.run(
            ["curl", "-sf", "-u", f"{key}:", f"http://127.0.0.1:{instance.port}/v1/webhook_endpoints", "-d",
             f"url=http://127.0.0.1:{sink.port}/{kind}/{number}", "-d",
             "enabled_events[]=payment_intent.succeeded"], stdout=subprocess.DEVNULL)
        if done.returncode != 0:
            fail("a webhook endpoint could not be made.")
    all_keys, instance.keys = instance.keys, endpoints
    settle(instance)
    rate = 1000
    result = load(instance, f"POST /v1/payment_intents {PAYMENT}", idempotency="fresh", connections=256,
                  seconds=2 * seconds, rate=rate)
    instance.keys = all_keys
    deadline = time.monotonic() + 10
    pending = ("SELECT count(*) FROM delivery d WHERE state = 'pending' AND endpoint NOT IN"
               " (SELECT id FROM webhook_endpoint WHERE url LIKE '%/hang/%')")
    while time.monotonic() < deadline and instance.sql(pending) != "0":
        time.sleep(0.2)
    left = int(instance.sql(pending))
    told = json.loads(sink.end())
    told.update(payments_per_second=result["per_second"], undelivered=left, cpu_us=result["cpu_us"],
                cpu_us_total=result["cpu_us_total"])
    say(f"webhooks: {told['delivered']} delivered, {told['per_second']:.0f}/s, p99 {told['p99_ms']} ms after "
        f"the event, at {result['per_second']:.0f} payments/s")
    return told


def resident(instance):
    sizes = {}
    for pid, name in processes_of(instance.supervisor).items():
        found = re.search(r"VmRSS:\s*(\d+)", read_text(f"/proc/{pid}/status"))
        if found and not name.startswith("postgres"):
            sizes[name] = round(int(found[1]) / 1024, 1)
    return sizes


def soak(instance, rate, minutes):
    """Resident memory, a row a minute, at half load."""
    rows = [resident(instance)]
    for _ in range(round(minutes)):
        load(instance, f"POST /v1/payment_intents {PAYMENT}", idempotency="fresh", connections=256,
             seconds=60, warmup=0, rate=rate)
        rows.append(resident(instance))
    return rows


def profile(instance, arguments):
    """Flame graphs of all processes under load; returns the files' names."""
    if not shutil.which("perf"):
        fail("--profile needs perf: apt-get install linux-perf.")
    folder = CHECKOUT / "docs/bench"
    folder.mkdir(parents=True, exist_ok=True)
    data = instance.home.parent / "perf.data"
    names = processes_of(instance.supervisor)
    kinds = {pid: re.sub(r"-\d+$", "", name) for pid, name in names.items()}
    seconds = 8
    with subprocess.Popen([str(BIN / "florin-load"), "run", "--port", str(instance.port), "--keys",
                           str(instance.keys), "--request", f"POST /v1/payment_intents {PAYMENT}",
                           "--connections", str(arguments.connections), "--seconds", str(seconds + 3),
                           "--idempotency", "fresh", "--nonce", str(time.time_ns() >> 8)],
                          stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        flame.record(list(names), seconds, data)
        process.stdout.read()
    files = []
    for kind, rows in sorted(flame.fold(data, lambda pid: kinds.get(pid, "others")).items()):
        if sum(rows.values()) < 20:
            continue
        name = f"flame-{kind.replace(' ', '-')}.svg"
        (folder / name).write_text(flame.draw(kind, rows))
        files.append(name)
    say(f"{len(files)} flame graphs are in docs/bench")
    return files


# --- telling --------------------------------------------------------------------------------------------


def text_table(report):
    lines = [f"pgbench TPC-B (prepared)  {report['pgbench_tps']:>9.0f} /s",
             f"Florin, payments          {report['payments_per_second']:>9.0f} /s, "
             f"{report['ratio_to_pgbench']:.2f} × pgbench; p50 {report['p50_ms']:.1f} ms, "
             f"p99 {report['p99_ms']:.1f} ms, p99.9 {report['p999_ms']:.1f} ms "
             f"at {report['connections']} connections",
             f"a payment costs           {report['cpu_us_per_payment_total']:>9.0f} µs of CPU, "
             f"{report['wal_bytes_per_payment']} bytes of WAL, {report['rows_per_payment']:.1f} rows, "
             f"{report['commits_per_payment']:.3f} commits"]
    for name, cost in sorted(report["cpu_us_per_payment"].items(), key=lambda row: -row[1]):
        lines.append(f"  {name:<30} {cost:>8.1f} µs")
    for row in report["scenarios"].values():
        lines.append(f"{row['title']:<34} {row['per_second']:>8.0f} /s  p50 {row['p50_ms']:>7.1f}  "
                     f"p99 {row['p99_ms']:>7.1f}  p99.9 {row['p999_ms']:>7.1f} ms  "
                     f"{row['cpu_us_total']:>6.0f} µs")
    if "webhooks" in report:
        told = report["webhooks"]
        lines.append(f"webhooks                           {told['per_second']:>8.0f} /s  "
                     f"p50 {told['p50_ms']:>7}  p99 {told['p99_ms']:>7} ms after the event")
    return "\n".join(lines)


def model(report):
    """What more cores would give. The ledger's one backend is the serial part; all else divides. Waiting
    is that of one queue for it (M/M/1), with 80 % of its time as the most that may be used."""
    cost = report["cpu_us_per_payment"]
    serial = cost.get("postgres ledger", 0) or 1
    total = report["cpu_us_per_payment_total"]
    rows = []
    for cores in (2, 4, 16, 64):
        by_cores = cores * 1e6 * 0.9 / total
        by_ledger = 0.8 * 1e6 / serial
        rows.append((cores, min(by_cores, by_ledger), "the cores" if by_cores < by_ledger else
                     "the ledger's one backend"))
    return rows


def markdown(report):
    m = report["machine"]
    out = ["# What Florin does in a second", "",
           f"Made by `./florin bench` on {report['date']}: {m['cpus']} × {m['cpu']}, {m['memory_gib']} GiB, "
           f"Linux {m['kernel']}, Postgres {m['postgres']}. Load generator, Postgres, Redis and all of Florin "
           "share these processors. Figures differ from machine to machine; ratios in one run are what counts.",
           "", "| | |", "|---|---|",
           f"| pgbench TPC-B, prepared, best of 1, 8, 32 clients | {report['pgbench_tps']:.0f} /s |",
           f"| payments (create and confirm), {report['connections']} connections | "
           f"{report['payments_per_second']:.0f} /s |",
           f"| ratio | **{report['ratio_to_pgbench']:.2f}** |",
           f"| p50, p99, p99.9 at full load | {report['p50_ms']:.1f}, {report['p99_ms']:.1f}, "
           f"{report['p999_ms']:.1f} ms |",
           f"| a payment: CPU of all processes | {report['cpu_us_per_payment_total']:.0f} µs |",
           f"| WAL, rows, commits of a payment | {report['wal_bytes_per_payment']} B, "
           f"{report['rows_per_payment']:.1f}, {report['commits_per_payment']:.3f} |", "",
           "## Whom a payment costs what", "", "| process | CPU µs a payment |", "|---|---|"]
    out += [f"| {name} | {cost:.1f} |"
            for name, cost in sorted(report["cpu_us_per_payment"].items(), key=lambda row: -row[1])]
    if report["scenarios"]:
        out += ["", "## Other loads", "",
                "| load | /s | × pgbench | p50 ms | p99 ms | p99.9 ms | CPU µs each | WAL B each | failed |",
                "|---|---|---|---|---|---|---|---|---|"]
        out += [f"| {r['title']} | {r['per_second']:.0f} | {r['ratio']:.2f} | {r['p50_ms']:.1f} | "
                f"{r['p99_ms']:.1f} | {r['p999_ms']:.1f} | {r['cpu_us_total']:.0f} | {r['wal_bytes']:.0f} | "
                f"{r['failed']} |" for r in report["scenarios"].values()]
        out += ["", f"Retrieving reaches {100 * report['retrieve_to_yardstick']:.0f} % of what civetweb does "
                f"with a constant body; replays {100 * report['replay_to_retrieve']:.0f} % of retrieving."]
    if "webhooks" in report:
        told = report["webhooks"]
        out += ["", f"Webhooks, 100 endpoints of which 10 never answer, at {told['payments_per_second']:.0f} "
                f"payments/s: {told['delivered']} delivered ({told['per_second']:.0f}/s), p50 "
                f"{told['p50_ms']} ms and p99 {told['p99_ms']} ms after the event, "
                f"{told['undelivered']} still to be delivered 10 s after the end."]
    if "memory" in report:
        names = sorted(report["memory"][-1])
        out += ["", "## Resident memory at half load, MiB a minute", "",
                "| minute | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
        out += [f"| {i} | " + " | ".join(str(row.get(n, "")) for n in names) + " |"
                for i, row in enumerate(report["memory"])]
    out += ["", "## A model of more cores", "",
            "Said as a model, not measured: nine tenths of all cores can be used, one ledger backend is busy "
            "for at most eight tenths of its time, and what a payment costs stays what it is here.", "",
            "| cores | payments/s | bounded by |", "|---|---|---|"]
    out += [f"| {cores} | {rate:.0f} | {bound} |" for cores, rate, bound in model(report)]
    if report.get("profile"):
        out += ["", "## Where the time goes", ""]
        out += [f"![{name}](bench/{name})" for name in report["profile"]]
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(prog="./florin bench", description=__doc__.split("\n\n")[0],
                                     epilog="Example: ./florin bench --quick")
    parser.add_argument("--quick", action="store_true", help="payments and pgbench only: a minute or two")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--profile", action="store_true", help="flame graphs into docs/bench (needs perf)")
    parser.add_argument("--connections", type=int, default=256, help="HTTP clients (256)")
    parser.add_argument("--seconds", type=float, default=0, help="measured time of each load (6 or 10)")
    parser.add_argument("--minutes", type=float, default=0,
                        help="half load for so long at the end, with everybody's memory")
    parser.add_argument("--workers", type=int, default=0, help="payments workers, instead of the setting's")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="a setting of the instance; may be repeated")
    parser.add_argument("--out", type=pathlib.Path, help="writes the JSON there too")
    parser.add_argument("--report", type=pathlib.Path,
                        help="writes the report there; docs/BENCH.md after a full run unless named")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="florin-bench.")
    os.chmod(folder, 0o711)
    settings = dict(word.split("=", 1) for word in arguments.set if "=" in word)
    instance = Instance(folder, settings, arguments.workers)
    try:
        say("starting a fresh instance")
        instance.up()
        report = measure(instance, arguments)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        instance.down()
        shutil.rmtree(folder, ignore_errors=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    where = arguments.report or (None if arguments.quick else CHECKOUT / "docs/BENCH.md")
    if where:
        where.write_text(markdown(report))
    print(json.dumps(report) if arguments.json else text_table(report))


if __name__ == "__main__":
    main()
