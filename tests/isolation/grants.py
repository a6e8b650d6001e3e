"""Every role of Postgres on every table with every verb: what works must be what grants.txt says.

    grants.py HOME ROWS.DEF GRANTS.TXT

Each verb is tried, not read from the catalogue: as that role, with its own password, in a transaction
that is rolled back. Prints a line for each cell that is wrong, then the counts; exit code 1 when there
was one.
"""

import os
import re
import subprocess
import sys

home, rows_def, grants_txt = sys.argv[1:]
VERBS = {
    "select": "SELECT FROM public.%1$I LIMIT 1",
    "insert": "INSERT INTO public.%1$I DEFAULT VALUES",
    "update": "UPDATE public.%1$I SET %2$I = NULL WHERE false",
    "delete": "DELETE FROM public.%1$I WHERE false",
    "truncate": "TRUNCATE public.%1$I",
    "lock": "LOCK TABLE public.%1$I IN ACCESS EXCLUSIVE MODE NOWAIT",
    "alter": "ALTER TABLE public.%1$I ADD COLUMN canary integer",
    "trigger": "CREATE TRIGGER canary BEFORE INSERT ON public.%1$I EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "rule": "CREATE RULE canary AS ON INSERT TO public.%1$I DO INSTEAD NOTHING",
    "index": "CREATE INDEX canary ON public.%1$I (%2$I)",
    "owner": "ALTER TABLE public.%1$I OWNER TO CURRENT_USER",
    # Without the right to it a grant is a warning, and grants nothing.
    "grant": "DO $g$ BEGIN GRANT SELECT ON public.%1$I TO PUBLIC; IF NOT EXISTS (SELECT FROM pg_class,"
             " aclexplode(relacl) a WHERE relname = %1$L AND a.grantee = 0) THEN"
             " RAISE insufficient_privilege; END IF; END $g$",
    "drop": "DROP TABLE public.%1$I",
}
# What would give a role more than its tables.
STATEMENTS = {
    "make a table": "CREATE TABLE public.canary ()",
    "make a temporary table": "CREATE TEMPORARY TABLE canary ()",
    "make a schema": "CREATE SCHEMA canary",
    "make a function": "CREATE FUNCTION public.canary() RETURNS void LANGUAGE sql AS 'SELECT'",
    "make a role": "CREATE ROLE canary",
    "make a database": "CREATE DATABASE canary",
    "become the owner": "SET ROLE florin_owner",
    "become the superuser": "SET ROLE florin_admin",
    "turn triggers off": "SET session_replication_role = replica",
    "run a program": "COPY (SELECT) TO PROGRAM 'true'",
    "read a file": "COPY pg_temp.canary FROM '/etc/passwd'",
    "list files": "SELECT pg_ls_dir('.')",
    "read the passwords": "SELECT rolpassword FROM pg_authid LIMIT 1",
    "change the settings": "ALTER SYSTEM SET fsync = off",
    "end others": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'florin_admin' LIMIT 1",
    "switch the log": "SELECT pg_rotate_logfile()",
    "read the version": "SELECT * FROM florin_meta.schema_version",
    "change the version": "UPDATE florin_meta.schema_version SET version = 0",
}
ROLES = ["ledger", "payments", "webhooks", "auditor", "vault"]
DATABASES = ["florin", "florin_vault", "postgres", "template1"]
socket = os.path.dirname(os.path.realpath(f"{home}/run/.s.PGSQL.5432"))
wrong = []


def psql(role, database, script):
    with open(f"{home}/secrets/postgres_{role}") as file:
        password = file.read().strip()
    return subprocess.run(
        ["psql", "-X", "-q", "-At", "-h", socket, "-U", role, "-d", database, "-f", "-"],
        input=script, env={**os.environ, "PGPASSWORD": password}, text=True, capture_output=True)


def literal(text):
    return "'" + text.replace("'", "''") + "'"


