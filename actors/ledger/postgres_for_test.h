/* postgres_for_test: a private Postgres for the tests of one binary, with a fresh database a test.
 */
#pragma once

#include <libpq-fe.h>

/* Before and after all tests of a binary (ReportHook(PRE_ALL), ReportHook(POST_ALL)): makes a
 * cluster in a folder of its own, with our roles and schema, and takes it away again. It ends with
 * the process that started it, however that one ends. */
void postgres_start(void);
void postgres_stop(void);

/* A new database with our schema, empty; the connections below are to it. */
void postgres_fresh(void);
/* Aborts when it fails. */
PGconn *postgres_connect(const char *role);
/* One value of one row as text, "" when there is none; good until the next call. As superuser. */
const char *postgres_value(const char *sql);
