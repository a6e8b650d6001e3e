#include "render.h"

#include "change.h"
#include "expand.h"

#include <assert.h>

/* Most objects fit into the first. What is larger than the last is no answer to be sent: a row by
 * itself is always smaller, so only what was to be expanded can come to that much. */
#define JSON_SIZE_FIRST 4096
#define JSON_SIZE_MAX ((size_t)8 << 20)

static renderer_fn *
renderer_of(enum row_table table)
{
    if (table == ROW_legacy_card) return render_legacy_card;
    switch (table) {
    case ROW_payment_intent: return render_payment_intent;
    case ROW_charge: return render_charge;
    case ROW_refund: return render_refund;
    case ROW_balance_transaction: return render_balance_transaction;
    case ROW_customer: return render_customer;
    case ROW_payment_method: return render_payment_method;
    case ROW_webhook_endpoint: return render_webhook_endpoint;
    case ROW_checkout_session: return render_checkout_session;
    case ROW_setup_intent: return render_setup_intent;
    case ROW_setup_attempt: return render_setup_attempt;
    case ROW_token: return render_token;
    case ROW_confirmation_token: return render_confirmation_token;
    default: return NULL;
    }
}

void
render_object(struct render *r, enum row_table table, const void *row, struct text expand)
{
    renderer_fn *renderer = renderer_of(table);
    assert(renderer);
    renderer(r, row, expand);
}

/* Renders into more and more room. False, with nothing in `json`, when it would be too large. */
static bool
render_into(struct render *r, size_t first, void (*put)(struct render *r, const void *what),
            const void *what, struct text *json)
{
    *json = NO_TEXT;
    for (size_t cap = first; cap <= JSON_SIZE_MAX * 4; cap *= 4) {
        r->w = call_writer(r->call, cap < JSON_SIZE_MAX ? cap : JSON_SIZE_MAX);
        r->whole = r->alone = true;
        put(r, what);
        if (r->w.full) continue;
        *json = json_writer_text(&r->w);
        arena_shrink(r->call->arena, json->at, cap < JSON_SIZE_MAX ? cap : JSON_SIZE_MAX,
                     json->size);
        return true;
    }
    return false;
}

struct single {
    enum row_table table;
    const void *row;
    struct text expand;
};

static void
put_single(struct render *r, const void *what)
{
    const struct single *single = what;
    render_object(r, single->table, single->row, single->expand);
}

/* A row that was rendered in this run, as it was then: what is told of is often what is answered,
 * and what is told next is told as a change of it. */
struct rendered {
    const struct rendered *older;
    enum row_table table;
    bool publishable, livemode;
    struct text api_version, json;
    _Alignas(max_align_t) char row[];
};

static bool
find_rendered(const struct call *call, enum row_table table, const void *row, struct text *json)
{
    for (const struct rendered *at = call->rendered; at; at = at->older) {
        if (at->table != table || at->publishable != call->publishable) continue;
        if (at->livemode != call->livemode) continue;
        if (!text_equal(at->api_version, call->api_version)) continue;
        if (memcmp(at->row, row, table_find(table)->size) != 0) continue;
        *json = at->json;
        return true;
    }
    return false;
}

/* Only what depends on nothing else: no expansion, no list, nothing that was read besides. */
static void
note_rendered(const struct render *r, enum row_table table, const void *row, struct text json)
{
    const size_t size = table_find(table)->size;
    if (!r->alone) return;
    struct rendered *const it = arena_take_unset(r->call->arena, sizeof *it + size);
    it->older = r->call->rendered;
    it->table = table;
    it->publishable = r->call->publishable;
    it->livemode = r->call->livemode;
    it->api_version = r->call->api_version;
    it->json = json;
    memcpy(it->row, row, size);
    r->call->rendered = it;
}

bool
render_row(struct call *call, enum row_table table, const void *row, struct text expand,
           const struct known *known, struct text *json)
{
    struct render r = {.call = call, .known = known};
    if (!expand.size && table != ROW_legacy_card) {
        if (find_rendered(call, table, row, json)) return true;
        if (!render_into(&r, JSON_SIZE_FIRST, put_single, &(struct single){table, row, NO_TEXT},
                         json))
            assert(!"a row by itself fits");
        note_rendered(&r, table, row, *json);
        return r.whole;
    }
    const struct single expanded = {table, row, expand}, plain = {table, row, NO_TEXT};
    if (render_into(&r, JSON_SIZE_FIRST, put_single, &expanded, json)) return r.whole;
    const bool fits = render_into(&r, JSON_SIZE_FIRST, put_single, &plain, json);
    assert(fits);
    return !fits;
}

