/* pages: what browsers are given that is not the API's: the checkout page with its style and
 * script, and florin.js for merchants' own pages. All of it is part of the program, served from
 * memory. */
#pragma once

#include "http.h"
#include "must_use.h"
#include <stdbool.h>

/* When the path is one of pages.def, answers it and returns true. */
MUST_USE bool pages_serve(struct http_exchange *exchange);
