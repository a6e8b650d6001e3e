/* What a worker reads (actors/payments/store_reads.c and store_events.c), from the database in
 * memory: always what is committed. */
#include "database.h"
#include "store_inside.h"
#include "world.h"

#include "attempt.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct database {
    int nothing;
};

struct database *
database_new(const char *home, int partition)
{
    (void)home, (void)partition;
    return calloc(1, sizeof(struct database));
}

void
database_destroy(struct database **database_p)
{
    free(*database_p);
    *database_p = NULL;
}

static bool
out_of_reach(void)
{
    world_touched("read");
    return strikes(world.rates.read_fails);
}

static void
copy_row(enum row_table table, const void *from, struct arena *arena, void *to)
{
    const size_t size = row_copy(table, from, NULL, NULL, 0);
    (void)row_copy(table, from, to, arena_take(arena, size), size);
}

enum store_verdict
store_get_unkept(struct store *store, enum row_table table, struct text merchant, struct text id,
                 struct arena *arena, void *row)
{
    (void)store;
    if (!table_takes_id(table_find(table), id)) return STORE_MISSING;
    if (out_of_reach()) return STORE_UNAVAILABLE;
    const void *const kept = database_row(table, merchant, id);
    if (!kept) return STORE_MISSING;
    copy_row(table, kept, arena, row);
    return STORE_FOUND;
}

/* --- lists ------------------------------------------------------------------------------------ */

static const struct column *
column_named(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->column_count; i++)
        if (strcmp(t->columns[i].name, name) == 0) return &t->columns[i];
    assert(!"a filter names a column of its table");
    return NULL;
}

static bool
is_in_page(const struct table *t, const char *row, struct text merchant,
           const struct store_page *page)
{
    const struct text id = row_id(row);
    if (!text_equal(row_merchant(row), merchant)) return false;
    if (page->after.at && text_compare(id, page->after) >= 0) return false;
    if (page->before.at && text_compare(id, page->before) <= 0) return false;
    if (page->id_least.at && text_compare(id, page->id_least) < 0) return false;
    if (page->id_below.at && text_compare(id, page->id_below) >= 0) return false;
    if (page->without && *(const bool *)(row + column_named(t, page->without)->offset))
        return false;
    for (size_t i = 0; i < page->filter_count; i++) {
        const struct column *c = column_named(t, page->filters[i].column);
        const struct text *value = (const void *)(row + c->offset);
        if (!value->at || !text_equal(*value, page->filters[i].value)) return false;
    }
    return true;
}

static int
newest_first(const void *a, const void *b)
{
    return text_compare(row_id(*(void *const *)b), row_id(*(void *const *)a));
}

enum store_verdict
store_list(struct store *store, enum row_table number, struct text merchant,
           const struct store_page *page, struct arena *arena, void **rows, size_t *count,
           bool *more)
{
    const struct table *const t = table_find(number);
    const size_t all = database_count(number), limit = (size_t)page->limit;
    const void **const found = take((all + 1) * sizeof *found);
    size_t n = 0;
    (void)store;
    if (out_of_reach()) return STORE_UNAVAILABLE;
    for (size_t i = 0; i < all; i++)
        if (is_in_page(t, database_nth(number, i), merchant, page))
            found[n++] = database_nth(number, i);
    qsort(found, n, sizeof *found, newest_first);
    const size_t first = page->before.at && n > limit ? n - limit : 0;
    *count = n < limit ? n : limit;
    *more = n > limit;
    char *const out = arena_take(arena, t->size * (*count + 1));
    for (size_t i = 0; i < *count; i++)
        copy_row(number, found[first + i], arena, out + t->size * i);
    *rows = out;
    return STORE_FOUND;
}

enum store_verdict
store_open_attempts(struct store *store, const uint8_t slots[static SLOT_BYTES],
                    struct arena *arena, struct row_attempt **attempts, size_t *count)
{
    (void)store;
    *count = 0;
    if (out_of_reach()) return STORE_UNAVAILABLE;
    *attempts = arena_take(arena, (database_count(ROW_attempt) + 1) * sizeof **attempts);
    for (size_t i = 0; i < database_count(ROW_attempt); i++) {
        const struct row_attempt *a = database_nth(ROW_attempt, i);
        if (database_is_looked_after(a) && slot_in(slots, (uint16_t)a->slot))
            copy_row(ROW_attempt, a, arena, &(*attempts)[(*count)++]);
    }
    return STORE_FOUND;
}

enum store_verdict
store_refunds_to_follow(struct store *store, const uint8_t slots[static SLOT_BYTES], int64_t now_s,
                        struct arena *arena, struct row_refund **refunds, size_t *count)
{
    (void)store;
    *count = 0;
    if (out_of_reach()) return STORE_UNAVAILABLE;
    *refunds = arena_take(arena, (database_count(ROW_refund) + 1) * sizeof **refunds);
    for (size_t i = 0; i < database_count(ROW_refund); i++) {
        const struct row_refund *r = database_nth(ROW_refund, i);
        if (r->follow_at != NO_NUMBER && r->follow_at <= now_s && slot_in(slots, (uint16_t)r->slot))
            copy_row(ROW_refund, r, arena, &(*refunds)[(*count)++]);
    }
    return STORE_FOUND;
}

