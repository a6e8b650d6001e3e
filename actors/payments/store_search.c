/* Searching in Postgres. Whatever is asked, a worker's turn must not wait long for it, so no query
 * reads without a bound:
 *
 *   1. a walk over the newest rows of the merchant, along the primary key, until enough fit;
 *   2. when few of those did and a clause has an index, that index: what is rare among the newest
 * is rare enough to be gathered and sorted;
 *   3. without an index a longer walk, and when it ends before the rows do, the page ends there and
 *      the next one goes on behind it: a page may be short, or empty, and not be the last.
 *
 * A client's words only ever are parameters. Names of columns and paths come from
 * search_fields.def. The statements are not prepared: there are too many shapes to be kept, and the
 * values decide which index is the better one. */
#include "store_inside.h"

#include "message.h"
#include "search_query.h"
#include <assert.h>
#include <stdio.h>

#define WALK_BEFORE_INDEX 2000
#define WALK_MAX 10000
/* An id is made a moment before or after the second that `created` bears. */
#define MOMENT_SLACK_S 2

struct seeking {
    struct question *q;
    const struct table *table;
    const struct store_search *search;
    int merchant; /* numbers of parameters */
    int keys[SEARCH_CLAUSES_MAX], values[SEARCH_CLAUSES_MAX];
    struct text least, below; /* ids */
};

/* --- values ----------------------------------------------------------------------------------- */

static struct text
number_text(struct arena *arena, int64_t number)
{
    return arena_format(arena, "%lld", (long long)number);
}