def tried(role, database, tables):
    """{(table or '', verb or what): True when it was allowed}"""
    body = []
    for table, column in tables:
        for verb, sql in VERBS.items():
            body.append((table, verb, f"format({literal(sql)}, {literal(table)}, {literal(column)})"))
    for what, sql in STATEMENTS.items():
        if what in ("make a database", "change the settings"):
            continue  # not in a transaction: below
        body.append(("", what, literal(sql)))
    steps = "\n".join(
        f"BEGIN EXECUTE {sql}; RAISE EXCEPTION USING ERRCODE = 'FLYES';"
        f" EXCEPTION WHEN insufficient_privilege THEN RAISE NOTICE 'no|{table}|{verb}';"
        # to a view, which nobody writes through
        f" WHEN wrong_object_type OR object_not_in_prerequisite_state THEN RAISE NOTICE 'no|{table}|{verb}';"
        f" WHEN undefined_table THEN RAISE NOTICE 'gone|{table}|{verb}';"
        f" WHEN OTHERS THEN RAISE NOTICE 'yes|{table}|{verb}|%', SQLERRM; END;"
        for table, verb, sql in body)
    answer = psql(role, database,
                  "BEGIN READ WRITE;\nSET LOCAL lock_timeout = '10s';\nSET LOCAL statement_timeout = '60s';\n"
                  f"DO $try$ BEGIN\n{steps}\nEND $try$;\nROLLBACK;\n")
    found = {}
    for line in answer.stderr.splitlines():
        match = re.search(r"NOTICE:  (yes|no|gone)\|([^|]*)\|([^|]*)", line)
        if match:
            found[match.group(2), match.group(3)] = match.group(1) == "yes"
    if len(found) != len(body):
        sys.exit(f"{role} in {database}: {len(found)} of {len(body)} were tried: {answer.stderr[-2000:]}")
    for what in ("make a database", "change the settings"):
        answer = psql(role, database, STATEMENTS[what] + ";")
        found["", what] = "ERROR" not in answer.stderr
    return found


def tables_of(database):
    answer = psql("florin_admin", database,
                  "SELECT c.relname, min(a.attname) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
                  " AND a.attnum > 0 AND NOT attisdropped WHERE relkind IN ('r', 'v')"
                  " AND relnamespace = 'public'::regnamespace GROUP BY 1 ORDER BY 1;")
    return [tuple(line.split("|")) for line in answer.stdout.split()]


rows = re.findall(r"^TABLE\((\w+),", open(rows_def).read(), re.M)
allowed, databases_of = set(), {role: set() for role in ROLES}
for line in open(grants_txt):
    words = line.split("#")[0].split()
    if not words:
        continue
    database, role = words[:2]
    databases_of[role].add(database)
    verbs = [word for word in words[2:] if word.lstrip("!") in VERBS]
    for table in words[2:len(words) - len(verbs)]:
        for name in rows if table == "@rows" else [table]:
            allowed |= {(database, role, name, verb) for verb in verbs if verb[0] != "!"}
            allowed -= {(database, role, name, verb[1:]) for verb in verbs if verb[0] == "!"}

counts = {"cells": 0, "work": 0, "doors": 0}
for role in ROLES:
    for database in DATABASES:
        counts["doors"] += 1
        entered = psql(role, database, "SELECT 1;").stdout.strip() == "1"
        if entered != (database in databases_of[role]):
            wrong.append(f"{role} {'gets' if entered else 'does not get'} into the database {database}")
        if not entered:
            continue
        tables = tables_of(database)
        for (table, verb), works in tried(role, database, tables).items():
            counts["cells"] += 1
            counts["work"] += works
            # who may write may lock: it is the same right
            wanted = (database, role, table, verb) in allowed or (
                verb == "lock" and (database, role, table, "update") in allowed)
            if works != wanted:
                wrong.append(f"{role} {'may' if works else 'may not'} {verb} {table} in {database}")
for line in wrong:
    print("WRONG  ", line)
print(f"{counts['doors']} doors; {counts['cells']} cells, of which {counts['work']} work; {len(wrong)} are wrong")
sys.exit(bool(wrong))
