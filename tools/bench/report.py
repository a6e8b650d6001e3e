"""What was measured, for a terminal and as docs/BENCH.md: beside what was aimed at, and a model of
larger machines."""

from explained import explained
from long_runs import when

# --- what is aimed at --------------------------------------------------------------------------------------


def yes_or_no(what):
    return {True: "met", False: "**not met**", None: "not measured in this run"}[what]


def targets(report):
    """[(what, target, seen, met: True, False or None when it was not measured)]"""
    rows = report["scenarios"]
    out = []

    def add(what, target, seen, met):
        out.append((what, target, seen if met is not None else "–", met))

    add("payments beside pgbench TPC-B, median of the rounds", "≥ 2.0 × (1.3 × is the least)",
        f"{report['ratio_to_pgbench']:.2f} ×", report["ratio_to_pgbench"] >= 2.0)
    half = rows.get("half_load")
    add("p99 at half that load, open loop", "< 50 ms", f"{half['p99_ms']:.1f} ms" if half else "",
        half and half["p99_ms"] < 50 and half["failed"] == 0)
    alone = rows.get("alone")
    add("one payment alone, p50", "< 5 ms", f"{alone['p50_ms']:.1f} ms" if alone else "",
        alone and alone["p50_ms"] < 5)
    there = "retrieve" in rows
    add("retrieve beside civetweb with a constant body", "≥ 60 %",
        f"{100 * report['retrieve_to_yardstick']:.0f} %" if there else "",
        report["retrieve_to_yardstick"] >= 0.6 if there else None)
    add("replay of a known key beside retrieve", "≥ 100 %",
        f"{100 * report['replay_to_retrieve']:.0f} %" if there else "",
        report["replay_to_retrieve"] >= 1 if there else None)
    told = report.get("webhooks")
    add("webhooks, 100 endpoints of which 10 hang, at 1,000 payments/s: 99 % delivered", "≤ 500 ms",
        f"{told['p99_ms']} ms at {told['payments_per_second']:.0f} payments/s, {told['undelivered']} left"
        if told else "", told and told["p99_ms"] <= 500 and told["payments_per_second"] >= 950
        and told["undelivered"] == 0)
    seeded = report.get("seed")
    add(f"CPU of a payment with {seeded['payments']:,} in the tables beside few" if seeded else
        "CPU of a payment with 10 million in the tables beside 10 thousand", "≤ + 15 %",
        f"{100 * (seeded['growth'] - 1):+.1f} %{when(seeded)}" if seeded else "",
        seeded and (seeded["growth"] <= 1.15 if seeded["payments"] >= 10_000_000 else None))
    if seeded and seeded["payments"] < 10_000_000:
        out[-1] = (*out[-1][:2], f"{100 * (seeded['growth'] - 1):+.1f} %{when(seeded)}, too few to count", None)
    memory = report.get("memory")
    processes = memory["processes"] if memory else {}

    def all_of(field, kind=""):
        chosen = [row for name, row in processes.items() if name.startswith(kind)]
        return bool(chosen) and all(row[field] for row in chosen) if memory else None

    def most(kind):
        most_seen = max((r['resident_mib_max'] for n, r in processes.items() if n.startswith(kind)), default=0)
        return f"{most_seen} MiB{when(memory)}" if memory else ""

    long_enough = memory and memory["minutes"] >= 30
    grown = [name for name, row in processes.items() if not row["flat"] or not row["there_throughout"]]
    add("memory of each process over 30 minutes of load", "flat",
        (f"{', '.join(grown)} not" if grown else "all") + when(memory) if memory else "",
        (not grown if long_enough else None))
    if memory and not long_enough:
        out[-1] = (*out[-1][:2], f"{', '.join(grown) + ' not' if grown else 'all'}, in {memory['minutes']:g} "
                   f"minutes{when(memory)}", None)
    add("a worker with 10,000 active merchants", "< 64 MiB", most("payments"), all_of("below_limit", "payments"))
    add("the gateway with 1,000 connections", "< 128 MiB", most("gateway"), all_of("below_limit", "gateway"))
    scale = report.get("scale")
    add("1, 2 and 4 workers answer the same", "the same",
        ("; ".join(f"{r['workers']}: {r['difference']}" for r in scale if r["difference"]) or
         f"{scale[0]['plays']} × {scale[0]['scenes']} answers each") if scale else "",
        all(r["same_answers"] for r in scale) if scale else None)
    partitions = report.get("partitions")
    add("1 and 2 partitions of the ledger answer the same", "the same",
        ("; ".join(f"{r['partitions']}: {r['difference']}" for r in partitions if r["difference"]) or
         f"{partitions[0]['plays']} × {partitions[0]['scenes']} answers each") if partitions else "",
        all(r["same_answers"] for r in partitions) if partitions else None)
    return out


