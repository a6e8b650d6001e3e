/* webhook_url: may this be the URL of a webhook endpoint? Looks at its letters alone; whether its
 * host may be called is for those who resolve the name (F86). */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdbool.h>

#define WEBHOOK_URL_MAX 2000

/* In order of precedence. */
enum webhook_url_verdict {
    WEBHOOK_URL_TOO_LONG,
    WEBHOOK_URL_BAD_CHARACTER, /* white space, controls, a backslash or what is not ASCII */
    WEBHOOK_URL_NOT_HTTP,      /* neither http:// nor https:// */
    WEBHOOK_URL_NOT_SECURE,    /* http:// with a live key */
    WEBHOOK_URL_HAS_USER,      /* user:password@ */
    WEBHOOK_URL_HAS_FRAGMENT,
    WEBHOOK_URL_NO_HOST,
    WEBHOOK_URL_BAD_PORT,
    WEBHOOK_URL_OK,
};

MUST_USE enum webhook_url_verdict webhook_url_check(struct text url, bool livemode);
/* A sentence for whoever sent it; NULL for OK. */
const char *webhook_url_complaint(enum webhook_url_verdict verdict);
