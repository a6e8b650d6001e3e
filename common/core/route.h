/* route: every operation of the public API, once, in routes.def: its method and path, its
 * parameters with their types and bounds, who may call it and what it returns. The gateway's
 * dispatch and validation, the worker's dispatch, the 404 of unknown routes and the API reference
 * are made from it. */
#pragma once

#include "must_use.h"
#include "params.h"
#include "text.h"
#include <stdbool.h>
#include <stdint.h>

enum http_method { HTTP_GET, HTTP_POST, HTTP_DELETE };

/* Who may call: SECRET keys only, or PUBLISHABLE ones too (with the object's client_secret), or a
 * PAGE in a payer's browser, without a key: the object's own secret is among its parameters, and
 * what is answered is shown as a page; or the script of the CHECKOUT page, let in by the session's
 * id that is in the path. */
enum route_access { ACCESS_SECRET, ACCESS_PUBLISHABLE, ACCESS_PAGE, ACCESS_CHECKOUT };

enum param_kind {
    PARAM_STRING,    /* low..high characters */
    PARAM_INTEGER,   /* low..high */
    PARAM_BOOLEAN,   /* true or false */
    PARAM_ENUM,      /* one of `values`, a space between them */
    PARAM_TIMESTAMP, /* Unix seconds */
    PARAM_METADATA,  /* hash of strings: 50 keys of 40, values of 500 */
    PARAM_STRINGS,   /* array of strings, each low..high characters */
    PARAM_ENUMS,     /* array of `values` */
    PARAM_CURRENCY,  /* ISO 4217 that we take, any case */
    PARAM_ADDRESS,   /* hash: city country line1 line2 postal_code state */
    PARAM_RANGE,     /* a timestamp, or a hash of gt gte lt lte */
    PARAM_REFUSED,   /* known to Stripe, not here yet: a clear error that says so */
    PARAM_IGNORED,   /* taken and without effect here, checked for shape alone */
    PARAM_HASH,      /* a hash whose fields have rows of their own; CLEARS: may be empty */
    PARAM_SECRET,    /* as STRING, but no message ever shows its value: card number, CVC */
};

enum param_need { PARAM_MAY, PARAM_MUST, PARAM_CLEARS /* may be empty: unsets */ };

struct param_rule {
    enum param_kind kind;
    const char *name; /* as sent: `card[number]`; `items[][price]` is a field of each element */
    enum param_need need;
    int64_t low, high;
    const char *values, *doc;
};

struct route {
    int number; /* enum route_number */
    const char *name;
    enum http_method method;
    const char *path; /* /v1/payment_intents/{intent}/confirm */
    enum route_access access;
    const char *returns; /* schema of the answer */
    const char *doc;
    const struct param_rule *rules;
    size_t rule_count;
};

// clang-format off
#define ROUTE(name, method, path, access, returns, doc) ROUTE_##name,
#define PARAM(route, kind, name, need, low, high, values, doc)
#define ROUTE_END(name)
enum route_number {
#include "routes.def"
    ROUTE_COUNT };
#undef ROUTE
#undef PARAM
#undef ROUTE_END
// clang-format on

extern const struct route routes[ROUTE_COUNT];

/* Finds the row for a method and a path without its query. `object` is set to the id in the path,
 * still percent-encoded as sent, or NO_TEXT. NULL when there is none: 404. */
const struct route *route_find(enum http_method method, struct text path, struct text *object);
const struct route *route_named(struct text name);
/* The first id of a path that has two and fits the row, as sent; NO_TEXT when it has but one. */
struct text route_parent(const struct route *route, struct text path);

/* What is wrong with a request's parameters, in Stripe's words. */
struct param_error {
    const char *code; /* parameter_unknown, parameter_missing, … or NULL when there is none */
    int status;
    char param[129];
    char message[1024];
};

/* Checks the parameters against the row: unknown ones first, then each rule in turn. A text that
 * holds a card number is refused too: numbers belong to the vault alone. True when all is well;
 * else `error` says what the client is told. */
MUST_USE bool route_check(const struct route *route, struct params params,
                          struct param_error *error);
