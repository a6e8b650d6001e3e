"""florin bench: what Florin does in a second, what each payment costs and whom, beside pgbench.

A fresh instance with a folder and a port of its own; its own Postgres serves pgbench too, in a
database beside Florin's, so that both have the same binaries, settings and disk. The two take turns,
so that a machine that becomes slower or faster meanwhile does so for both. What is quoted are medians
of the rounds, and the ratio of each round's two figures.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import flame  # noqa: E402  beside this file
import long_runs  # noqa: E402
import memory  # noqa: E402
import report as telling  # noqa: E402
import scale  # noqa: E402
import seed  # noqa: E402
from instance import (BIN, CHECKOUT, CREATE, PAY, Counterpart, Instance, fail, load, pay,  # noqa: E402
                      processes_of, read_text, say)

RECENT = 10_000  # payments that the workers surely remember
COMPARED = ("replay", "retrieve", "yardstick")
# Three rounds hide that a payment becomes dearer within the first 300,000; and of eleven rounds of one
# build the ratios were 1.12 to 1.73, so that the median of three was 1.25 or 1.56 by chance.
ROUNDS, ROUNDS_QUICK = 7, 2
TURNS = 3  # of each that is compared: the medians count

# --- pgbench ----------------------------------------------------------------------------------------


def pgbench_prepare(instance, scale_factor):
    if instance.sql("SELECT count(*) FROM pg_database WHERE datname = 'bench'", "postgres") == "1":
        return  # in an instance that was kept
    instance.sql("CREATE DATABASE bench", "postgres")
    subprocess.run(["pgbench", "-i", "-q", "-s", str(scale_factor), "bench"], check=True,
                   env=instance.sql_environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def pgbench(instance, clients, seconds):
    done = subprocess.run(["pgbench", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, 2)),
                           "-T", str(seconds), "-n", "bench"], env=instance.sql_environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    tps = re.search(r"^tps = ([0-9.]+)", done.stdout, re.M)
    if done.returncode != 0 or not tps:
        fail(f"pgbench: {done.stderr.strip()[-300:]}")
    return float(tps[1])


# --- what is measured ---------------------------------------------------------------------------------


def machine():
    model = re.search(r"model name\s*: (.*)", read_text("/proc/cpuinfo"))
    memory_kib = re.search(r"MemTotal:\s*(\d+)", read_text("/proc/meminfo"))
    return {"cpus": os.cpu_count(), "cpu": model[1] if model else "unknown",
            "memory_gib": round(int(memory_kib[1]) / 2**20, 1) if memory_kib else 0,
            "kernel": os.uname().release,
            "postgres": subprocess.run(["psql", "--version"], stdout=subprocess.PIPE,
                                       text=True).stdout.split()[2]}


def measure(instance, arguments):
    report = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
              "machine": machine(), "quick": arguments.quick, "rounds": [], "scenarios": {}}
    seconds = arguments.seconds or (6 if arguments.quick else 10)
    say("making 1,000 merchants and pgbench's tables")
    instance.make_merchants(1000)
    pgbench_prepare(instance, 10)
    pay(instance, connections=64, seconds=1, warmup=1)
    rounds(instance, report, arguments, seconds)
    if arguments.profile:
        report["profile"] = profile(instance, arguments)
    if not arguments.quick:
        scenarios(instance, report, seconds)
    if arguments.scale or not arguments.quick:
        report["scale"], report["partitions"] = scale.scale(instance, pay, arguments.connections, seconds)
    if arguments.memory_minutes:
        workers = int(instance.settings.get("workers", 2))
        report["memory"], picture = memory.soak(
            instance, report["payments_per_second"] / 2, arguments.memory_minutes, workers,
            arguments.memory_merchants, arguments.memory_connections)
        if long_runs.keep(arguments.pictures, "memory", report["memory"], report["date"], CHECKOUT):
            (arguments.pictures / "memory.svg").write_text(picture)
    if arguments.seed_payments:
        report["seed"] = large_tables(instance, arguments, seconds)
        long_runs.keep(arguments.pictures, "seed", report["seed"], report["date"], CHECKOUT)
    return report


def rounds(instance, report, arguments, seconds):
    best_clients = None
    for number in range(ROUNDS_QUICK if arguments.quick else ROUNDS):
        tps = {}
        for clients in ([best_clients] if best_clients else [1, 8, 32]):
            instance.settle()
            tps[clients] = pgbench(instance, clients, max(4, round(seconds / 2)))
        best_clients = max(tps, key=tps.get)
        instance.settle()
        result = pay(instance, connections=arguments.connections, seconds=seconds)
        if result["failed"]:
            fail(f"{result['failed']} payments failed.")
        result["pgbench_tps"] = round(tps[best_clients], 1)
        result["pgbench_clients"] = best_clients
        result["ratio"] = round(result["per_second"] / tps[best_clients], 3)
        report["rounds"].append(result)
        say(f"round {number + 1}: pgbench {tps[best_clients]:.0f}/s ({best_clients} clients), Florin "
            f"{result['per_second']:.0f} payments/s, {result['cpu_us_total']:.0f} µs of CPU each; "
            f"ratio {result['ratio']:.2f}")
    done = report["rounds"]

    def middle(name):
        return statistics.median(r[name] for r in done)

    def middle_of_each(name):
        return {n: round(statistics.median(r[name].get(n, 0) for r in done), 1)
                for n in sorted({n for r in done for n in r[name]})}

    report.update(
        pgbench_tps=middle("pgbench_tps"), payments_per_second=middle("per_second"),
        ratio_to_pgbench=middle("ratio"),
        p50_ms=middle("p50_ms"), p99_ms=middle("p99_ms"), p999_ms=middle("p999_ms"),
        cpu_us_per_payment=middle_of_each("cpu_us"), busiest_thread_us=middle_of_each("busiest_thread_us"),
        cpu_us_per_payment_total=middle("cpu_us_total"),
        commits_per_payment=middle("commits"), wal_bytes_per_payment=round(middle("wal_bytes")),
        rows_per_payment=middle("rows"), transactions_per_payment=middle("transactions"),
        connections=arguments.connections)


def last_lines(path, count):
    some = path.with_name(f"{path.name}-recent")
    some.write_text("".join(line + "\n" for line in read_text(path).splitlines()[-count:]))
    return some


def scenarios(instance, report, seconds):
    made = instance.folder / "made"
    rows = report["scenarios"]

    def run(name, title, request, **options):
        instance.settle()
        rows[name] = load(instance, request, **{"connections": 64, "seconds": seconds, **options})
        rows[name]["title"] = title
        rows[name]["ratio"] = round(rows[name]["per_second"] / report["pgbench_tps"], 3)
        say(f"{title}: {rows[name]['per_second']:.0f}/s, p50 {rows[name]['p50_ms']:.1f} ms, "
            f"p99 {rows[name]['p99_ms']:.1f} ms")

    run("alone", "one payment alone", PAY, idempotency="fresh", connections=1, seconds=3)
    run("half_load", "payments at half load, open loop", PAY, idempotency="fresh", connections=256,
        rate=report["payments_per_second"] / 2, record=made)
    run("two_requests", "create, then confirm", f"POST /v1/payment_intents {CREATE}", idempotency="fresh",
        then="POST /v1/payment_intents/{id}/confirm ", connections=256)
    # What is compared takes turns, so that a machine that changes changes for all three.
    yardstick = Counterpart("yardstick", "--bytes", "1536")
    turns = {}
    for _ in range(TURNS):
        run("replay", "replay of a known key", PAY, subjects=made, idempotency="subject", seconds=seconds / TURNS)
        run("retrieve", f"retrieve, {RECENT:,} payments in turn", "GET /v1/payment_intents/{id}",
            subjects=last_lines(made, RECENT), seconds=seconds / TURNS)
        run("yardstick", "civetweb with a constant body", "GET /", keys=False, port=yardstick.port,
            seconds=seconds / TURNS)
        for name in COMPARED:
            turns.setdefault(name, []).append(rows[name])
    yardstick.end()
    for name in COMPARED:
        rows[name] = sorted(turns[name], key=lambda row: row["per_second"])[TURNS // 2]
    # In turn, and more than the workers remember: each is forgotten before its turn comes again.
    run("retrieve_all", f"retrieve, all {len(read_text(made).splitlines()):,} in turn", "GET /v1/payment_intents/{id}",
        subjects=made)
    run("list", "list of 10", "GET /v1/payment_intents?limit=10")
    run("refund", "refund", "POST /v1/refunds payment_intent={id}&amount=100", subjects=made,
        idempotency="fresh", connections=256)
    def beside(one, other):
        ratios = [a["per_second"] / b["per_second"] for a, b in zip(turns[one], turns[other])]
        return round(statistics.median(ratios), 3)

    report["retrieve_to_yardstick"] = beside("retrieve", "yardstick")
    report["replay_to_retrieve"] = beside("replay", "retrieve")
    report["webhooks"] = webhooks(instance, seconds)


def ask_by_curl(instance, key, path, *words):
    done = subprocess.run(["curl", "-sf", "-u", f"{key}:", f"http://127.0.0.1:{instance.port}{path}", *words],
                          stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        fail(f"{path} was not answered.")
    return json.loads(done.stdout)


def webhooks(instance, seconds):
    """1,000 payments a second over 100 merchants with an endpoint each, ten of which never answer."""
    sink = Counterpart("sink")
    keys = [line.split()[1] for line in open(instance.keys)][:100]
    endpoints = instance.folder / "endpoints"
    endpoints.write_text("".join(f"acct {key}\n" for key in keys))
    made = []
    for number, key in enumerate(keys):
        kind = "hang" if number % 10 == 0 else "take"
        endpoint = ask_by_curl(instance, key, "/v1/webhook_endpoints", "-d",
                               f"url=http://127.0.0.1:{sink.port}/{kind}/{number}", "-d",
                               "enabled_events[]=payment_intent.succeeded")
        made.append((key, endpoint["id"]))
    all_keys, instance.keys = instance.keys, endpoints
    instance.settle()
    result = load(instance, PAY, idempotency="fresh", connections=256, seconds=2 * seconds, rate=1000)
    instance.keys = all_keys
    deadline = time.monotonic() + 10
    pending = ("SELECT count(*) FROM delivery d WHERE state = 'pending' AND endpoint NOT IN"
               " (SELECT id FROM webhook_endpoint WHERE url LIKE '%/hang/%')")
    while time.monotonic() < deadline and instance.sql(pending) != "0":
        time.sleep(0.2)
    left = int(instance.sql(pending))
    told = json.loads(sink.end())
    # Nobody listens there any more, and what is measured next is not to pay for that.
    for key, endpoint in made:
        ask_by_curl(instance, key, f"/v1/webhook_endpoints/{endpoint}", "-X", "DELETE")
    told.update(payments_per_second=result["per_second"], undelivered=left, cpu_us=result["cpu_us"],
                cpu_us_total=result["cpu_us_total"])
    say(f"webhooks: {told['delivered']} delivered, {told['per_second']:.0f}/s, p99 {told['p99_ms']} ms after "
        f"the event, at {result['per_second']:.0f} payments/s")
    return told


def large_tables(instance, arguments, seconds):
    """What a payment costs with few payments in the tables, and then with many."""
    count = "SELECT count(*) FROM payment_intent"
    few_payments = int(instance.sql(count))
    few = seed.cost(instance, pay, arguments.connections, seconds)
    seeded = seed.seed(instance, arguments.seed_payments)
    many_payments = int(instance.sql(count))
    many = seed.cost(instance, pay, arguments.connections, seconds)
    seeded.update(few=few, many=many, few_payments=few_payments, many_payments=many_payments,
                  growth=round(many["total"] / few["total"], 3))
    say(f"a payment costs {few['total']:.0f} µs with {few_payments:,} in the tables, {many['total']:.0f} µs "
        f"with {many_payments:,}: {100 * (seeded['growth'] - 1):+.1f} %")
    if arguments.audit:
        say("the audit")
        seeded["audit"] = instance.florin("audit", "--wait", "20").strip().splitlines()[-1]
        say(seeded["audit"])
    return seeded


def profile(instance, arguments):
    """Flame graphs of all processes under load, and what is hottest in each."""
    if not shutil.which("perf"):
        fail("--profile needs perf: apt-get install linux-perf.")
    arguments.pictures.mkdir(parents=True, exist_ok=True)
    data = instance.folder / "perf.data"
    names = processes_of(instance.supervisor)
    kinds = {pid: re.sub(r"-\d+$", "", name) for pid, name in names.items()}
    measured = 8
    pay(instance, connections=arguments.connections, seconds=measured + 3, warmup=1,
        meanwhile=lambda _: flame.record(list(names), measured, data))
    folded = flame.fold(data, lambda pid: kinds.get(pid, "others"))
    for old in arguments.pictures.glob("flame-*.svg"):
        old.unlink()  # of a process that this run may not have seen
    data.unlink(missing_ok=True)
    total = sum(sum(rows.values()) for rows in folded.values()) or 1
    told = []
    for kind, rows in sorted(folded.items(), key=lambda row: -sum(row[1].values())):
        samples = sum(rows.values())
        if samples < 20:
            continue
        name = f"flame-{kind.replace(' ', '-')}.svg"
        (arguments.pictures / name).write_text(flame.draw(kind, rows))
        told.append({"process": kind, "file": name, "samples": samples, "share": round(samples / total, 3),
                     "kernel": round(flame.share_in_kernel(rows), 3),
                     "hottest": [(function, round(share, 3)) for function, share in flame.hottest(rows, 6)]})
    say(f"{len(told)} flame graphs are in {arguments.pictures}")
    return told


# --- the command ----------------------------------------------------------------------------------------


def read_arguments():
    parser = argparse.ArgumentParser(prog="./florin bench", description=__doc__.split("\n\n")[0],
                                     epilog="Example: ./florin bench --quick",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="payments and pgbench only: a minute or two")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--profile", action="store_true",
                        help="a flame graph of each process, and what is hottest (needs perf)")
    parser.add_argument("--scale", action="store_true",
                        help="1, 2 and 4 workers, 1 and 2 partitions: part of the full run, and of --quick when asked for")
    parser.add_argument("--memory-minutes", "--minutes", type=float, default=0, metavar="M",
                        help="half load for so long, with everybody's memory: 30 for the report")
    parser.add_argument("--memory-merchants", type=int, default=0, metavar="N",
                        help="merchants that are active meanwhile (10,000 for each worker)")
    parser.add_argument("--memory-connections", type=int, default=memory.CONNECTIONS, metavar="N",
                        help="HTTP clients meanwhile (1000)")
    parser.add_argument("--seed-payments", type=int, default=0, metavar="N",
                        help="puts so many payments into the tables, and measures a payment's cost before and "
                             "after: 10000000 for the report")
    parser.add_argument("--audit", action="store_true", help="and looks at the books after that")
    parser.add_argument("--keep", type=pathlib.Path, metavar="FOLDER",
                        help="the instance is there, and stays: a seeding that was cut off goes on")
    parser.add_argument("--connections", type=int, default=256, help="HTTP clients (256)")
    parser.add_argument("--seconds", type=float, default=0, help="measured time of each load (6 or 10)")
    parser.add_argument("--workers", type=int, default=0, help="payments workers, instead of the setting's")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="a setting of the instance; may be repeated")
    parser.add_argument("--out", type=pathlib.Path, help="writes the JSON there too")
    parser.add_argument("--report", type=pathlib.Path,
                        help="writes the report there, its pictures into bench/ beside it; docs/BENCH.md after a "
                             "full run unless named")
    arguments = parser.parse_args()
    where = arguments.report or CHECKOUT / "docs/BENCH.md"
    arguments.pictures = where.resolve().parent / "bench"
    if not arguments.quick:
        arguments.report = where
    for name in ("seed_payments", "memory_minutes", "memory_merchants"):
        if getattr(arguments, name) < 0:
            parser.error(f"--{name.replace('_', '-')} is below zero.")
    return arguments


def main():
    arguments = read_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    long_runs.kept(arguments.pictures)  # what cannot be read is said now, not after an hour
    if arguments.keep:
        folder = arguments.keep.resolve()
        folder.mkdir(parents=True, exist_ok=True)
    else:
        folder = tempfile.mkdtemp(prefix="florin-bench.")
    os.chmod(folder, 0o711)
    settings = dict(word.split("=", 1) for word in arguments.set if "=" in word)
    instance = Instance(folder, settings, arguments.workers)
    began = time.monotonic()
    try:
        say(f"starting {'the' if instance.keys.exists() else 'a fresh'} instance")
        instance.up()
        report = measure(instance, arguments)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        instance.down()
        if not arguments.keep:
            instance.remove()
    report["minutes"] = round((time.monotonic() - began) / 60, 1)
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    if arguments.report:
        arguments.report.write_text(telling.markdown(long_runs.completed(report, arguments.pictures)))
    print(json.dumps(report) if arguments.json else telling.text_table(report))


if __name__ == "__main__":
    main()