# --- larger machines ---------------------------------------------------------------------------------------

# Of these there can be several (settings `workers`, `webhook_workers`), each with sessions of its own.
DIVISIBLE = ("payments", "webhooks", "postgres payments", "postgres webhooks", "postgres main",
             "postgres others", "postgres checkpointer", "postgres walwriter", "postgres background")
CORES = (2, 4, 16, 64)
USABLE, BUSY_MAX = 0.9, 0.8


def stations(report):
    """What one thread alone can do, µs a payment, the most first: no number of cores makes it less."""
    chosen = {name: cost for name, cost in report["busiest_thread_us"].items()
              if not name.startswith(DIVISIBLE)}
    return sorted(chosen.items(), key=lambda row: -row[1])


def cost_of_workers(report):
    """CPU µs that a further worker adds to every payment: the slope through what was measured."""
    rows = report.get("scale") or []
    if len(rows) < 2:
        return 0.0
    x, y = [r["workers"] for r in rows], [r["cpu_us_total"] for r in rows]
    middle_x, middle_y = sum(x) / len(x), sum(y) / len(y)
    return max(0.0, sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y)) /
               sum((a - middle_x) ** 2 for a in x))


def model(report):
    """Rows of (cores, workers, Amdahl's payments/s, payments/s with queues, bounded by, ms of waiting)."""
    queue = stations(report) or [("nothing", 1.0)]
    slowest, serial = queue[0]
    rows = []
    for cores in CORES:
        workers = max(2, min(16, cores // 4))
        total = report["cpu_us_per_payment_total"] + cost_of_workers(report) * (workers - 2)
        share = serial / total
        amdahl = 1e6 / total / (share + (1 - share) / cores)
        by_cores, by_queue = USABLE * cores * 1e6 / total, BUSY_MAX * 1e6 / serial
        rate = min(by_cores, by_queue)
        # M/M/1 at each of them: time there = demand / (1 - how busy it is).
        waits = sum(cost / (1 - min(0.99, rate * cost / 1e6)) for _, cost in queue) / 1000
        rows.append((cores, workers, amdahl, rate, "the cores" if by_cores < by_queue else slowest, waits))
    return rows


# --- as text -----------------------------------------------------------------------------------------------


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
    lines.append("")
    for what, target, seen, met in targets(report):
        lines.append(f"{yes_or_no(met).strip('*'):<26} {what}: {seen} ({target})")
    return "\n".join(lines)


def table(heads, rows):
    out = ["", "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return out + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def costs_table(report):
    return ["", "## Whom a payment costs what"] + table(
        ["process", "CPU µs a payment", "of it in its busiest thread"],
        [(name, f"{cost:.1f}", f"{report['busiest_thread_us'].get(name, 0):.1f}")
         for name, cost in sorted(report["cpu_us_per_payment"].items(), key=lambda row: -row[1])])


def loads_table(report):
    out = ["", "## Other loads"] + table(
        ["load", "/s", "× pgbench", "p50 ms", "p99 ms", "p99.9 ms", "CPU µs each", "WAL B each", "failed"],
        [(r["title"], f"{r['per_second']:.0f}", f"{r['ratio']:.2f}", f"{r['p50_ms']:.1f}",
          f"{r['p99_ms']:.1f}", f"{r['p999_ms']:.1f}", f"{r['cpu_us_total']:.0f}", f"{r['wal_bytes']:.0f}",
          r["failed"]) for r in report["scenarios"].values()])
    return out + ["", "Latencies of open loops count from the moment at which a request was due. The "
                  "load generator itself takes "
                  f"{report['scenarios']['yardstick']['load_cpu_us']:.0f} µs of CPU a request at the yardstick."]


def webhooks_text(told):
    return ["", f"Webhooks, 100 endpoints of which 10 never answer, at {told['payments_per_second']:.0f} "
            f"payments/s: {told['delivered']} delivered ({told['per_second']:.0f}/s), p50 "
            f"{told['p50_ms']} ms and p99 {told['p99_ms']} ms after the event, "
            f"{told['undelivered']} still to be delivered 10 s after the end."]


def scale_text(report):
    rows = report["scale"]
    names = sorted({name for row in rows for name in row["cpu_us"]},
                   key=lambda name: (-max(row["cpu_us"].get(name, 0) for row in rows), name))[:8]
    out = ["", "## More workers", "",
           f"{rows[0]['plays']} merchants perform the same {rows[0]['scenes']} requests under each number of "
           "workers: payments, holds, refunds, keys used again and misused, refusals, lists. What is not "
           "chance (ids, moments, codes) must be the same. Then a load at full rate."]
    out += table(
        ["workers", "answers", "payments/s", "p99 ms", "CPU µs a payment"] + names,
        [(row["workers"], row["difference"] or "the same", f"{row['per_second']:.0f}", f"{row['p99_ms']:.0f}",
          f"{row['cpu_us_total']:.0f}") + tuple(f"{row['cpu_us'].get(name, 0):.0f}" for name in names)
         for row in rows]) + ["", f"A further worker adds {cost_of_workers(report):.0f} µs of CPU to each "
                              "payment (slope through these rows)."]
    return out + partitions_text(report["partitions"])


def partitions_text(rows):
    names = sorted({name for row in rows for name in row["cpu_us"]},
                   key=lambda name: (-max(row["cpu_us"].get(name, 0) for row in rows), name))[:8]
    one, two = rows
    return ["", "## Partitions", "",
            f"The same play by a fresh instance of each kind, with {one['workers']} workers and one Postgres. Two "
            "partitions have two databases and two ledgers that lead, so a batch holds half as much: what a "
            "batch costs is paid twice. They are for more machines than one."] + table(
        ["partitions", "answers", "payments/s", "p99 ms", "commits a payment", "CPU µs a payment"] + names,
        [(row["partitions"], row["difference"] or "the same", f"{row['per_second']:.0f}", f"{row['p99_ms']:.0f}",
          f"{row['commits']:.3f}", f"{row['cpu_us_total']:.0f}") +
         tuple(f"{row['cpu_us'].get(name, 0):.0f}" for name in names) for row in rows]) + [
        "", f"A second partition adds {two['cpu_us_total'] - one['cpu_us_total']:.0f} µs of CPU to each payment."]


def seen_when(section):
    return f"Seen in a run of its own, {section['date']}, commit {section['commit']}. " if when(section) else ""


def memory_text(memory):
    return ["", "## Memory under load", "", seen_when(memory) +
            f"{memory['minutes']:g} minutes at half load ({memory['payments_per_second']:.0f} payments/s, "
            f"{memory['failed']} failed), {memory['merchants']:,} merchants in turn over {memory['workers']} "
            f"workers, {memory['connections']:,} connections in turn, {memory['samples']} samples. `Own` is "
            "memory that the process has taken for itself; what else is resident are pages of files (the "
            "program, the network's journal), which the kernel may take back. Flat: the median of `own` in the "
            "last third is not above that of the middle third by more than 5 % or 1 MiB."] + table(
        ["process", "own at first", "own in the middle third", "own in the last third", "flat",
         "most resident", "limit"],
        [(name, r["first_mib"], r["middle_mib"], r["last_mib"], "yes" if r["flat"] else "**no**",
          r["resident_mib_max"], f"{r['limit_mib']} MiB: {yes_or_no(r['below_limit'])}" if r["limit_mib"]
          else "–") for name, r in memory["processes"].items()]) + ["", "![memory](bench/memory.svg)"]


def seed_text(seeded):
    bare = (f"The oldest {seeded['bare']:,} are without the JSON of kept answers, events and charges' details "
            "(`{}` stands there), and their pages are full, because the disk would not take them otherwise; all "
            "rows and all entries of indexes are there." if seeded["bare"] else "All of them are whole.")
    few, many = seeded["few"], seeded["many"]
    names = sorted(set(few["by_process"]) | set(many["by_process"]),
                   key=lambda name: (-few["by_process"].get(name, 0), name))
    return ["", "## Large tables", "", seen_when(seeded) +
            f"{seeded['payments']:,} payments of {seeded['rows_each']} rows each, spread over "
            f"{seeded['days']} past days and all merchants, were put there in {seeded['seconds'] / 60:.0f} "
            f"minutes; with the network's journal they are {seeded['bytes'] / 1e9:.1f} GB. {bare}"] + table(
        ["CPU µs a payment", f"{seeded['few_payments']:,} payments in the tables",
         f"{seeded['many_payments']:,}", ""],
        [("all", few["total"], many["total"], f"{100 * (seeded['growth'] - 1):+.1f} %")] +
        [(name, few["by_process"].get(name, 0), many["by_process"].get(name, 0), "") for name in names] +
        [("WAL bytes", few["wal_bytes"], many["wal_bytes"],
          f"{100 * (many['wal_bytes'] / max(few['wal_bytes'], 1) - 1):+.1f} %")])


def model_text(report):
    queue = stations(report)
    out = ["", "## A model of more cores", "",
           "A model, not a measurement. What a payment costs stays what it is here, but for what further "
           f"workers add ({cost_of_workers(report):.1f} µs each; a quarter of the cores, 2 to 16). What one "
           "thread does is never faster than it is here: "
           + ", ".join(f"{name} {cost:.0f} µs" for name, cost in queue[:5]) + ". *Amdahl*: the busiest of "
           "these is the part that is not divided, all else is divided by the cores. *With queues*: nine "
           "tenths of the cores can be used, and each single thread is busy for eight tenths of its time at "
           "the most; waiting is that of one queue for each of them (M/M/1), without the disk. Larger batches "
           "make the ledger cheaper when more wait; the model gives nothing for that."]
    return out + table(
        ["cores", "workers", "Amdahl, payments/s", "with queues, payments/s", "bounded by",
         "time at single threads, ms"],
        [(cores, workers, f"{amdahl:.0f}", f"{rate:.0f}", bound, f"{wait:.1f}")
         for cores, workers, amdahl, rate, bound, wait in model(report)])


def explained_text(report):
    out = ["", "## What stands in the way", "",
           "Of what was not met in this run: what the profile and the times of single statements show, and what was "
           "tried. These figures are from the search for it, on the machine above and in other runs than this one."]
    for what, texts in explained(targets(report)):
        out += ["", f"**{what[0].upper()}{what[1:]}.** " + "\n\n".join(texts)]
    return out


def profile_text(profiles):
    out = ["", "## Where the time goes", "",
           "Share of the samples in which a function itself ran, of its process, at full load; in the pictures "
           "what calls it stands below it. `finish_task_switch` and `_raw_spin_unlock…` are the price of sleeping "
           "and being woken; `[unknown]` has no name because Debian's programs bear none for it."]
    out += table(["process", "share of all", "in the kernel", "functions"],
                 [(f"[{row['process']}](bench/{row['file']})", f"{100 * row['share']:.0f} %",
                   f"{100 * row['kernel']:.0f} %",
                   ", ".join(f"{name.replace('|', '¦')} {100 * share:.0f} %" for name, share in row["hottest"]))
                  for row in profiles])
    return out + [""] + [f"![{row['process']}](bench/{row['file']})" for row in profiles]


def markdown(report):
    m = report["machine"]
    out = ["# What Florin does in a second", "",
           f"Made by `./florin bench` on {report['date']}: {m['cpus']} × {m['cpu']}, {m['memory_gib']} GiB, "
           f"Linux {m['kernel']}, Postgres {m['postgres']}. Load generator, Postgres, Redis and all of Florin "
           "share these processors. Figures differ from machine to machine; ratios in one run are what counts.",
           "", "## What is aimed at"]
    out += table(["what", "target", "seen", ""],
                 [(what, target, seen, yes_or_no(met)) for what, target, seen, met in targets(report)])
    out += ["", "That lists and balances are read by index and never by a scan is shown by "
            "`store_plans_test.c` and `outbox_plans_test.c`, not here.", "", "## Payments"]
    out += table(["", ""], [
        ("pgbench TPC-B, prepared, best of 1, 8, 32 clients", f"{report['pgbench_tps']:.0f} /s"),
        (f"payments (create and confirm), {report['connections']} connections",
         f"{report['payments_per_second']:.0f} /s"),
        ("ratio, median of the rounds", f"**{report['ratio_to_pgbench']:.2f}** ("
         + ", ".join(f"{r['ratio']:.2f}" for r in report["rounds"]) + ")"),
        ("p50, p99, p99.9 at full load",
         f"{report['p50_ms']:.1f}, {report['p99_ms']:.1f}, {report['p999_ms']:.1f} ms"),
        ("a payment: CPU of all processes", f"{report['cpu_us_per_payment_total']:.0f} µs"),
        ("WAL, rows, commits of a payment", f"{report['wal_bytes_per_payment']} B, "
         f"{report['rows_per_payment']:.1f}, {report['commits_per_payment']:.3f}")])
    out += costs_table(report)
    if report["scenarios"]:
        out += loads_table(report)
    if "webhooks" in report:
        out += webhooks_text(report["webhooks"])
    if "scale" in report:
        out += scale_text(report)
    if "memory" in report:
        out += memory_text(report["memory"])
    if "seed" in report:
        out += seed_text(report["seed"])
    out += model_text(report)
    if any(met is False for *_, met in targets(report)):
        out += explained_text(report)
    if report.get("profile"):
        out += profile_text(report["profile"])
    return "\n".join(out) + "\n"
