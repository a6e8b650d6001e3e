/* schema: the databases `florin` and `florin_vault`, made at the first start from the files in
 * etc/, and refused when they are of another version than this program (F102). */
#pragma once

#include "must_use.h"
#include <stdbool.h>
#include <stddef.h>

/* Raised with every change of etc/ that a database which is there does not have. */
#define SCHEMA_VERSION 2

/* True when the server takes connections. */
bool schema_reachable(const char *home);
/* False with one sentence in `error`. Every file is run in one transaction with the others of its
 * database: there is all of it or nothing. Sets the roles' passwords from HOME/secrets. */
MUST_USE bool schema_prepare(const char *home, char *error, size_t error_size);
