/* challenge_page: the page on which a payer approves a payment, or does not (3-D Secure). It is
 * made of what the worker answers; nothing on it is a script, and nothing is loaded from anywhere.
 */
#pragma once

#include "answer.h"

/* What was asked for, as it stands in the URL or in the page's own form. */
struct challenge_asked {
    struct text challenge, merchant, secret;
    bool answered; /* by the payer's answer (POST), not by looking at the page (GET) */
};

/* Fills exchange->answer with the page, or with the way on. `answer` is what the worker or the
 * gateway itself said; what it refuses is told without any detail. */
void challenge_page_write(struct http_exchange *exchange, const struct challenge_asked *asked,
                          const struct answer *answer);
