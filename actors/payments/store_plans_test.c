/* Every question of the store goes by an index, in a database of some size: see plans.h. */
#include "plans.h"

#include "clock.h"
#include "id.h"
#include "store_keep.h"

#include <criterion/new/assert.h>
#include <poll.h>

#define BIG TEXT("acct_1")
#define SMALL TEXT("acct_2")

static struct store *store;
static struct arena *arena;
static size_t asked;

static void
was_found(enum store_verdict verdict, const char *what)
{
    asked++;
    cr_expect(eq(int, (int)verdict, (int)STORE_FOUND), "%s", what);
}

/* The store waits for Postgres as long as a client may be kept waiting. On a machine that is busy
 * with other things it is asked again: what is looked at here is the plan. */
#define PATIENCE_MS 30000
#define found(asking, what)                                                             \
    do {                                                                                \
        const int64_t until_ms = clock_mono_ms() + PATIENCE_MS;                         \
        enum store_verdict verdict;                                                     \
        while ((verdict = (asking)) == STORE_UNAVAILABLE && clock_mono_ms() < until_ms) \
            (void)poll(NULL, 0, 10);                                                    \
        was_found(verdict, what);                                                       \
    } while (0)

static void
list(enum row_table table, struct store_page page)
{
    static const struct text merchants[] = {{"acct_1", 6}, {"acct_2", 6}, {"acct_none", 9}};
    void *rows;
    size_t count;
    bool more;
    page.limit = 10;
    for (size_t i = 0; i < 3; i++)
        found(store_list(store, table, merchants[i], &page, arena, &rows, &count, &more),
              table_find((uint64_t)table)->name);
}

#define FILTER(column, value)                                 \
    (struct store_page)                                       \
    {                                                         \
        .filters = {{column, TEXT(value)}}, .filter_count = 1 \
    }

static void
lists(void)
{
    for (size_t i = 0; i < table_count; i++) {
        const enum row_table table = (enum row_table)tables[i]->number;
        char id[ID_SIZE_MAX + 1];
        if (table == ROW_attempt) continue; /* nobody lists them: their key begins with the id */
        list(table, (struct store_page){.limit = 10});
        const struct text middle = id_floor(id, tables[i]->prefix, 1000);
        list(table, (struct store_page){.after = middle});
        list(table, (struct store_page){.before = middle});
        list(table, (struct store_page){.id_least = middle, .id_below = middle});
    }
    list(ROW_customer, FILTER("email", "nobody@example.com"));
    list(ROW_payment_method, FILTER("customer", "cus_000000000000000000000001"));
    list(ROW_payment_intent, FILTER("customer", "cus_000000000000000000000001"));
    list(ROW_charge, FILTER("customer", "cus_000000000000000000000001"));
    list(ROW_charge, FILTER("payment_intent", "pi_000000000000000000000001"));
    list(ROW_charge, FILTER("transfer_group", "group"));
    list(ROW_refund, FILTER("charge", "ch_000000000000000000000001"));
    list(ROW_refund, FILTER("payment_intent", "pi_000000000000000000000001"));
    list(ROW_balance_transaction, FILTER("source", "ch_000000000000000000000001"));
    list(ROW_balance_transaction, FILTER("currency", "eur"));
    list(ROW_balance_transaction, FILTER("type", "refund"));
    list(ROW_setup_intent, FILTER("customer", "cus_000000000000000000000001"));
    list(ROW_setup_intent, FILTER("payment_method", "pm_000000000000000000000001"));
    list(ROW_setup_attempt, FILTER("setup_intent", "seti_000000000000000000000001"));
    list(ROW_checkout_session, FILTER("customer", "cus_000000000000000000000001"));
    list(ROW_checkout_session, FILTER("payment_intent", "pi_000000000000000000000001"));
    list(ROW_checkout_session, FILTER("status", "open"));
    list(ROW_customer, (struct store_page){.without = "deleted"});
}