/* The state's column and expires_at of whatever has them. */
enum store_verdict
store_due(struct store *store, enum row_table number, const char *state,
          const uint8_t slots[static SLOT_BYTES], int64_t now_s, struct arena *arena,
          struct due **rows, size_t *count)
{
    const struct table *const t = table_find(number);
    const size_t state_at = column_named(t, state)->offset,
                 slot_at = column_named(t, "slot")->offset;
    const size_t expires_at = column_named(t, "expires_at")->offset;
    (void)store;
    *count = 0;
    if (out_of_reach()) return STORE_UNAVAILABLE;
    *rows = arena_take(arena, (database_count(number) + 1) * sizeof **rows);
    for (size_t i = 0; i < database_count(number); i++) {
        const char *const row = database_nth(number, i);
        const struct text merchant = row_merchant(row);
        const struct row_merchant *m = database_row(ROW_merchant, merchant, merchant);
        if (text_is(*(const struct text *)(const void *)(row + state_at), "open") &&
            *(const int64_t *)(const void *)(row + expires_at) <= now_s &&
            slot_in(slots, (uint16_t) * (const int64_t *)(const void *)(row + slot_at)))
            (*rows)[(*count)++] =
                (struct due){arena_copy(arena, merchant), arena_copy(arena, row_id(row)),
                             arena_copy(arena, m->api_version)};
    }
    return STORE_FOUND;
}

enum store_verdict
store_due_holds(struct store *store, int64_t now_s, struct arena *arena,
                struct row_charge **charges, size_t *count)
{
    (void)store;
    *count = 0;
    if (out_of_reach()) return STORE_UNAVAILABLE;
    *charges = arena_take(arena, (database_count(ROW_charge) + 1) * sizeof **charges);
    for (size_t i = 0; i < database_count(ROW_charge); i++) {
        const struct row_charge *c = database_nth(ROW_charge, i);
        if (c->hold_until != NO_NUMBER && c->hold_until <= now_s)
            copy_row(ROW_charge, c, arena, &(*charges)[(*count)++]);
    }
    return STORE_FOUND;
}

enum store_verdict
store_merchant_of(struct store *store, enum row_table table, struct text id, struct arena *arena,
                  struct text *merchant)
{
    (void)store;
    if (out_of_reach()) return STORE_UNAVAILABLE;
    for (size_t i = 0; i < database_count(table); i++)
        if (text_equal(row_id(database_nth(table, i)), id)) {
            *merchant = arena_copy(arena, row_merchant(database_nth(table, i)));
            return STORE_FOUND;
        }
    return STORE_MISSING;
}

/* Not asked in these plays. */
enum store_verdict
store_count(struct store *store, enum row_table table, struct text merchant,
            const struct store_page *page, size_t max, struct arena *arena, size_t *count)
{
    (void)store, (void)table, (void)merchant, (void)page, (void)max, (void)arena, (void)count;
    return STORE_UNAVAILABLE;
}

enum store_verdict
store_search(struct store *store, enum row_table table, struct text merchant,
             const struct store_search *search, struct arena *arena, void **rows, size_t *count,
             struct text *next)
{
    (void)store, (void)table, (void)merchant, (void)search, (void)arena, (void)rows, (void)count;
    (void)next;
    return STORE_UNAVAILABLE;
}

enum store_verdict
store_key(struct store *store, struct text hash, struct arena *arena, struct row_api_key *key)
{
    (void)store, (void)hash, (void)arena, (void)key;
    return STORE_MISSING;
}

bool
store_reads(struct store *store)
{
    (void)store;
    return true;
}

enum store_verdict
store_balances(struct store *store, struct text merchant, struct arena *arena,
               struct store_balance **balances, size_t *count)
{
    (void)store, (void)merchant;
    *balances = arena_take(arena, sizeof **balances);
    *count = 0;
    return STORE_FOUND;
}

enum store_verdict
store_event(struct store *store, struct text merchant, struct text id, struct arena *arena,
            struct store_event *event)
{
    (void)store;
    if (out_of_reach()) return STORE_UNAVAILABLE;
    for (size_t i = 0; i < tables_kept.events.count; i++) {
        const struct kept_event *e = tables_kept.events.at[i];
        if (!text_equal(e->id, id) || !text_equal(e->merchant, merchant)) continue;
        *event = (struct store_event){.id = arena_copy(arena, e->id),
                                      .merchant = arena_copy(arena, e->merchant),
                                      .type = arena_copy(arena, e->type),
                                      .object = arena_copy(arena, e->object),
                                      .data = arena_copy(arena, e->data),
                                      .api_version = arena_copy(arena, e->api_version),
                                      .created = e->created,
                                      .sequence = e->sequence};
        if (e->previous.at) event->previous = arena_copy(arena, e->previous);
        if (e->request.at) event->request = arena_copy(arena, e->request);
        if (e->key.at) event->key = arena_copy(arena, e->key);
        return STORE_FOUND;
    }
    return STORE_MISSING;
}

enum store_verdict
store_events(struct store *store, struct text merchant, const struct store_event_page *page,
             struct arena *arena, struct store_event **events, size_t *count, bool *more)
{
    (void)store, (void)merchant, (void)page;
    *events = arena_take(arena, sizeof **events);
    *count = 0;
    *more = false;
    return STORE_FOUND;
}
