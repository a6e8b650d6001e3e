/* What is not in rows.def: balances, which the ledger reckons, and events, which are the outbox. */
#include "change.h"
#include "event_pack.h"
#include "pg.h"
#include "store_inside.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* --- balances -------------------------------------------------------------------------------- */

#define ACCOUNT(NAME, number, name, owner, kind, doc) ACCOUNT_##NAME = (number),
enum account_number {
#include "accounts.def"
};
#undef ACCOUNT

enum store_verdict
store_balances(struct store *store, struct text merchant, struct arena *arena,
               struct store_balance **balances, size_t *count)
{
    struct question *const q = question_new(arena);
    /* What we owe is a credit, below zero in the books and above it here. */
    say(q,
        "SELECT currency, coalesce(-sum(amount) FILTER (WHERE account = %d), 0)::bigint,"
        " coalesce(-sum(amount) FILTER (WHERE account = %d), 0)::bigint FROM balance"
        " WHERE merchant = $1 AND account IN (%d, %d) GROUP BY currency ORDER BY currency",
        ACCOUNT_MERCHANT_PENDING, ACCOUNT_MERCHANT_AVAILABLE, ACCOUNT_MERCHANT_PENDING,
        ACCOUNT_MERCHANT_AVAILABLE);
    with(q, merchant);
    PGresult *const result = ask(store->database, q);
    if (!result) return STORE_UNAVAILABLE;
    const int found = PQntuples(result);
    *balances = arena_take(arena, sizeof **balances * (size_t)(found ? found : 1));
    *count = (size_t)found;
    for (int i = 0; i < found; i++)
        (*balances)[i] = (struct store_balance){
            arena_copy(arena, text_of(PQgetvalue(result, i, 0))),
            number_at(result, i, 1),
            number_at(result, i, 2),
        };
    PQclear(result);
    return STORE_FOUND;
}

/* --- events ---------------------------------------------------------------------------------- */

/* Once the dispatcher's cursor is past an event, its deliveries tell; before, the endpoints that
 * will hear of it do. */
#define EVENT_COLUMNS                                                                            \
    "e.id, e.merchant, e.type, e.object, e.api_version, e.request, e.key, e.packed, e.nth,"      \
    " e.created, e.sequence,"                                                                    \
    " CASE WHEN e.sequence <= (SELECT coalesce(max(sequence), 0) FROM dispatch)"                 \
    " THEN (SELECT count(*) FROM delivery d WHERE d.sequence = e.sequence"                       \
    " AND d.state <> 'delivered')"                                                               \
    " ELSE (SELECT count(*) FROM webhook_endpoint w WHERE w.merchant = e.merchant"               \
    " AND NOT w.deleted AND w.status = 'enabled' AND (position('\"*\"' IN w.enabled_events) > 0" \
    " OR position('\"' || e.type || '\"' IN w.enabled_events) > 0)) END AS pending"

static struct text
text_at(struct arena *arena, const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column)) return NO_TEXT;
    return arena_copy(arena, (struct text){PQgetvalue(result, row, column),
                                           (size_t)PQgetlength(result, row, column)});
}

/* False when what it tells cannot be read. */
static bool
event_at(struct arena *arena, const PGresult *result, int row, struct store_event *event)
{
    struct text *const texts[] = {&event->id,     &event->merchant,    &event->type,
                                  &event->object, &event->api_version, &event->request,
                                  &event->key};
    int column = 0;
    for (; column < (int)(sizeof texts / sizeof texts[0]); column++)
        *texts[column] = text_at(arena, result, row, column);
    const struct text packed = pg_bytes(result, row, column++, arena);
    const uint64_t nth = (uint64_t)number_at(result, row, column++);
    const size_t cap = event_unpack_bound(packed);
    if (!cap || !event_unpack(packed, nth, arena_take_unset(arena, cap), cap, &event->data,
                              &event->previous))
        return false;
    event->created = number_at(result, row, column++);
    event->sequence = number_at(result, row, column++);
    event->pending_webhooks = number_at(result, row, column++);
    return true;
}

enum store_verdict
store_event(struct store *store, struct text merchant, struct text id, struct arena *arena,
            struct store_event *event)
{
    if (!id_is(id, "evt_")) return STORE_MISSING;
    struct question *const q = question_new(arena);
    say(q, "SELECT " EVENT_COLUMNS " FROM event_named($%d, $%d) e", with(q, merchant), with(q, id));
    PGresult *const result = ask(store->database, q);
    if (!result) return STORE_UNAVAILABLE;
    const bool found = PQntuples(result) == 1;
    const bool good = !found || event_at(arena, result, 0, event);
    PQclear(result);
    if (!good) return STORE_UNAVAILABLE;
    return found ? STORE_FOUND : STORE_MISSING;
}

/* They have no index of types, and need none. */
#define EVENT(type) type,
static const char *const common_types[] = {
#include "common_event.def"
};
#undef EVENT

/* `payment_intent.*`: a star at the end stands for anything. */
static bool
is_family(struct text type)
{
    return type.size && type.at[type.size - 1] == '*';
}

