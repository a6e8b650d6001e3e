/* issuer: what the simulated issuers say to an authorization, as a pure function of the card.
 *
 * The published test cards behave as published; any other number that passes its check digit pays
 * like a plain card. */
#pragma once

#include "card.h"
#include "record.h"
#include "text.h"
#include <stdbool.h>

struct issuer_question {
    struct text number; /* digits */
    int64_t month, year;
    struct card_month now;
    bool code_given, postal_given, line1_given;
};

struct issuer_answer {
    bool approves;
    const char *code; /* row of declines.def; "" when it approves */
    const char *cvc_check, *postal_check, *line1_check;
    bool bypass_pending; /* the funds are available at once */
    enum refund_course refunds;
};

struct issuer_answer issuer_decide(const struct issuer_question *question);