static void
single_rows(void)
{
    _Alignas(max_align_t) char row[ROW_SIZE_MAX];
    struct store_page page = FILTER("customer", "cus_000000000000000000000001");
    struct row_api_key key;
    struct row_attempt *attempts;
    struct row_charge *charges;
    struct row_refund *refunds;
    struct due *due;
    struct text merchant;
    struct store_balance *balances;
    uint8_t slots[SLOT_BYTES], hash[32] = {1};
    size_t count;
    for (size_t i = 0; i < table_count; i++) {
        char id[ID_SIZE_MAX + 1];
        snprintf(id, sizeof id, "%s000000000000000000000001", tables[i]->prefix);
        (void)!store_get(store, (enum row_table)tables[i]->number, BIG, text_of(id), arena, row);
        asked++;
    }
    found(store_count(store, ROW_payment_method, BIG, &page, 500, arena, &count), "count");
    found(store_balances(store, BIG, arena, &balances, &count), "balances");
    cr_expect(eq(int, (int)store_key(store, (struct text){(char *)hash, 32}, arena, &key),
                 (int)STORE_MISSING));
    asked++;
    memset(slots, 255, sizeof slots);
    found(store_merchant_of(store, ROW_checkout_session, TEXT("cs_test_000000000000000000000001"),
                            arena, &merchant),
          "merchant of a session");
    found(store_due(store, ROW_checkout_session, "status", slots, 1000, arena, &due, &count),
          "due sessions");
    cr_expect(eq(sz, count, 10));
    found(store_due(store, ROW_challenge, "state", slots, 1000, arena, &due, &count),
          "due challenges");
    cr_expect(eq(sz, count, 10));
    found(store_refunds_to_follow(store, slots, 1000, arena, &refunds, &count),
          "refunds to follow");
    cr_expect(eq(sz, count, 10));
    found(store_open_attempts(store, slots, arena, &attempts, &count), "open attempts");
    cr_expect(eq(sz, count, 20));
    for (size_t i = 0; i < count; i++) /* with all that it bears */
        cr_expect(text_equal(attempts[i].staged, (struct text){"\0\xff\\'\0", 5}));
    found(store_due_holds(store, 1000, arena, &charges, &count), "due holds");
    cr_expect(eq(sz, count, 10));
}

static void
events(void)
{
    struct store_event event, *page;
    size_t count;
    bool more;
    found(store_event(store, BIG, TEXT("evt_000000000000000000000001"), arena, &event), "event");
    const struct store_event_page pages[] = {
        {.delivery_success = -1, .limit = 10},
        {.delivery_success = 1, .limit = 10},
        {.delivery_success = 0, .limit = 10},
        {.delivery_success = -1, .limit = 10, .types = {TEXT("charge.*")}, .type_count = 1},
        {.delivery_success = -1, .limit = 10, .types = {TEXT("charge.refunded")}, .type_count = 1},
        {.delivery_success = 0,
         .limit = 10,
         .types = {TEXT("customer.*"), TEXT("charge.dispute.created")},
         .type_count = 2},
        {.delivery_success = -1, .limit = 10, .after = TEXT("evt_000000000000000000000900")},
        {.delivery_success = -1, .limit = 10, .before = TEXT("evt_000000000000000000000900")},
    };
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        found(store_events(store, BIG, &pages[i], arena, &page, &count, &more), "events");
}

static size_t
search(enum row_table table, struct text merchant, const char *text, struct text *next)
{
    char message[SEARCH_MESSAGE_MAX], memory[512];
    struct search_query query;
    struct store_search searched = {.query = &query, .limit = 10};
    void *rows;
    size_t count = 0;
    cr_assert(
        search_parse(table_find((uint64_t)table)->name, text_of(text), memory, &query, message),
        "%s: %s", text, message);
    found(store_search(store, table, merchant, &searched, arena, &rows, &count, next), text);
    return count;
}

