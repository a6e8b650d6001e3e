/* repack: what a row of the outbox tells, with other words in it.
 *
 * Reads lines from standard input: what is packed (event_pack.h), in hexadecimal digits, and then
 * `OLD NEW` for each word that is replaced by another of its length. Prints it packed anew. */
#pragma once

#include <stddef.h>

/* `count`: events in the row. */
int repack(size_t count);
