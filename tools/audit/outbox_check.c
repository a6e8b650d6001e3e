#include "outbox_check.h"

#include "event_pack.h"
#include "json_reader.h"
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In binary, a row at a time: half a kilobyte for each payment there ever was. */
static const char query[] = "SELECT sequence, count::bigint, objects, packed FROM outbox";
enum { ROW_SEQUENCE, ROW_COUNT, ROW_OBJECTS, ROW_PACKED };

static int64_t
number(const PGresult *r, int column)
{
    uint64_t big;
    memcpy(&big, PQgetvalue(r, 0, column), sizeof big);
    return (int64_t)be64toh(big);
}

static struct text
value(const PGresult *r, int column)
{
    return (struct text){PQgetvalue(r, 0, column), (size_t)PQgetlength(r, 0, column)};
}

/* A balance is an object without an id. */
static bool
tells_of(struct text data, struct text object)
{
    const struct text id = json_bare(json_find(data, "id"));
    return id.at ? text_equal(id, object)
                 : text_equal(json_bare(json_find(data, "object")), object);
}

static void
check_row(const PGresult *r, struct findings *findings)
{
    const struct text packed = value(r, ROW_PACKED);
    const size_t cap = event_unpack_bound(packed);
    char *const memory = malloc(cap + 1);
    struct text objects = value(r, ROW_OBJECTS);
    for (int64_t nth = 1; nth <= number(r, ROW_COUNT); nth++) {
        const struct text object = text_take_word(&objects);
        const long long sequence = number(r, ROW_SEQUENCE) + nth - 1;
        struct text data, previous;
        if (!memory || !cap || !event_unpack(packed, (uint64_t)nth, memory, cap, &data, &previous))
            finding_add(findings, CHECK_J15, "event %lld cannot be read", sequence);
        else if (!tells_of(data, object))
            finding_add(findings, CHECK_J15, "event %lld does not tell of %.*s", sequence,
                        (int)object.size, object.at);
    }
    free(memory);
}

bool
outbox_check(PGconn *conn, struct findings *findings, char *error, size_t error_size)
{
    bool fine =
        PQsendQueryParams(conn, query, 0, NULL, NULL, NULL, NULL, 1) && PQsetSingleRowMode(conn);
    for (PGresult *r; fine && (r = PQgetResult(conn)); PQclear(r)) {
        if (PQresultStatus(r) == PGRES_SINGLE_TUPLE)
            check_row(r, findings);
        else
            fine = PQresultStatus(r) == PGRES_TUPLES_OK;
    }
    if (!fine) snprintf(error, error_size, "The outbox could not be read.");
    return fine;
}
