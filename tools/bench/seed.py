"""Millions of payments in the tables, within minutes.

One real payment is made, and every row that it left in any table becomes a pattern: its ids, its time,
its key and its merchant are marked, and a statement per table writes the pattern for thousands of
payments at once, with ids that begin with their time, spread over the merchants and over past days. So
what is seeded is what this Florin writes, whatever columns it has, and `florin audit` finds nothing
wrong with it, the journal of the simulated network included.

The card is one whose funds are available at once: else the ledger would begin to settle them all. Their
keys and all their rows are there; the oldest may be *bare*, without the JSON of kept answers, events and
charges' details (`{}`) and with full pages, when the disk would not take them all. What is left out is said.

A chunk is one transaction, with the heads of the numbers and the mark of how far it has come; who is
killed goes on there (`--keep`).

What events tell is packed (common/proto/event_pack.h). Of the payment that is the pattern it is packed anew,
with words in the places of the id and of the time, and where those stand in the bytes another payment's are
laid over them.
"""

import json
import os
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from instance import BIN, PAYMENT, fail, read_text, say

CHUNK = 20_000
DAYS = 90
# For what is said before anything was measured; then what was seen counts.
WHOLE_BYTES, BARE_BYTES = 10_000, 5_000
# What a seeding needs beside the rows: WAL, and what is measured afterwards.
RESERVE_BYTES = 6 << 30

# Not a payment's: the merchant's own, sums, which are kept apart, and where it was once under way.
OTHERS = {"merchant", "api_key", "balance", "webhook_endpoint", "delivery", "delivery_try", "slot", "open_attempt"}
# What is left out of payments that are bare, and what stands there instead.
BODIES = {("charge", "outcome"): "'{}'", ("charge", "payment_method_details"): "'{}'",
          ("charge", "billing_details"): "'{}'"}

FASTER = {"max_wal_size": "4GB", "full_page_writes": "off", "checkpoint_timeout": "15min",
          "autovacuum": "off"}


def slot_of(merchant):
    """FNV-1a, as in common/core/id.c."""
    number = 14695981039346656037
    for byte in merchant.encode():
        number = (number ^ byte) * 1099511628211 % 2**64
    return (number ^ number >> 32) % 1024


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


# --- the pattern ----------------------------------------------------------------------------------------


