/* return_url: where a payer's browser is sent when they have answered for a payment. It is the
 * merchant's, and becomes a header and a link of ours: so nothing in it may end a header, and no
 * scheme may run anything. Apps have schemes of their own; those are taken too. */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdbool.h>

/* Printable ASCII, a scheme that leads to another page or app, and something behind it. */
MUST_USE bool return_url_is_good(struct text url);
/* The URL with `query` (name=value&…, escaped already) among its parameters: before a fragment,
 * behind what is there. `out` holds url.size + query.size + 1 bytes. */
struct text return_url_with(struct text url, struct text query, char *out);
/* What a content security policy names to let a form lead there: `https://shop.example:8443`, or
 * `shop:` for an app. NO_TEXT when it is not good. Borrows from the URL. */
struct text return_url_origin(struct text url);
