/* settle: funds become available on their day.
 *
 * A balance transaction whose day has come is moved from what is pending to what is available, by a
 * command like any other: one row with its version, one posting. So it is written at most once, and
 * a worker that holds the row meets STALE and reads it again. The last row of a merchant that is
 * due tells it: balance.available. */
#pragma once

#include "command.h"
#include "row.h"

/* What a merchant is told: what is there once the row is written. */
struct settle_news {
    struct text balances; /* "eur 100 0 usd 5 20": currency, available, pending; NO_TEXT: no news */
    struct text api_version; /* NO_TEXT: unknown, and nothing is told */
    struct text event;       /* its id */
    int64_t now_s;
};

/* The command for one row that is due. `id` is the command's, random. NULL, with the reason, when
 * the row cannot be settled (a bug, or somebody else's hand in the table). */
MUST_USE struct command *settle_command(const struct row_balance_transaction *row,
                                        const struct settle_news *news,
                                        const uint8_t id[static COMMAND_ID_BYTES], char *reason,
                                        size_t reason_size);
