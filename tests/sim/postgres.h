/* postgres: libpq over the database in memory (database.h): sessions, pipelines, transactions, the
 * lock of the leader, and how all of that goes wrong: connections that end with a transaction in
 * doubt, statements that fail, answers that come late. */
#pragma once

#include "world.h"

void postgres_begin(void);
/* Its sessions end: what they had sent before is done, or is not. */
void postgres_client_gone(const struct process *p);
/* Ends a session of somebody, or of everybody, as a crash of Postgres does. */
void postgres_cut(bool all);
