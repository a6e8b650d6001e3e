/* recorder: what was said to the database and what it answered, in a file, so that the same can be
 * said to Postgres (replay.c). A line each, words and hexadecimal. */
#pragma once

#include "database.h"
#include <stdio.h>

void record_to(FILE *file); /* NULL: no more */
bool recording(void);
void record_prepare(int session, const char *role, const char *name, const char *sql);
void record_plain(int session, const char *role, const char *sql);
void record_statement(int session, const char *role, const char *name,
                      const struct parameter *parameters, int count, bool binary,
                      const struct answer_rows *answer);
void record_end(int session);
/* At the beginning: the rows that are there. */
void record_rows(void);
/* At the end: every row of every table. */
void record_tables(void);