def make_one(instance):
    """A merchant with one payment and nothing else: its account and when it was made."""
    made = subprocess.run([str(BIN / "florin-load"), "merchants", "--home", str(instance.home), "--count",
                           "1"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    key = f"bench-{time.time_ns():016x}"
    pay_once(instance, made[1], key, "pm_card_bypassPending")
    return made[0], key


def pay_once(instance, secret, key, card="pm_card_visa"):
    body = PAYMENT.replace("pm_card_visa", card).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{instance.port}/v1/payment_intents", body,
                                     {"Authorization": f"Bearer {secret}", "Idempotency-Key": key})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def rows_of(instance, account):
    """[(table, {column: type}, {column: value})] of all that the payment left."""
    found = []
    for table in instance.sql(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relkind = 'r'"
            " AND c.relnamespace = 'public'::regnamespace AND a.attname = 'merchant' ORDER BY 1").split():
        if table in OTHERS:
            continue
        types = dict(line.split("|") for line in instance.sql(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attnum > 0 AND NOT"
            f" attisdropped AND attrelid = 'public.{table}'::regclass ORDER BY attnum").splitlines())
        where = f"merchant = {quoted(account)}"
        lines = instance.sql(f"SELECT row_to_json(t) FROM (SELECT * FROM {table} WHERE {where}) t")
        found += [(table, types, json.loads(line)) for line in lines.splitlines()]
    return found


def repacked(digits, count, words):
    made = subprocess.run([str(BIN / "florin-load"), "repack", "--count", str(count)],
                          input="\n".join([digits] + words) + "\n", stdout=subprocess.PIPE, text=True, check=True)
    return bytes.fromhex(made.stdout.strip())


class Pattern:
    """The rows of one payment, with marks where another's differ."""

    def __init__(self, account, key, rows):
        self.account, self.key, self.rows = account, key, rows
        only = {table: row for table, _, row in rows}
        for table in ("attempt", "payment_intent", "charge", "outbox", "idempotency", "ledger_transaction"):
            if table not in only:
                fail(f"the payment that is to be the pattern left nothing in {table}.")
        self.attempt, self.network_id = only["attempt"]["id"], only["attempt"]["network_id"]
        if sum(table == "attempt" for table, _, _ in rows) != 1:
            fail("the payment that is to be the pattern has several attempts.")
        self.now = only["payment_intent"]["created"]
        self.events = sorted(row["sequence"] + n for table, _, row in rows if table == "outbox"
                             for n in range(row["count"]))
        self.transactions = sorted(row["id"] for table, _, row in rows if table == "ledger_transaction")
        # An id is a prefix and 24 characters. The merchant's and the vault's names for cards stay.
        text = json.dumps([row for _, _, row in rows])
        self.ids = sorted(set(re.findall(r"\b[a-z]{2,8}_[0-9A-Za-z]{24}\b", text)))
        self.ids = [name for name in self.ids if not name.startswith(("acct_", "card_", "cvc_"))]
        if len(self.ids) > 99:
            fail("the payment that is to be the pattern has too many ids.")

    def suffix(self, name):
        """Two characters. The events of a commit differ in the last alone, and keep it."""
        if not name.startswith("evt_"):
            return f"{self.ids.index(name):02d}"
        commits = sorted({other[:-1] for other in self.ids if other.startswith("evt_")})
        return chr(ord("A") + commits.index(name[:-1])) + name[-1]

    def id_of(self, name):
        """Its id in another payment, as SQL: 22 characters are the payment's, two the thing's."""
        return f"({quoted(name[:-24])} || c.core || '{self.suffix(name)}')"

    def text(self, value):
        if value == self.account:
            return "c.merchant"
        if value in self.ids:
            return self.id_of(value)
        marks = {}
        for name in self.ids:
            if name in value:
                value = value.replace(name[-24:], f"@core@{self.suffix(name)}")
                marks["@core@"] = "c.core"
        for mark, old, new in [("@key@", self.key, "c.key"), ("@acct@", self.account, "c.merchant")]:
            if old in value:
                value = value.replace(old, mark)
                marks[mark] = new
        for second in range(self.now, self.now + 3):
            if str(second) in value:
                value = value.replace(str(second), "@sec@")
                marks["@sec@"] = "c.created::text"
        sql = quoted(value)
        for mark, new in marks.items():
            sql = f"replace({sql}, '{mark}', {new})"
        return sql

    def told(self, row, core, second):
        """What the events of the row tell, packed, with this in the places of id and time."""
        words = [f"{name} {name[:-24]}{core}{self.suffix(name)}" for name in self.ids]
        words += [f"{self.now + late} {second}" for late in range(3)]
        return repacked(row["packed"][2:], row["count"], words)

    def packed(self, row, whole):
        """As SQL."""
        if not whole:
            told = [f"'\\x8101d9{len(name) + 9:02x}' || convert_to('{{\"id\":\"' || {self.id_of(name)} || '\"}}', 'UTF8')"
                    for name in row["objects"].split()]
            return "'\\x00'::bytea || " + " || ".join(told)
        cores, seconds = ("Qk3ZtW7mPvT5bLs9RfYhD2", "aE8uGx4nCj6oHq1iVdNw0y"), ("1723456789", "1798071246")
        one, other = (self.told(row, core, second) for core, second in zip(cores, seconds))
        sql, laid = f"'\\x{one.hex()}'::bytea", one
        # The dictionary has the first two digits of every time.
        for old, new, column in [(cores[0], cores[1], "c.core"), (seconds[0][2:], seconds[1][2:], "right(c.created::text, 8)")]:
            for found in re.finditer(re.escape(old.encode()), one):
                sql = f"overlay({sql} PLACING convert_to({column}, 'UTF8') FROM {found.start() + 1})"
                laid = laid[:found.start()] + new.encode() + laid[found.end():]
        if repacked(laid.hex(), row["count"], []) != other:
            fail("what the payment told cannot be told of another one.")
        return sql

    def column(self, table, column, kind, value, whole):
        if value is not None and not whole and (table, column) in BODIES:
            return f"{BODIES[table, column]}::{kind}"
        return f"({self.value(table, column, value)})::{kind}"

    def value(self, table, column, value):
        if value is None:
            return "NULL"
        if (table, column) in [("outbox", "sequence"), ("idempotency", "told")]:
            return f"c.event_from + {self.events.index(value)}"
        if (table, column) == ("ledger_transaction", "id"):
            return f"c.transaction_from + {self.transactions.index(value)}"
        if column == "slot":
            return "c.slot"
        if isinstance(value, list):
            return quoted("{" + ", ".join(map(str, value)) + "}")
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int):
            return f"c.created + {value - self.now}" if self.now <= value <= self.now + 60 else str(value)
        return self.text(value)

    def statements(self, whole):
        """One for each table, and one for each line of the books, in the balances."""
        for name in dict.fromkeys(table for table, _, _ in self.rows):
            rows = []
            for table, types, row in self.rows:
                if table == name:
                    rows.append("(" + ", ".join(
                        self.packed(row, whole) if (table, column) == ("outbox", "packed")
                        else self.column(table, column, kind, row[column], whole)
                        for column, kind in types.items()) + ")")
                    columns = ", ".join(f'"{column}"' for column in types)
            yield (f"INSERT INTO {name} ({columns}) SELECT v.* FROM seed_chunk c"
                   f" CROSS JOIN LATERAL (VALUES {', '.join(rows)}) v;")
        for table, _, row in self.rows:
            if table != "ledger_transaction":
                continue
            for number, amount in zip(row["accounts"], row["amounts"]):
                whose = "c.merchant" if number < 0 else "''"
                yield (f"INSERT INTO balance (merchant, account, currency, amount) SELECT {whose},"
                       f" {abs(number)}, {quoted(row['currency'])}, count(*) * {amount}"
                       " FROM seed_chunk c GROUP BY 1"
                       " ON CONFLICT (merchant, account, currency) DO UPDATE"
                       " SET amount = balance.amount + excluded.amount;")


