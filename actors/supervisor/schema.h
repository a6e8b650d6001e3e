/* schema: the databases `florin` (one for each partition: `florin_2`, …) and `florin_vault`, made
 * at the first start from the files in etc/, brought up to date at a later one, and refused when a
 * newer Florin has made them (F102).
 *
 * Every file of etc/ may be run again on what an older Florin left: it adds what is missing. So
 * they are run whenever they are not the ones that were run last, which a hash tells. */
#pragma once

#include "must_use.h"
#include "settings.h"
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

/* Raised when an older program could not work with the database, or would harm it. A column of
 * rows.def that is new need not raise it: an older program is refused for that column itself. */
#define SCHEMA_VERSION 6

/* True when the server takes connections. */
bool schema_reachable(const char *home);
/* All databases with nothing in them, and the roles that a dump names. */
MUST_USE bool schema_make_empty(const char *home, const struct settings *settings, char *error,
                                size_t error_size);
/* schema_prepare will run its files again, whatever was run before. */
MUST_USE bool schema_forget_files(const char *home, const struct settings *settings, char *error,
                                  size_t error_size);
/* As the superuser; its status is to be asked. PQfinish ends it. */
PGconn *schema_connect(const char *home, const char *database);
/* The superuser's password where Postgres's programs look for it, PGPASSWORD. */
void schema_password(const char *home);
/* False with one sentence in `error`. Every file is run in one transaction with the others of its
 * database: there is all of it or nothing. Sets the roles' passwords from HOME/secrets. */
MUST_USE bool schema_prepare(const char *home, const struct settings *settings, char *error,
                             size_t error_size);