static bool
may_be_common(struct text type)
{
    for (size_t i = 0; i < sizeof common_types / sizeof common_types[0]; i++) {
        const size_t size = is_family(type) ? type.size - 1 : strlen(common_types[i]);
        if ((is_family(type) || type.size == size) && strncmp(common_types[i], type.at, size) == 0)
            return true;
    }
    return false;
}

static bool
are_rare(const struct store_event_page *page)
{
    bool common = page->type_count == 0;
    for (size_t i = 0; i < page->type_count; i++)
        common |= may_be_common(page->types[i]);
    return !common;
}

/* Any of the types asked for. A family is a range: no byte of a type is above 0x7F. What is not
 * common has a row of its own, whose types are its type. */
static void
say_types(struct question *q, const struct store_event_page *page)
{
    const char *const column = are_rare(page) ? "e.types" : "e.type";
    for (size_t i = 0; i < page->type_count; i++) {
        const struct text type = page->types[i];
        say(q, i ? " OR " : " AND (");
        if (!is_family(type)) {
            say(q, "%s = $%d", column, with(q, type));
            continue;
        }
        const struct text first = {type.at, type.size - 1};
        say(q, "%s >= $%d", column, with(q, first));
        say(q, " AND %s < $%d", column,
            with(q, arena_format(q->arena, "%.*s\x7f", (int)first.size, first.at)));
    }
    say(q, ")");
    if (!are_rare(page)) return;
#define EVENT(type) ", '" type "'"
    static const char words[] =
#include "common_event.def"
        ;
#undef EVENT
    say(q, " AND e.count = 1 AND e.types NOT IN (%s)", words + 2);
}

/* Those that something of has not been delivered: few among many, so they are looked for from the
 * other side, and each event by itself (OFFSET 0: in this order, whatever the tables hold when the
 * plan is made). */
static void
say_undone(struct question *q, const struct store_event_page *page, int merchant)
{
    say(q,
        " FROM (SELECT d.sequence FROM delivery d WHERE d.merchant = $%d"
        " AND d.state <> 'delivered'",
        merchant);
    if (page->id_least.at) say(q, " AND d.event >= $%d", with(q, page->id_least));
    say(q,
        " UNION SELECT n.sequence FROM event n WHERE n.merchant = $%d"
        " AND n.first > (SELECT coalesce(max(sequence), 0) FROM dispatch) - %d"
        " AND n.sequence > (SELECT coalesce(max(sequence), 0) FROM dispatch)) AS undone"
        " CROSS JOIN LATERAL event_at(undone.sequence) AS e WHERE e.merchant = $%d",
        merchant, CHANGE_EVENTS_MAX, merchant);
}

/* All of a merchant's, along the rows of the outbox. */
static void
say_walk(struct question *q, const struct store_event_page *page, int merchant)
{
    say(q, " FROM event e WHERE e.merchant = $%d", merchant);
    if (page->after.at) say(q, " AND e.first_id < $%d", with(q, page->after));
    if (page->before.at) say(q, " AND e.first_id >= left($%d, -1) || '0'", with(q, page->before));
    if (page->id_least.at) say(q, " AND e.first_id >= $%d", with(q, page->id_least));
    if (page->id_below.at) say(q, " AND e.first_id < $%d", with(q, page->id_below));
}

enum store_verdict
store_events(struct store *store, struct text merchant, const struct store_event_page *page,
             struct arena *arena, struct store_event **events, size_t *count, bool *more)
{
    assert(page->limit >= 1 && page->limit <= 100);
    assert(page->type_count <= sizeof page->types / sizeof page->types[0]);
    static const char *const delivered[] = {" AND pending > 0", " AND pending = 0"};

    struct question *const q = question_new(arena);
    const int owner = with(q, merchant);
    const bool walks = page->delivery_success != 0 && !are_rare(page);
    say(q, "SELECT * FROM (SELECT " EVENT_COLUMNS ", %s AS first", walks ? "e.first_id" : "NULL");
    if (walks)
        say_walk(q, page, owner);
    else if (page->delivery_success == 0)
        say_undone(q, page, owner);
    else
        say(q, " FROM event e WHERE e.merchant = $%d", owner);
    if (page->type_count) say_types(q, page);
    say(q, ") AS seen WHERE true");
    if (page->delivery_success >= 0) say(q, "%s", delivered[page->delivery_success != 0]);
    say_range(q, walks ? "first" : NULL, page->after, page->before, page->id_least, page->id_below,
              page->limit);

    /* Lists of types have too many shapes to be prepared. */
    PGresult *const result =
        page->type_count > 1 ? ask_unprepared(store->database, q) : ask(store->database, q);
    if (!result) return STORE_UNAVAILABLE;
    const int found = PQntuples(result);
    const int given = found < page->limit ? found : page->limit;
    *events = arena_take(arena, sizeof **events * (size_t)(given ? given : 1));
    bool good = true;
    for (int i = 0; good && i < given; i++)
        good = event_at(arena, result, nth_of_page(page->before.at, given, i), &(*events)[i]);
    PQclear(result);
    if (!good) return STORE_UNAVAILABLE;
    *count = (size_t)given;
    *more = found > page->limit;
    return STORE_FOUND;
}