# --- writing --------------------------------------------------------------------------------------------


class Session:
    """psql as a coprocess: statements in, lines out up to a mark."""

    def __init__(self, instance):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", "-"],
                                        env=instance.sql_environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True)

    def run(self, *statements):
        self.process.stdin.write("\n".join(statements) + "\n\\echo @done@\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line == "@done@\n":
                return lines
            lines.append(line)
        self.errors.seek(0)
        fail(f"psql: {self.errors.read().strip()[-400:]}")

    def end(self):
        """What was not committed is undone."""
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=60)
        self.errors.close()


class Network:
    """The journal of the simulated network, written beside."""

    def __init__(self, instance, like):
        self.process = subprocess.Popen([str(BIN / "florin-load"), "network", "--home", str(instance.home),
                                         "--like", like], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def write(self, lines):
        self.process.stdin.writelines(lines)
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "written\n":
            fail("the network's journal could not be written.")

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=60)


def digits_of(expression):
    """Eight digits of base 62, as ids begin with."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return " || ".join(f"substr('{digits}', ({expression} / {62**power} % 62)::int + 1, 1)"
                       for power in range(7, -1, -1))


def size_on_disk(instance):
    journal = instance.home / "network/data.mdb"
    return int(instance.sql("SELECT pg_database_size('florin')")) + journal.stat().st_blocks * 512


def free_bytes(instance):
    """Of whichever is less: where Postgres is, and where the journal is."""
    found = []
    for path in (instance.home, (instance.home / "postgres").resolve()):
        status = os.statvfs(path)
        found.append(status.f_bavail * status.f_frsize)
    return min(found)


class Tables:
    """How full their pages become. What is bare is packed; what is whole lies as if it had come by
    payments, where room is kept for a row's later versions. That of kept answers is for short claims,
    which the answers replace: an answer that comes at once would have a page for itself."""

    def __init__(self, instance, names):
        self.instance = instance
        self.options = {name: instance.sql("SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid ="
                                           f" 'public.{name}'::regclass") for name in names}

    def pack(self):
        for name in self.options:
            self.instance.sql(f"ALTER TABLE {name} SET (fillfactor = 100)")

    def put_back(self, answers=None):
        for name, options in self.options.items():
            if name == "idempotency" and answers:
                options = f"fillfactor = {answers}"
            self.instance.sql(f"ALTER TABLE {name} RESET (fillfactor)" +
                              (f", SET ({options})" if options else ""))


def plan_of(instance, total):
    """What was begun here before, or a new beginning."""
    instance.sql("CREATE SCHEMA IF NOT EXISTS bench;"
                 "CREATE TABLE IF NOT EXISTS bench.seed (total bigint, done bigint, bare bigint,"
                 " first_s bigint, span_s bigint, account text, key text)")
    found = instance.sql("SELECT total, done, bare, first_s, span_s, account, key FROM bench.seed")
    if not found:
        account, key = make_one(instance)
        span_s = DAYS * 86400
        first_s = int(time.time()) - 3600 - span_s
        found = f"{total}|0|0|{first_s}|{span_s}|{account}|{key}"
        instance.sql(f"INSERT INTO bench.seed VALUES ({total}, 0, 0, {first_s}, {span_s}, {quoted(account)},"
                     f" {quoted(key)})")
    words = found.split("|")
    plan = dict(zip(["total", "done", "bare", "first_s", "span_s"], map(int, words[:5])))
    if plan["total"] != total:
        fail(f"{plan['total']} payments were begun to be seeded here: name that number, or another folder.")
    return plan, words[5], words[6]


def chunk_statements(plan, first, count, pattern, heads, whole):
    n = f"generate_series({first}::bigint, {first + count - 1}::bigint)"
    ms = f"(({plan['first_s']} + n * {plan['span_s']} / {plan['total']}) * 1000 + n % 1000)"
    yield "TRUNCATE seed_chunk;"
    yield (f"INSERT INTO seed_chunk SELECT n, m.id, m.slot, {ms} / 1000, {ms}, {digits_of(ms)}"
           " || substr(hash, 1, 14), 'bench-' || substr(hash, 15, 16),"
           f" {heads['event']} + 1 + (n - {first}) * {len(pattern.events)},"
           f" {heads['transaction']} + 1 + (n - {first}) * {len(pattern.transactions)}"
           f" FROM (SELECT n, md5('{plan['first_s']} ' || n) AS hash FROM {n} n) named"
           " JOIN seed_merchant m ON m.number = n % (SELECT count(*) FROM seed_merchant) ORDER BY n;")
    yield from pattern.statements(whole)
    # Whoever leads must look again how far the numbers are: its epoch is over.
    yield ("UPDATE ledger_leader SET epoch = epoch + 1,"
           f" event_head = event_head + {count * len(pattern.events)},"
           f" transaction_head = transaction_head + {count * len(pattern.transactions)};")
    # No endpoint wants them; the webhooks need not walk over them, unless they are behind anyway.
    yield (f"UPDATE dispatch SET sequence = sequence + {count * len(pattern.events)}"
           f" WHERE sequence = {heads['event']};")
    yield f"UPDATE bench.seed SET done = {first + count}, bare = bare + {0 if whole else count};"
    yield (f"COPY (SELECT {pattern.id_of(pattern.attempt)} || ' ' || c.merchant || ' ' ||"
           f" {pattern.id_of(pattern.network_id)} || ' ' || c.ms FROM seed_chunk c ORDER BY n) TO STDOUT;")


def lead_again(instance):
    """The leader's session ends, and whoever takes the lead reads the heads anew."""
    instance.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ledger'")
    secret = read_text(instance.keys).split()[1]
    end = time.monotonic() + 60
    while True:
        try:
            return pay_once(instance, secret, f"bench-again-{time.time_ns()}")
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > end:
                fail(f"no payment can be made after the seeding: {error}.")
            time.sleep(0.1)


