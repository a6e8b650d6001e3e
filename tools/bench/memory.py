"""Resident memory of every process of ours under load: flat, and below its limit?

As many merchants are active as make 10,000 for each worker, and 1,000 connections take turns, at half of
what the machine can do. `own` is what a process has taken for itself (RssAnon and RssShmem); the rest of
what is resident are pages of files, which the kernel takes back when it needs them: programs, and the
map of the network's journal, which grows with every payment.
"""

import re
import statistics
import time

import chart
from instance import load, pay, processes_of, read_text, say, PAY

MERCHANTS_OF_A_WORKER = 10_000
CONNECTIONS = 1_000
# MiB that may be resident; those not named here have to be flat.
LIMITS = {"payments": 64, "gateway": 128}
# Flat: the last third is no more than this above the middle one. The first is there for caches to fill.
SHARE_MAX, MIB_MAX = 0.05, 1.0
OURS = re.compile(r"^(gateway|broker|payments|ledger|network|vault|webhooks)-\d+$|^supervisor$")


def kind_of(name):
    return re.sub(r"-\d+$", "", name)


def resident(instance):
    """Name → (MiB resident, MiB of them its own)."""
    sizes = {}
    for pid, name in processes_of(instance.supervisor).items():
        found = dict(re.findall(r"^(VmRSS|RssAnon|RssShmem):\s*(\d+)", read_text(f"/proc/{pid}/status"), re.M))
        if found and OURS.match(name):
            sizes[name] = (int(found["VmRSS"]) / 1024,
                           (int(found["RssAnon"]) + int(found["RssShmem"])) / 1024)
    return sizes


def judge(samples):
    """A row for each process that was there all the time."""
    third = max(1, len(samples) // 3)
    rows = {}
    for name in sorted(samples[-1][1]):
        own = [sizes[name][1] for _, sizes in samples if name in sizes]
        most = max(sizes[name][0] for _, sizes in samples if name in sizes)
        middle, last = statistics.median(own[third:2 * third]), statistics.median(own[-third:])
        limit = LIMITS.get(kind_of(name))
        rows[name] = {"first_mib": round(own[0], 1), "middle_mib": round(middle, 1),
                      "last_mib": round(last, 1), "resident_mib_max": round(most, 1), "limit_mib": limit,
                      "flat": last - middle <= max(SHARE_MAX * middle, MIB_MAX),
                      "below_limit": limit is None or most < limit,
                      "there_throughout": len(own) == len(samples)}
    return rows


def soak(instance, rate, minutes, workers, merchants=None, connections=CONNECTIONS):
    """What was seen, and its picture."""
    instance.keys, keys = instance.folder / "keys-memory", instance.keys
    count = merchants or MERCHANTS_OF_A_WORKER * workers
    say(f"making {count:,} merchants for {workers} workers")
    instance.make_merchants(count)
    # Every merchant has been seen, and every connection used, before the first sample.
    say("every merchant pays once")
    pay(instance, connections=64, warmup=0, seconds=max(1.0, 1.2 * count / (2 * rate)))
    every, samples, began = max(1.0, minutes * 60 / 180), [], time.monotonic()

    def sample(process):
        while process.poll() is None and time.monotonic() - began < minutes * 60:
            samples.append((round((time.monotonic() - began) / 60, 2), resident(instance)))
            time.sleep(every)

    say(f"{minutes:g} minutes of {rate:.0f} payments/s over {connections:,} connections")
    began = time.monotonic()
    result = load(instance, PAY, idempotency="fresh", connections=connections, rate=rate, warmup=0.1,
                  seconds=minutes * 60 + 1, meanwhile=sample)
    instance.keys = keys
    rows = judge(samples)
    lines = {name: [(minute, sizes[name][0]) for minute, sizes in samples if name in sizes] for name in rows}
    limits = [(f"{kind}: {mib} MiB", mib) for kind, mib in LIMITS.items()]
    picture = chart.draw("Resident memory under load", "minutes", "MiB", lines, limits)
    return {"minutes": minutes, "merchants": count, "connections": connections, "workers": workers,
            "payments_per_second": result["per_second"], "failed": result["failed"], "processes": rows,
            "samples": len(samples)}, picture