struct several {
    enum row_table table;
    const char *array;
    size_t count;
    bool more, search;
    struct text url, expand, next;
};

static void
put_several(struct render *r, const void *what)
{
    const struct several *several = what;
    const size_t size = several->table == ROW_legacy_card
                            ? sizeof(struct row_payment_method)
                            : table_find((uint64_t)several->table)->size;
    const struct text below = render_below(r, several->expand, "data");
    json_open(&r->w);
    json_string(&r->w, "object", several->search ? "search_result" : "list");
    json_key(&r->w, "data");
    json_array(&r->w);
    for (size_t i = 0; i < several->count; i++)
        render_object(r, several->table, several->array + i * size, below);
    json_array_end(&r->w);
    json_flag(&r->w, "has_more", several->more);
    if (several->search) json_text(&r->w, "next_page", several->next);
    json_text(&r->w, "url", several->url);
    json_close(&r->w);
}

bool
render_list(struct call *call, enum row_table table, const void *array, size_t count, bool more,
            struct text url, struct text expand, struct text *json)
{
    struct render r = {.call = call};
    const struct several several = {table, array, count, more, false, url, expand, NO_TEXT};
    return render_into(&r, JSON_SIZE_FIRST * (1 + count / 2), put_several, &several, json) &&
           r.whole;
}

bool
render_search(struct call *call, enum row_table table, const void *array, size_t count,
              struct text next, struct text url, struct text expand, struct text *json)
{
    struct render r = {.call = call};
    const struct several several = {table, array, count, next.at != NULL, true, url, expand, next};
    return render_into(&r, JSON_SIZE_FIRST * (1 + count / 2), put_several, &several, json) &&
           r.whole;
}

struct text
render_below(struct render *r, struct text expand, const char *segment)
{
    if (!expand.size) return NO_TEXT;
    return expand_below(expand, segment, arena_take(r->call->arena, expand.size));
}

bool
render_get(struct render *r, enum row_table table, struct text id, void *row)
{
    r->alone = false;
    for (const struct known *k = r->known; k && k->table; k++)
        if (k->table == table && text_equal(row_id(k->row), id)) {
            memcpy(row, k->row, table_find((uint64_t)table)->size);
            return true;
        }
    const void *const staged = r->call->change ? change_find(r->call->change, table, id) : NULL;
    if (staged) {
        memcpy(row, staged, table_find((uint64_t)table)->size);
        return true;
    }
    const enum store_verdict verdict =
        store_get(r->call->store, table, r->call->merchant, id, r->call->arena, row);
    if (verdict == STORE_UNAVAILABLE) r->whole = false;
    return verdict == STORE_FOUND;
}

const void *
render_staged(struct render *r, enum row_table table, size_t *at)
{
    const struct change *const change = r->call->change;
    r->alone = false;
    while (change && *at < change->row_count) {
        const struct staged_row *const staged = &change->rows[(*at)++];
        if (staged->table == table && !staged->replaces) return staged->row;
    }
    return NULL;
}

void
render_reference(struct render *r, const char *key, enum row_table table, struct text id,
                 struct text expand)
{
    _Alignas(max_align_t) char row[ROW_SIZE_MAX];
    json_key(&r->w, key);
    if (!id.at || !table || !expand_has(expand, key) || !render_get(r, table, id, row))
        json_value_text(&r->w, id);
    else
        render_object(r, table, row, render_below(r, expand, key));
}

void
render_hash(struct render *r, const char *key, struct text json)
{
    json_raw(&r->w, key, json.at ? json : TEXT("{}"));
}

enum row_table
table_of_id(struct text id)
{
    for (size_t i = 0; i < table_count; i++)
        if (text_starts(id, tables[i]->prefix) && renderer_of((enum row_table)tables[i]->number))
            return (enum row_table)tables[i]->number;
    return ROW_NONE;
}