def wait_for_dispatch(instance):
    end = time.monotonic() + 60
    while instance.sql("SELECT d.sequence = l.event_head FROM dispatch d, ledger_leader l") != "t":
        if time.monotonic() > end:
            fail("the webhooks do not come to the last event.")
        time.sleep(0.1)


def in_gb(size):
    return f"{size / 1e9:.1f} GB"


def seed(instance, total):
    """Puts them there; what was done and how, for the report."""
    plan, account, key = plan_of(instance, total)
    wait_for_dispatch(instance)
    pattern = Pattern(account, key, rows_of(instance, account))
    left, free = total - plan["done"], free_bytes(instance)
    say(f"{left:,} payments of {len(pattern.rows)} rows take about {in_gb(left * WHOLE_BYTES)}, without the "
        f"JSON of answers, events and charges {in_gb(left * BARE_BYTES)}; {in_gb(free)} are free, "
        f"{in_gb(RESERVE_BYTES)} of them for WAL and measuring")
    if left * BARE_BYTES + RESERVE_BYTES > free:
        fail(f"the disk takes about {max(0, int((free - RESERVE_BYTES) / BARE_BYTES)):,} payments, "
             f"not {left:,} more.")
    session = Session(instance)
    network = Network(instance, pattern.attempt)
    began = time.monotonic()
    for name, value in FASTER.items():
        instance.sql(f"ALTER SYSTEM SET {name} = '{value}'")
    instance.sql("SELECT pg_reload_conf()")
    tables = Tables(instance, dict.fromkeys(table for table, _, _ in pattern.rows))
    try:
        write_all(instance, session, network, plan, pattern, tables, began)
    finally:
        session.end()
        network.end()
        tables.put_back()
        for name in FASTER:
            instance.sql(f"ALTER SYSTEM RESET {name}")
        instance.sql("SELECT pg_reload_conf()")
    for table in sorted({table for table, _, _ in pattern.rows} | {"balance"}):
        say(f"VACUUM of {table}")
        instance.sql(f"VACUUM (ANALYZE, INDEX_CLEANUP off) {table}")
    lead_again(instance)
    return {"payments": total, "bare": plan["bare"], "days": plan["span_s"] // 86400,
            "seconds": round(time.monotonic() - began), "bytes": size_on_disk(instance),
            "rows_each": len(pattern.rows)}


