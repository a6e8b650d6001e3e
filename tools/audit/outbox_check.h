/* outbox_check: whether what every event tells can be read, and is of its object. */
#pragma once

#include "findings.h"
#include <libpq-fe.h>

/* False, with a sentence in `error`, when the outbox cannot be read. */
bool outbox_check(PGconn *conn, struct findings *findings, char *error, size_t error_size);
