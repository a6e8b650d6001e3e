"""What the bench makes of what it measured, without measuring: what is called flat, met, the same."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools/bench"))
import chart  # noqa: E402
import flame  # noqa: E402
import long_runs  # noqa: E402
import memory  # noqa: E402
import report as telling  # noqa: E402
import scale  # noqa: E402
import seed  # noqa: E402
from explained import explained  # noqa: E402


def samples(own, resident=None, name="payments-1"):
    return [(minute, {name: ((resident or own)[minute], mib)}) for minute, mib in enumerate(own)]


def load(**changes):
    return {"per_second": 1000.0, "p50_ms": 2.0, "p99_ms": 9.0, "p999_ms": 20.0, "failed": 0, "title": "x",
            "ratio": 1.0, "cpu_us_total": 400.0, "load_cpu_us": 10.0, "wal_bytes": 1.0, **changes}


def full_report():
    """A report in which every target is met."""
    process = {"first_mib": 1, "middle_mib": 1, "last_mib": 1, "resident_mib_max": 20, "limit_mib": 64,
               "flat": True, "below_limit": True, "there_throughout": True}
    workers = [{"workers": n, "same_answers": True, "difference": None, "plays": 3, "scenes": 28,
                "per_second": 1000, "p99_ms": 9, "cpu_us_total": 400 + 10 * n, "cpu_us": {"ledger-1": 50}}
               for n in (1, 2, 4)]
    cost = {"total": 400.0, "by_process": {"ledger-1": 50.0}, "per_second": 1000, "wal_bytes": 9000}
    return {
        "date": "today",
        "machine": {"cpus": 2, "cpu": "x", "memory_gib": 1, "kernel": "x", "postgres": "15"},
        "rounds": [load()], "pgbench_tps": 1000.0, "payments_per_second": 2100.0, "ratio_to_pgbench": 2.1,
        "p50_ms": 1.0, "p99_ms": 2.0, "p999_ms": 3.0, "connections": 256, "cpu_us_per_payment_total": 400.0,
        "cpu_us_per_payment": {"postgres ledger": 150.0, "payments-1": 60.0},
        "busiest_thread_us": {"postgres ledger": 150.0, "payments-1": 60.0},
        "wal_bytes_per_payment": 9000, "rows_per_payment": 14.0, "commits_per_payment": 0.1,
        "scenarios": {name: load() for name in ("alone", "half_load", "retrieve", "replay", "yardstick")},
        "retrieve_to_yardstick": 0.7, "replay_to_retrieve": 1.1,
        "webhooks": {"p50_ms": 9, "p99_ms": 90, "payments_per_second": 1000.0, "undelivered": 0,
                     "delivered": 9, "per_second": 900.0},
        "scale": workers,
        "partitions": [{**workers[1], "partitions": n, "commits": 0.05 * n} for n in (1, 2)],
        "memory": {"minutes": 30, "merchants": 20000, "connections": 1000, "workers": 2, "failed": 0,
                   "payments_per_second": 1000.0, "samples": 9,
                   "processes": {"payments-1": process, "gateway-1": {**process, "limit_mib": 128}}},
        "seed": {"payments": 10_000_000, "bare": 5, "days": 90, "seconds": 60, "bytes": 10**10, "rows_each": 14,
                 "few": cost, "many": cost, "few_payments": 10_000, "many_payments": 10_010_000, "growth": 1.1},
        "profile": [{"process": "ledger", "file": "flame-ledger.svg", "share": 0.5, "kernel": 0.4, "hottest": [("f", 0.25)]}],
    }


def not_met(report):
    return [what for what, _, _, met in telling.targets(report) if met is False]


class Memory(unittest.TestCase):
    def test_memory_that_stays_is_flat(self):
        self.assertTrue(memory.judge(samples([10, 30, 40, 40, 40.5, 40]))["payments-1"]["flat"])

    def test_memory_that_grows_is_not(self):
        self.assertFalse(memory.judge(samples([10, 20, 30, 40, 50, 60]))["payments-1"]["flat"])

    def test_one_moment_above_its_limit_is_seen(self):
        row = memory.judge(samples([10] * 6, [20, 20, 65, 20, 20, 20]))["payments-1"]
        self.assertFalse(row["below_limit"])
        self.assertTrue(row["flat"])
        self.assertTrue(memory.judge(samples([10] * 6, [63.9] * 6))["payments-1"]["below_limit"])
        self.assertTrue(memory.judge(samples([10] * 6, [65] * 6, "gateway-1"))["gateway-1"]["below_limit"])
        self.assertFalse(memory.judge(samples([10] * 6, [128] * 6, "gateway-1"))["gateway-1"]["below_limit"])

    def test_who_was_not_there_all_the_time_is_named(self):
        rows = samples([10] * 6)
        del rows[2][1]["payments-1"]
        self.assertFalse(memory.judge(rows)["payments-1"]["there_throughout"])


class Targets(unittest.TestCase):
    def test_all_can_be_met(self):
        self.assertEqual(not_met(full_report()), [])

    def test_each_target_can_be_missed(self):
        def change(*path_and_value):
            *path, last, value = path_and_value
            report = full_report()
            at = report
            for key in path:
                at = at[key]
            at[last] = value
            return len(not_met(report))
        for words in [("ratio_to_pgbench", 1.99), ("scenarios", "half_load", "p99_ms", 50.0),
                      ("scenarios", "half_load", "failed", 1), ("scenarios", "alone", "p50_ms", 5.0),
                      ("retrieve_to_yardstick", 0.59), ("replay_to_retrieve", 0.99),
                      ("webhooks", "p99_ms", 501), ("webhooks", "payments_per_second", 900.0),
                      ("webhooks", "undelivered", 1), ("seed", "growth", 1.151),
                      ("memory", "processes", "payments-1", "flat", False),
                      ("memory", "processes", "payments-1", "there_throughout", False),
                      ("memory", "processes", "payments-1", "below_limit", False),
                      ("memory", "processes", "gateway-1", "below_limit", False),
                      ("scale", 2, "same_answers", False), ("partitions", 1, "same_answers", False)]:
            self.assertEqual(change(*words), 1, words)

    def test_what_was_not_measured_or_too_little_is_neither_met_nor_missed(self):
        report = full_report()
        report["seed"]["payments"] = 9_999_999
        report["memory"]["minutes"] = 2
        self.assertEqual(sum(met is None for _, _, _, met in telling.targets(report)), 2)
        for name in ("seed", "memory", "scale", "partitions", "webhooks"):
            del report[name]
        report["scenarios"] = {}
        self.assertEqual(sum(met is True for _, _, _, met in telling.targets(report)), 1)
        self.assertIn("not measured in this run", telling.markdown(report))

    def test_the_report_has_all_its_parts(self):
        text = telling.markdown(full_report())
        for part in ("What is aimed at", "Whom a payment costs what", "Other loads", "Webhooks", "More workers", "## Partitions",
                     "Memory under load", "memory.svg", "Large tables", "A model of more cores",
                     "Where the time goes", "flame-ledger.svg"):
            self.assertIn(part, text)


class Model(unittest.TestCase):
    def test_what_is_not_met_is_explained(self):
        report = full_report()
        self.assertNotIn("## What stands in the way", telling.markdown(report))
        report["ratio_to_pgbench"] = 1.4
        report["scenarios"]["half_load"]["p99_ms"] = 60.0
        told = explained(telling.targets(report))
        self.assertEqual([what for what, _ in told], not_met(report))
        self.assertEqual(len(told), 2)
        text = telling.markdown(report)
        for _, sentences in told:
            for sentence in sentences:
                self.assertIn(sentence, text)

    def test_it_ends_at_the_busiest_single_thread(self):
        rows = telling.model(full_report())
        self.assertEqual([row[0] for row in rows], [2, 4, 16, 64])
        self.assertEqual(rows[0][4], "the cores")
        self.assertEqual(rows[-1][4], "postgres ledger")
        self.assertAlmostEqual(rows[-1][3], 0.8e6 / 150)
        self.assertTrue(all(row[2] < 1e6 / 150 for row in rows))

    def test_a_further_worker_costs_what_was_measured(self):
        self.assertAlmostEqual(telling.cost_of_workers(full_report()), 10)


class Answers(unittest.TestCase):
    def test_what_is_chance_is_masked_and_nothing_else(self):
        one = {"id": "pi_0VblWdWY00vaE2VPZScPYQE0", "created": 1790343293, "amount": 2000, "status": "succeeded"}
        other = {**one, "id": "pi_0VblWdWY00vaE2VPZScPYQE1", "created": 1790343294}
        self.assertEqual(scale.masked(one), scale.masked(other))
        self.assertNotEqual(scale.masked(one), scale.masked({**one, "amount": 2001}))
        self.assertEqual(scale.masked("http://127.0.0.1:4362/3ds/x"), scale.masked("http://127.0.0.1:56461/3ds/x"))
        self.assertNotEqual(scale.masked(one), scale.masked({**one, "id": "ch_0VblWdWY00vaE2VPZScPYQE0"}))

    def test_a_difference_is_named_by_its_scene_and_field(self):
        one = [("paid", 200, {"data": [{"amount": 1}]})]
        self.assertIsNone(scale.difference(one, one))
        self.assertIn("paid: data[0].amount", scale.difference(one, [("paid", 200, {"data": [{"amount": 2}]})]))
        self.assertIn("paid", scale.difference(one, [("paid", 402, {})]))
        self.assertIsNotNone(scale.difference(one, one + one))


class Pictures(unittest.TestCase):
    def test_a_flame_graph_is_small_enough_to_be_committed(self):
        rows = {("thread", *(f"function_{(i * j) % 911}" for j in range(30))): 1 + i % 7 for i in range(3000)}
        picture = flame.draw("ledger", rows)
        self.assertLessEqual(len(picture), flame.BYTES_MAX)
        self.assertIn("function_", picture)

    def test_the_hottest_functions_are_those_on_top(self):
        rows = {("t", "main", "memcpy"): 6, ("t", "main", "parse", "memcpy"): 2, ("t", "main"): 2}
        self.assertEqual(flame.hottest(rows, 2), [("memcpy", 0.8), ("main", 0.2)])

    def test_what_the_kernel_does_is_told_apart(self):
        rows = {("t", "main", "send", "entry_SYSCALL_64_after_hwframe", "tcp_sendmsg"): 1, ("t", "main"): 3}
        self.assertEqual(flame.share_in_kernel(rows), 0.25)

    def test_a_chart_has_its_lines_and_limits(self):
        picture = chart.draw("t", "minutes", "MiB", {"a": [(0, 1), (1, 2)], "b": [(0, 3)]}, [("most", 64)])
        self.assertEqual(picture.count("<polyline"), 2)
        self.assertIn("most", picture)


class LongRuns(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.pictures = pathlib.Path(self.folder.name) / "bench"

    def keep(self, minutes, date):
        section = {**full_report()["memory"], "minutes": minutes}
        return long_runs.keep(self.pictures, "memory", section, date, pathlib.Path("."))

    def of_another_run(self):
        bare = {name: section for name, section in full_report().items() if name != "memory"}
        return telling.markdown(long_runs.completed(bare, self.pictures))

    def test_what_was_not_looked_at_is_shown_of_the_last_run_that_did_and_says_so(self):
        self.assertIn("not measured in this run", self.of_another_run())
        self.assertTrue(self.keep(30, "last week"))
        self.assertIn("(run of last week", self.of_another_run())
        self.assertNotIn("not measured in this run", self.of_another_run())

    def test_what_was_looked_at_is_shown_of_this_run(self):
        self.keep(30, "last week")
        self.assertNotIn("last week", telling.markdown(long_runs.completed(full_report(), self.pictures)))

    def test_a_file_that_is_not_what_it_should_be_is_named(self):
        self.keep(30, "first")
        for words in ("{", "7", "[1]"):
            (self.pictures / long_runs.FILE).write_text(words)
            with self.assertRaises(SystemExit):
                long_runs.kept(self.pictures)

    def test_a_trial_does_not_replace_a_run_that_counts(self):
        self.assertTrue(self.keep(0.1, "first"))
        self.assertTrue(self.keep(30, "second"))
        self.assertFalse(self.keep(0.1, "third"))
        self.assertTrue(self.keep(30, "fourth"))
        self.assertEqual(long_runs.kept(self.pictures)["memory"]["date"], "fourth")


class Seeding(unittest.TestCase):
    def test_another_payment_is_the_pattern_with_its_own_ids(self):
        account, intent = "acct_0VblWdWY00vaE2VPZScPYQE0", "pi_0VblWdWY01vaE2VPZScPYQE0"
        row = {"id": intent, "merchant": account, "created": 1790343293, "sequence": 7, "count": 1, "network_id": None}
        rows = [(table, {name: "text" for name in row}, row) for table in
                ("attempt", "payment_intent", "charge", "outbox", "idempotency", "ledger_transaction")]
        pattern = seed.Pattern(account, "key", rows)
        self.assertEqual(pattern.text(account), "c.merchant")
        self.assertEqual(pattern.text(intent), "('pi_' || c.core || '00')")
        self.assertEqual(pattern.text(f"{intent}_secret_x made 1790343294"),
                         "replace(replace('pi_@core@00_secret_x made @sec@', '@core@', c.core), '@sec@', "
                         "c.created::text)")
        self.assertEqual(pattern.value("payment_intent", "created", 1790343295), "c.created + 2")
        self.assertEqual(pattern.value("outbox", "sequence", 7), "c.event_from + 0")
        self.assertEqual(pattern.value("payment_intent", "amount", 2000), "2000")


if __name__ == "__main__":
    unittest.main()