def write_all(instance, session, network, plan, pattern, tables, began):
    accounts = [line.split()[0] for line in read_text(instance.keys).splitlines()]
    session.run("SET synchronous_commit = off;", "SET work_mem = '64MB';",
                "CREATE TEMP TABLE seed_merchant (number bigint PRIMARY KEY, id text COLLATE \"C\","
                " slot integer);",
                "CREATE TEMP TABLE seed_chunk (n bigint, merchant text COLLATE \"C\", slot integer,"
                " created bigint, ms bigint, core text COLLATE \"C\", key text COLLATE \"C\","
                " event_from bigint, transaction_from bigint);",
                "INSERT INTO seed_merchant VALUES " + ", ".join(
                    f"({number}, {quoted(name)}, {slot_of(name)})" for number, name in enumerate(accounts))
                + ";", "ANALYZE seed_merchant;")
    each = {True: WHOLE_BYTES, False: BARE_BYTES}
    total, told, whole, size, first = plan["total"], 0, None, size_on_disk(instance), plan["done"]
    seen = {True: 0, False: 0}
    while plan["done"] < total:
        left, free = total - plan["done"], free_bytes(instance) - RESERVE_BYTES
        if left * each[False] > free:
            fail(f"the disk is too full for the {left:,} that are left; {plan['done']:,} are there, and whole.")
        now_whole = left * each[True] * 1.05 <= free
        if now_whole != whole:
            say(("whole" if now_whole else "without the JSON of answers, events and charges") +
                f" from number {plan['done']:,} on")
            whole = now_whole
            tables.put_back(answers=85) if whole else tables.pack()
        count = min(CHUNK, left)
        # Whoever leads waits for this row, too: what it has to write meanwhile comes afterwards.
        heads = dict(zip(["event", "transaction"], map(int, session.run(
            "BEGIN;", "SELECT event_head, transaction_head FROM ledger_leader FOR UPDATE;")[0].split("|"))))
        network.write(session.run(*chunk_statements(plan, plan["done"], count, pattern, heads, whole)))
        session.run("COMMIT;")
        plan["done"] += count
        plan["bare"] += 0 if whole else count
        if count == CHUNK:
            grown = size_on_disk(instance)
            seen[whole] += 1
            # The mean of all chunks: files grow in steps.
            each[whole] += ((grown - size) / count - each[whole]) / seen[whole]
            size = grown
        if time.monotonic() - told > 10 or plan["done"] == total:
            told = time.monotonic()
            rate = (plan["done"] - first) / (told - began)
            say(f"{plan['done']:,} of {total:,} payments are in the tables, {rate:,.0f}/s, "
                f"{(total - plan['done']) / rate / 60:.0f} min to go, {in_gb(size)}")


# --- what it does to the cost -----------------------------------------------------------------------------


def cost(instance, pay, connections, seconds, times=2):
    """CPU µs of a payment, by process: the mean of several loads."""
    runs = []
    for _ in range(times):
        instance.settle()
        runs.append(pay(instance, connections=connections, seconds=seconds, warmup=3))
    names = sorted({name for run in runs for name in run["cpu_us"]})
    return {"total": round(sum(run["cpu_us_total"] for run in runs) / times, 1),
            "by_process": {name: round(sum(run["cpu_us"].get(name, 0) for run in runs) / times, 1)
                           for name in names},
            "per_second": round(sum(run["per_second"] for run in runs) / times, 1),
            "wal_bytes": round(sum(run["wal_bytes"] for run in runs) / times)}
