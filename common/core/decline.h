/* decline: why an issuer or the network said no, and what the API says then (declines.def). */
#pragma once

#include "text.h"

struct decline {
    const char *name;                 /* as the network answers and as rows keep it */
    const char *code, *decline_code;  /* of the API's error; NULL is absent */
    const char *network_decline_code; /* ISO 8583, as the issuer sent it */
    const char *advice_code;          /* what to do about it */
    const char *message;              /* for the payer */
};

// clang-format off
#define DECLINE(name, word, code, decline_code, network, advice, message) DECLINE_##name,
enum decline_number {
#include "declines.def"
    DECLINE_COUNT };
#undef DECLINE
// clang-format on

extern const struct decline declines[DECLINE_COUNT];

/* The row with that name. A name that is not here, or none, is a refusal without a reason: the
 * generic row. */
const struct decline *decline_named(struct text name);
