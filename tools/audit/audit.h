/* audit: does everything hold that must? (RELIABILITY, d)
 *
 * Reads the database of each partition as role auditor, in one snapshot, and the card network's own
 * journal; prints a line per invariant and says what is wrong where. It changes nothing and trusts
 * nobody's memory: the rows and the journal are all it looks at.
 *
 * Some of them hold only when nothing is under way (no attempt open, no key without its answer). So
 * it may wait: it looks again until everything holds or the time is over. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* 0: all of it holds. 1: something does not. 2: it could not be found out, `out` says why. */
int audit_run(const char *home, bool json, int64_t wait_ms, FILE *out);
