/* issuer: what the simulated issuers say to an authorization, as a pure function of the card; and
 * how it was weighed for fraud before any of them was asked.
 *
 * The published test cards behave as published; any other number that passes its check digit pays
 * like a plain card. */
#pragma once

#include "card.h"
#include "record.h"
#include "risk.h"
#include "text.h"
#include <stdbool.h>

struct issuer_question {
    struct text number; /* digits */
    int64_t month, year;
    struct card_month now;
    bool code_given, postal_given, line1_given;
    bool verifies;       /* is the card good? no money is asked for */
    bool absent;         /* the payer is not there */
    bool set_up;         /* the card was set up to be used while they are not */
    bool passed;         /* they were asked for this, and proved who they are */
    bool blocks_highest; /* payments of the highest risk are not let through */
    int three_d_secure;  /* 0: as the issuer wants it, 1: wanted, 2: wanted with a challenge */
};

struct issuer_answer {
    bool approves;
    bool challenges;        /* the payer is to be asked first */
    int64_t authentication; /* row of authentication.def */
    const char *code;       /* row of declines.def; "" when it approves or challenges */
    const char *cvc_check, *postal_check, *line1_check;
    enum risk_number risk;
    bool bypass_pending; /* the funds are available at once */
    enum refund_course refunds;
};

struct issuer_answer issuer_decide(const struct issuer_question *question);
