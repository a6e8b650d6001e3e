"""Seeded payments are as good as made ones: cut off, gone on with, bare or whole, the audit finds nothing."""

import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools/bench"))
import seed  # noqa: E402
from instance import Instance, pay, read_text  # noqa: E402

MERCHANTS, TOTAL = 7, 1000


class Cut(Exception):
    pass


class Seeding(unittest.TestCase):
    """One instance for all; the tests follow one another by name."""

    @classmethod
    def setUpClass(cls):
        seed.CHUNK = 200
        cls.instance = Instance(tempfile.mkdtemp(prefix="florin-bench-seeding."), {}, 0)
        cls.addClassCleanup(cls.instance.remove)
        cls.addClassCleanup(cls.instance.down)
        os.chmod(cls.instance.folder, 0o711)
        cls.instance.up()
        cls.instance.make_merchants(MERCHANTS)
        cls.before = cls.options()
        pay(cls.instance, connections=4, warmup=0, seconds=0.5)

    @classmethod
    def options(cls):
        return cls.instance.sql("SELECT string_agg(relname || ' ' || array_to_string(reloptions, ','), '; '"
                                " ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relnamespace ="
                                " 'public'::regnamespace AND reloptions IS NOT NULL")

    def number(self, sql):
        return int(self.instance.sql(sql))

    def test_1_a_disk_that_is_too_small_is_refused_before_anything_is_written(self):
        before, free = self.number("SELECT count(*) FROM payment_intent"), seed.free_bytes
        seed.free_bytes = lambda _: seed.RESERVE_BYTES + 100 * seed.BARE_BYTES
        self.addCleanup(setattr, seed, "free_bytes", free)
        with self.assertRaises(SystemExit):
            seed.seed(self.instance, TOTAL)
        # but for the one that is to be the pattern
        self.assertEqual(self.number("SELECT count(*) FROM payment_intent"), before + 1)

    def test_2_who_is_cut_off_goes_on_there(self):
        write, left = seed.Network.write, [2]

        def cut(network, lines):
            left[0] -= 1
            if left[0] < 0:
                raise Cut
            write(network, lines)
        seed.Network.write = cut
        try:
            with self.assertRaises(Cut):
                seed.seed(self.instance, TOTAL)
        finally:
            seed.Network.write = write
        self.assertEqual(self.number("SELECT done FROM bench.seed"), 400)
        # The disk takes those that are left only when some are bare.
        free, calls = seed.free_bytes, []

        def little(_):
            calls.append(1)
            done = self.number("SELECT done FROM bench.seed")
            return seed.RESERVE_BYTES + (TOTAL - done) * seed.BARE_BYTES * 1.5 if done < 800 else free(_)
        seed.free_bytes = little
        try:
            told = seed.seed(self.instance, TOTAL)
        finally:
            seed.free_bytes = free
        self.assertEqual((told["payments"], told["bare"]), (TOTAL, 400))
        self.assertEqual(self.number("SELECT done FROM bench.seed"), TOTAL)

    def test_3_they_are_spread_over_merchants_and_days(self):
        keys = ", ".join(f"'{line.split()[0]}'" for line in read_text(self.instance.keys).splitlines())
        self.assertEqual(self.number(f"SELECT count(DISTINCT merchant) FROM idempotency WHERE merchant IN ({keys})"
                                     " AND created < extract(epoch FROM now()) - 3600"), MERCHANTS)
        self.assertGreaterEqual(self.number("SELECT count(DISTINCT created / 86400) FROM payment_intent"), 90)
        # Ids begin with their time: in the order of ids is in the order of time.
        self.assertEqual(self.number("SELECT count(*) FROM (SELECT created, lag(created) OVER (ORDER BY id) AS"
                                     " before FROM payment_intent) p WHERE created < before"), 0)
        # A merchant has one slot, for what was made and what was seeded.
        self.assertEqual(self.number("SELECT count(*) FROM (SELECT FROM attempt GROUP BY merchant HAVING"
                                     " count(DISTINCT slot) <> 1) odd"), 0)
        self.assertEqual(self.number("SELECT count(*) FROM idempotency i JOIN event e ON e.sequence = i.told"
                                     " WHERE get_byte(e.packed, 0) = 0"), 400)

    def test_4_payments_go_on_and_the_audit_finds_nothing_wrong(self):
        secret = read_text(self.instance.keys).split()[1]
        self.assertEqual(seed.pay_once(self.instance, secret, "after all")["status"], "succeeded")
        self.assertEqual(pay(self.instance, connections=4, warmup=0, seconds=0.5)["failed"], 0)
        said = self.instance.florin("audit", "--wait", "20", check=False)
        self.assertRegex(said, r"All \d+ invariants hold\.", said)

    def test_5_what_it_changed_for_the_while_is_as_before(self):
        self.assertEqual(self.instance.sql("SHOW full_page_writes"), "on")
        self.assertEqual(self.instance.sql("SHOW autovacuum"), "on")
        self.assertEqual(self.options(), self.before)

    def test_6_another_number_is_refused_where_one_was_begun(self):
        with self.assertRaises(SystemExit):
            seed.seed(self.instance, TOTAL + 1)


if __name__ == "__main__":
    unittest.main()
