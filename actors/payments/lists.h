/* lists: pages of rows, newest first, as every list of the API gives them. */
#pragma once

#include "call.h"
#include "must_use.h"

#define LIST_LIMIT_MAX 100
#define LIST_LIMIT_USUAL 10

/* What limit, starting_after, ending_before and created ask of rows whose ids begin with `prefix`.
 */
struct list_asked {
    int limit; /* 1..100, whatever was asked */
    struct text after, before, id_least, id_below;
};
/* False when both cursors were given: the call has been answered. */
MUST_USE bool list_asked(struct call *call, const char *prefix, struct list_asked *asked);

/* The page that the parameters ask of a table. False when the call has been answered: a cursor is
 * the id of nothing, or both were given. */
MUST_USE bool list_page(struct call *call, enum row_table table, struct store_page *page);
/* Only rows with that value; NO_TEXT: any. */
void list_filter(struct store_page *page, const char *column, struct text value);
/* Reads the page and answers with it. */
void list_answer(struct call *call, enum row_table table, const struct store_page *page);
/* The path of the call's route with its object in it. */
struct text list_url(struct call *call);
