/* settle: funds become available on their day.
 *
 * A balance transaction whose day has come is moved from what is pending to what is available, by a
 * command like any other: one row with its version, one posting. So it is written at most once, and
 * a worker that holds the row meets STALE and reads it again. */
#pragma once

#include "command.h"
#include "row.h"

/* The command for one row that is due. `id` is the command's, random. NULL, with the reason, when
 * the row cannot be settled (a bug, or somebody else's hand in the table). */
MUST_USE struct command *settle_command(const struct row_balance_transaction *row,
                                        const uint8_t id[static COMMAND_ID_BYTES], char *reason,
                                        size_t reason_size);