/* Small letters, and what LIKE takes for more than itself escaped. */
static struct text
pattern(struct arena *arena, struct text words, bool part)
{
    char *const at = arena_take(arena, words.size * 2 + 3);
    size_t size = 0;
    if (part) at[size++] = '%';
    for (size_t i = 0; i < words.size; i++) {
        const char c = words.at[i];
        if (c == '%' || c == '_' || c == '\\') at[size++] = '\\';
        at[size++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    if (part) at[size++] = '%';
    return (struct text){at, size};
}

static void
give_values(struct seeking *s, const struct search_clause *clause, size_t i)
{
    struct arena *const arena = s->q->arena;
    if (clause->field->kind == SEARCH_METADATA) s->keys[i] = with(s->q, clause->key);
    if (clause->comparison == SEARCH_IS_ABSENT) return;
    switch (clause->field->kind) {
    case SEARCH_NUMBER:
    case SEARCH_MOMENT: s->values[i] = with(s->q, number_text(arena, clause->number)); break;
    case SEARCH_FLAG:
        s->values[i] = with(s->q, clause->number ? TEXT("true") : TEXT("false"));
        break;
    case SEARCH_WORDS:
        s->values[i] =
            with(s->q, pattern(arena, clause->value, clause->comparison == SEARCH_CONTAINS));
        break;
    case SEARCH_TOKEN:
    case SEARCH_METADATA: s->values[i] = with(s->q, clause->value); break;
    }
}

/* --- conditions ------------------------------------------------------------------------------- */

static void
say_field(struct seeking *s, const struct search_clause *clause, size_t i)
{
    const struct search_field *const field = clause->field;
    if (field->kind == SEARCH_METADATA)
        say(s->q, "(\"%s\"::json ->> $%d::text)", field->column, s->keys[i]);
    else if (*field->path)
        say(s->q, "(\"%s\"::json #>> '{%s}')", field->column, field->path);
    else
        say(s->q, "%s%s%s", *field->column ? "\"" : "", *field->column ? field->column : "false",
            *field->column ? "\"" : "");
}

static void
say_comparison(struct seeking *s, const struct search_clause *clause, size_t i)
{
    static const char *const operators[] = {
        [SEARCH_IS] = "=",        [SEARCH_ABOVE] = ">",    [SEARCH_BELOW] = "<",
        [SEARCH_AT_LEAST] = ">=", [SEARCH_AT_MOST] = "<=",
    };
    const int value = s->values[i];
    const enum search_kind kind = clause->field->kind;
    const bool exactly = kind == SEARCH_TOKEN && clause->field->indexed; /* ids */
    if (clause->comparison == SEARCH_IS_ABSENT) {
        say_field(s, clause, i);
        say(s->q, " IS NULL");
    } else if (kind == SEARCH_NUMBER || kind == SEARCH_MOMENT) {
        say_field(s, clause, i);
        say(s->q, "::bigint %s $%d::bigint", operators[clause->comparison], value);
    } else if (kind == SEARCH_FLAG) {
        say_field(s, clause, i);
        say(s->q, " = $%d::boolean", value);
    } else if (kind == SEARCH_WORDS) {
        say(s->q, "lower(");
        say_field(s, clause, i);
        say(s->q, ") LIKE $%d::text", value);
    } else if (exactly) {
        say_field(s, clause, i);
        say(s->q, " = $%d::text", value);
    } else {
        say(s->q, "lower(");
        say_field(s, clause, i);
        say(s->q, " COLLATE \"C\") = lower($%d::text COLLATE \"C\")", value);
    }
}

/* Whether each clause, or any of them, is met. */
static void
say_condition(struct seeking *s)
{
    const struct search_query *const query = s->search->query;
    for (size_t i = 0; i < query->count; i++) {
        const struct search_clause *const clause = &query->clauses[i];
        say(s->q, "%s(", i == 0 ? "(" : query->any ? " OR " : " AND ");
        say_comparison(s, clause, i);
        say(s->q, clause->negated ? ") IS NOT TRUE" : ") IS TRUE");
    }
    say(s->q, ")");
    if (s->search->without) say(s->q, " AND NOT \"%s\"", s->search->without);
}

static bool
has_index(const struct search_clause *clause)
{
    return clause->field->indexed && !clause->negated && clause->comparison != SEARCH_IS_ABSENT;
}

/* One clause with an index is enough where all must be met; where any may be, each needs its own.
 */
static bool
can_use_index(const struct search_query *query)
{
    size_t count = 0;
    for (size_t i = 0; i < query->count; i++)
        count += has_index(&query->clauses[i]);
    return query->any ? count == query->count : count > 0;
}

/* In the words of the indexes (schema.sql: search_…, rows.def: …_customer), so that they are used.
 */
static void
say_index_condition(struct seeking *s)
{
    const struct search_query *const query = s->search->query;
    const char *between = "";
    for (size_t i = 0; i < query->count; i++) {
        const struct search_clause *const clause = &query->clauses[i];
        if (!has_index(clause)) continue;
        say(s->q, "%s(", between);
        between = query->any ? " OR " : " AND ";
        if (clause->field->kind == SEARCH_METADATA) {
            say(s->q,
                "\"%s\" IS NOT NULL AND search_terms(merchant, \"%s\")"
                " @> ARRAY[search_term($%d::text, $%d::text, $%d::text)]",
                clause->field->column, clause->field->column, s->merchant, s->keys[i],
                s->values[i]);
        } else {
            say(s->q, "merchant = $%d AND ", s->merchant);
            say_comparison(s, clause, i);
        }
        say(s->q, ")");
    }
}

/* --- the range of ids ------------------------------------------------------------------------- */

static struct text
id_of_second(struct seeking *s, int64_t second)
{
    const int64_t most = TIME_MAX / 1000;
    const int64_t bounded = second < 0 ? 0 : second > most ? most : second;
    return id_floor(arena_take(s->q->arena, ID_SIZE_MAX + 1), s->table->prefix, bounded * 1000);
}

static int64_t
add(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? (b < 0 ? INT64_MIN : INT64_MAX) : sum;
}

/* What `created` must be says where to begin and where to end. */
static void
bound_ids(struct seeking *s)
{
    const struct search_query *const query = s->search->query;
    if (query->any) return;
    for (size_t i = 0; i < query->count; i++) {
        const struct search_clause *const clause = &query->clauses[i];
        if (clause->field->kind != SEARCH_MOMENT || clause->negated) continue;
        const enum search_comparison c = clause->comparison;
        if (c == SEARCH_IS || c == SEARCH_ABOVE || c == SEARCH_AT_LEAST) {
            const struct text least = id_of_second(s, add(clause->number, -MOMENT_SLACK_S));
            if (!s->least.at || text_compare(least, s->least) > 0) s->least = least;
        }
        if (c == SEARCH_IS || c == SEARCH_BELOW || c == SEARCH_AT_MOST) {
            const struct text below = id_of_second(s, add(clause->number, MOMENT_SLACK_S + 1));
            if (!s->below.at || text_compare(below, s->below) < 0) s->below = below;
        }
    }
}

static void
say_bounds(struct seeking *s)
{
    say(s->q, "merchant = $%d", s->merchant);
    if (s->search->after.at) say(s->q, " AND id < $%d", with(s->q, s->search->after));
    if (s->least.at) say(s->q, " AND id >= $%d", with(s->q, s->least));
    if (s->below.at) say(s->q, " AND id < $%d", with(s->q, s->below));
}

/* --- questions -------------------------------------------------------------------------------- */

static struct seeking
begin(struct arena *arena, enum row_table number, struct text merchant,
      const struct store_search *search)
{
    struct seeking s = {
        question_new(arena), table_find((uint64_t)number), search, 0, {0}, {0}, NO_TEXT, NO_TEXT};
    s.merchant = with(s.q, merchant);
    bound_ids(&s);
    return s;
}

static void
give_all_values(struct seeking *s)
{
    for (size_t i = 0; i < s->search->query->count; i++)
        give_values(s, &s->search->query->clauses[i], i);
}

static PGresult *
ask_walk(struct store *store, enum row_table number, struct text merchant,
         const struct store_search *search, int walk, struct arena *arena)
{
    struct seeking s = begin(arena, number, merchant, search);
    give_all_values(&s);
    say(s.q, "SELECT %s FROM (SELECT * FROM \"%s\" WHERE ", columns_of(s.q, number), s.table->name);
    say_bounds(&s);
    say(s.q, " ORDER BY id DESC LIMIT %d) AS walked WHERE ", walk);
    say_condition(&s);
    say(s.q, " ORDER BY id DESC LIMIT %d", search->limit + 1);
    return ask_unprepared(store->database, s.q);
}

static PGresult *
ask_index(struct store *store, enum row_table number, struct text merchant,
          const struct store_search *search, struct arena *arena)
{
    struct seeking s = begin(arena, number, merchant, search);
    give_all_values(&s);
    say(s.q, "WITH found AS MATERIALIZED (SELECT * FROM \"%s\" WHERE ", s.table->name);
    say_index_condition(&s);
    say(s.q, ") SELECT %s FROM found WHERE ", columns_of(s.q, number));
    say_bounds(&s);
    say(s.q, " AND ");
    say_condition(&s);
    say(s.q, " ORDER BY id DESC LIMIT %d", search->limit + 1);
    return ask_unprepared(store->database, s.q);
}

/* The id at which a walk of that length ends; NO_TEXT when the rows end before. */
static bool
end_of_walk(struct store *store, enum row_table number, struct text merchant,
            const struct store_search *search, int walk, struct arena *arena, struct text *id)
{
    struct seeking s = begin(arena, number, merchant, search);
    say(s.q, "SELECT id FROM \"%s\" WHERE ", s.table->name);
    say_bounds(&s);
    say(s.q, " ORDER BY id DESC OFFSET %d LIMIT 1", walk - 1);
    PGresult *const result = ask_unprepared(store->database, s.q);
    if (!result) return false;
    *id = PQntuples(result) ? arena_copy(arena, text_of(PQgetvalue(result, 0, 0))) : NO_TEXT;
    PQclear(result);
    return true;
}

/* --- the whole -------------------------------------------------------------------------------- */

static bool
take_rows(enum row_table number, const PGresult *result, int limit, struct arena *arena,
          void **rows, size_t *count)
{
    const size_t size = table_find((uint64_t)number)->size;
    const int found = PQntuples(result), given = found < limit ? found : limit;
    char *const all = arena_take(arena, size * (size_t)(given ? given : 1));
    for (int i = 0; i < given; i++)
        if (!pg_row(number, result, i, arena, all + size * (size_t)i)) return false;
    *rows = all;
    *count = (size_t)given;
    return true;
}

enum store_verdict
store_search(struct store *store, enum row_table number, struct text merchant,
             const struct store_search *search, struct arena *arena, void **rows, size_t *count,
             struct text *next)
{
    assert(search->limit >= 1 && search->limit <= 100);
    const bool indexed = can_use_index(search->query);
    int walk = indexed ? WALK_BEFORE_INDEX : WALK_MAX;
    *next = NO_TEXT;
    if (!store->database) return STORE_UNAVAILABLE;

    PGresult *result = ask_walk(store, number, merchant, search, walk, arena);
    if (result && indexed && PQntuples(result) <= search->limit) {
        PQclear(result);
        walk = 0;
        result = ask_index(store, number, merchant, search, arena);
    }
    if (!result) return STORE_UNAVAILABLE;
    const bool more = PQntuples(result) > search->limit;
    const bool good = take_rows(number, result, search->limit, arena, rows, count);
    PQclear(result);
    if (!good) return STORE_UNAVAILABLE;
    if (more)
        *next = row_id((char *)*rows + (*count - 1) * table_find((uint64_t)number)->size);
    else if (walk && !end_of_walk(store, number, merchant, search, walk, arena, next))
        return STORE_UNAVAILABLE;
    return STORE_FOUND;
}