static void
searches(void)
{
    static const struct {
        enum row_table table;
        const char *text;
        size_t count;
        bool more; /* the walk ended before the rows did */
    } rows[] = {
        {ROW_payment_intent, "metadata[\"order\"]:\"19996\"", 1, false},
        {ROW_payment_intent, "metadata[\"order\"]:\"4\"", 1, false},
        {ROW_payment_intent, "metadata[\"order\"]:\"none\"", 0, false},
        {ROW_payment_intent, "customer:\"cus_000000000000000000000001\"", 1, false},
        {ROW_payment_intent, "metadata[\"order\"]:\"4\" customer:null", 0, false},
        {ROW_payment_intent, "metadata[\"order\"]:\"4\" OR metadata[\"order\"]:\"8\"", 2, false},
        {ROW_payment_intent, "metadata[\"order\"]:\"4\" OR amount:1005", 0, true},
        {ROW_payment_intent, "status:\"succeeded\"", 10, true},
        {ROW_payment_intent, "amount:1001", 0, true},
        {ROW_payment_intent, "-metadata[\"order\"]:null", 10, true},
        {ROW_charge, "payment_method_details.card.last4:\"4242\"", 10, true},
        {ROW_charge, "payment_method_details.card.exp_year<2030", 0, true},
        {ROW_charge, "metadata[\"order\"]:\"8\"", 1, false},
        {ROW_charge, "customer:\"cus_000000000000000000000003\" refunded:false", 1, false},
        {ROW_charge, "disputed:true", 0, true},
        {ROW_customer, "email~\"c4ca4238a0b9\"", 1, false},
        {ROW_customer, "email:\"C4CA4238a0b923820dcc509a6f75849b@example.com\"", 1, false},
        {ROW_customer, "name~\"c4ca4238\" phone~\"+491\"", 1, false},
        {ROW_customer, "name~\"c4ca4238\" OR email~\"c81e728d9d4c\"", 2, false},
        {ROW_customer, "metadata[\"order\"]:\"12\"", 1, false},
        {ROW_customer, "created>1000 created<1009", 0, false}, /* no id is of that time */
        {ROW_customer, "created>1 created<9", 0, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text next;
        cr_expect(eq(sz, search(rows[i].table, BIG, rows[i].text, &next), rows[i].count), "%s",
                  rows[i].text);
        cr_expect(eq(int, next.at != NULL, rows[i].more), "%s", rows[i].text);
        (void)search(rows[i].table, SMALL, rows[i].text, &next);
    }
}

Test(store_plans, every_question_of_the_store_goes_by_an_index, .timeout = 110)
{
    store = store_new(plans_begin("plans"), 1);
    arena = arena_new((size_t)512 << 20);
    lists();
    single_rows();
    events();
    searches();
    store_destroy(&store);
    arena_destroy(&arena);
    /* Sessions that are open are few, whoever's they are. */
    cr_expect(ge(sz, plans_check("checkout_session_due"), asked), "each of them has left its plan");
    /* Ends with the id, which a page is read along, or it would not be used. */
    cr_expect(plans_mention("Index Scan Backward using checkout_session_payment_intent"));
    /* Along the index, which marks what is dead; a bitmap reads the rows of all payments since the
     * last vacuum again and again. */
    cr_expect(plans_mention("Index Scan using refund_to_follow"));
    cr_expect(not(plans_mention("Bitmap Index Scan on refund_to_follow")));
}

/* "8 1": the rows' numbers in the seeded database. */
static void
expect_page(enum row_table table, struct store_page page, const char *wanted, bool wanted_more)
{
    char ids[64] = "";
    void *rows;
    size_t count;
    bool more;
    found(store_list(store, table, BIG, &page, arena, &rows, &count, &more), "page");
    for (size_t i = 0; i < count; i++) {
        const struct text id = row_id((char *)rows + i * table_find((uint64_t)table)->size);
        snprintf(ids + strlen(ids), sizeof ids - strlen(ids), "%s%d", i ? " " : "",
                 atoi(id.at + id.size - 8));
    }
    cr_expect(eq(str, (char *)ids, (char *)wanted));
    cr_expect(eq(int, more, wanted_more), "%s", wanted);
}

/* One of the two that a payment has here, or a charge, is in the index, and the other is named. */
static void
expect_both(enum row_table table, const char *column, const char *of, const char *prefix)
{
    struct store_page page = {.filters = {{column, text_of(of)}}, .filter_count = 1, .limit = 2};
    const struct text eighth = arena_format(arena, "%s000000000000000000000008", prefix);
    const struct text first = arena_format(arena, "%s000000000000000000000001", prefix);
    expect_page(table, page, "8 1", false);
    page.limit = 1;
    expect_page(table, page, "8", true);
    page.after = eighth;
    expect_page(table, page, "1", false);
    page.after = first;
    expect_page(table, page, "", false);
    page.after = NO_TEXT, page.before = first;
    expect_page(table, page, "8", false);
    page.before = NO_TEXT, page.id_below = eighth;
    expect_page(table, page, "1", false);
    page.id_below = NO_TEXT, page.id_least = eighth;
    expect_page(table, page, "8", false);
    page.filters[1] = (struct store_filter){"currency", TEXT("eur")};
    page.filter_count = 2;
    expect_page(table, page, "", false);
}

Test(store_plans, what_is_named_is_listed_with_what_an_index_has, .timeout = 110)
{
    store = store_new(plans_begin("named"), 1);
    arena = arena_new((size_t)512 << 20);
    expect_both(ROW_charge, "payment_intent", "pi_000000000000000000000001", "ch_");
    expect_both(ROW_balance_transaction, "source", "ch_000000000000000000000001", "txn_");
    store_destroy(&store);
    arena_destroy(&arena);
    cr_expect(ge(sz, plans_check("checkout_session_due"), asked));
    cr_expect(plans_mention("Index Scan using charge_payment_intent"));
    cr_expect(plans_mention("Index Scan using balance_transaction_source"));
}

/* Pages of a search that walks: all of it is found, nothing twice. */
Test(store_plans, a_walk_goes_on_where_its_page_ended, .timeout = 110)
{
    char message[SEARCH_MESSAGE_MAX], memory[64];
    struct search_query query;
    struct store_search searched = {.query = &query, .limit = 3};
    size_t total = 0, pages = 0;
    store = store_new(plans_begin("walks"), 1);
    arena = arena_new((size_t)512 << 20);
    cr_assert(search_parse("payment_intent", TEXT("amount<=1010"), memory, &query, message));
    for (bool more = true; more && pages < 100; pages++) {
        void *rows;
        size_t count;
        struct text next;
        found(store_search(store, ROW_payment_intent, BIG, &searched, arena, &rows, &count, &next),
              "page");
        const struct row_payment_intent *pi = rows;
        for (size_t i = 0; i < count; i++)
            cr_expect(eq(i64, pi[i].amount, 1009 - (int64_t)total++));
        searched.after = next;
        more = next.at != NULL;
    }
    cr_expect(eq(sz, total, 9)); /* the tenth is another merchant's */
    cr_expect(le(sz, pages, 5));
    store_destroy(&store);
    arena_destroy(&arena);
}
