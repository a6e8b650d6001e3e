/* findings: what was found to be wrong, counted per invariant, with the first few named. */
#pragma once

#include "text.h"
#include <stdbool.h>
#include <stdint.h>

/* Every invariant that is checked. Those of checks.def by SQL, the network's in network_check.c, what
 * events tell in outbox_check.c.
 *
 * I17 and I18 compare what a client was told and are the load generator's to check; I26 (the audit
 * chain) is not there yet. */
#define OTHER_CHECKS(X)                                                         \
    X(I14, "the network did what we booked, with the same amount and currency") \
    X(I15, "the network did no operation twice")                                \
    X(I16, "the network knows of no operation that we do not")                  \
    X(J15, "what every event tells can be read, and is of its object")

enum check {
#define CHECK(id, title, sql) CHECK_##id,
#include "checks.def"
#undef CHECK
    SQL_CHECK_COUNT,
    CHECK_OTHER_FIRST = SQL_CHECK_COUNT - 1,
#define AS_ENUM(id, title) CHECK_##id,
    OTHER_CHECKS(AS_ENUM)
#undef AS_ENUM
        CHECK_COUNT
};

#define FINDINGS_NAMED 3
#define FINDING_MAX 200

struct finding {
    int64_t count;
    char named[FINDINGS_NAMED][FINDING_MAX];
};

struct findings {
    struct finding of[CHECK_COUNT];
};

void finding_add(struct findings *findings, enum check check, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
