#include "pipeline.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#define NUMBERS_MAX 5

void
pipeline_begin(struct pipeline *p, struct steps *steps)
{
    steps->count = steps->answered = 0;
    p->steps = steps;
}

static void
queued(struct pipeline *p, bool sent, struct step_of step)
{
    assert(p->steps->count < STEPS_MAX);
    if (!sent) p->broken = true;
    p->steps->at[p->steps->count++] = step;
}

void
pipeline_plain(struct pipeline *p, const char *statement, struct step_of step)
{
    queued(p, PQsendQueryPrepared(p->conn, statement, 0, NULL, NULL, NULL, 1), step);
}

void
pipeline_numbers(struct pipeline *p, const char *statement, const int64_t *numbers, int count,
                 struct step_of step, bool text)
{
    uint64_t big[NUMBERS_MAX];
    const char *values[NUMBERS_MAX];
    int lengths[NUMBERS_MAX], formats[NUMBERS_MAX];
    assert(count <= NUMBERS_MAX);
    for (int i = 0; i < count; i++) {
        big[i] = htobe64((uint64_t)numbers[i]);
        values[i] = (const char *)&big[i];
        lengths[i] = 8;
        formats[i] = 1;
    }
    queued(p, PQsendQueryPrepared(p->conn, statement, count, values, lengths, formats, !text),
           step);
}

void
pipeline_arrays(struct pipeline *p, const char *statement, int64_t more, struct step_of step)
{
    queued(p, arrays_send(&p->arrays, p->conn, statement, more), step);
}

void
pipeline_tell(struct pipeline *p)
{
    assert(p->steps->count > 0);
    struct step_of *const last = &p->steps->at[p->steps->count - 1];
    assert(last->step == STEP_NOTHING);
    last->step = STEP_NEARLY;
    if (!PQsendFlushRequest(p->conn)) p->broken = true;
}

void
pipeline_end(struct pipeline *p)
{
    if (!PQpipelineSync(p->conn) || PQflush(p->conn) < 0) p->broken = true;
}

int64_t
result_number(const PGresult *r, int row, int column)
{
    const char *const at = PQgetvalue(r, row, column);
    uint64_t eight;
    uint32_t four;
    uint16_t two;
    switch (PQgetlength(r, row, column)) {
    case 8: memcpy(&eight, at, 8); return (int64_t)be64toh(eight);
    case 4: memcpy(&four, at, 4); return (int32_t)be32toh(four);
    case 2: memcpy(&two, at, 2); return (int16_t)be16toh(two);
    default: return 0;
    }
}

struct text
result_text(const PGresult *r, int row, int column)
{
    if (PQgetisnull(r, row, column)) return NO_TEXT;
    return (struct text){PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column)};
}
