#include "change.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct arena *arena;
static struct change change;

static void
begin(void)
{
    arena = arena_new(1 << 22);
    change_clear(&change);
}

static void
end(void)
{
    arena_destroy(&arena);
}

TestSuite(change, .init = begin, .fini = end);

static struct row_customer *
customer(const char *id, int64_t version)
{
    struct row_customer *row = arena_take(arena, sizeof *row);
    row_clear(ROW_customer, row);
    row->id = text_of(id);
    row->merchant = TEXT("acct_abcde");
    row->version = version;
    return row;
}

static struct row_customer
first_row(struct msg_commit *commit, struct msg_row_write *write)
{
    enum message_verdict verdict;
    struct row_customer row;
    cr_assert(message_next(&commit->rows, MSG_row_write, write, &verdict));
    cr_assert(
        row_decode(ROW_customer, (const uint8_t *)write->values.at, write->values.size, &row));
    return row;
}

Test(change, a_row_goes_out_with_the_version_that_it_replaces_and_bears_the_next)
{
    struct msg_commit commit = {0};
    struct msg_row_write write;
    struct row_customer *fresh = customer("cus_1", 0), *old = customer("cus_2", 7);
    change_row(&change, ROW_customer, fresh, true);
    change_row(&change, ROW_customer, old, false);
    cr_expect_eq(fresh->version, 1);
    cr_expect_eq(old->version, 8);
    cr_assert(change_pack(&change, arena, &commit));
    cr_expect_eq(commit.rows.count, 2);
    cr_expect_eq(commit.has, HAS_commit_rows);
    cr_expect_eq(first_row(&commit, &write).version, 1);
    cr_expect_eq(write.version, 0);
    cr_expect_eq(first_row(&commit, &write).version, 8);
    cr_expect_eq(write.version, 7);
}

Test(change, a_row_staged_twice_is_written_once_as_it_was_last)
{
    struct msg_commit commit = {0};
    struct msg_row_write write;
    struct row_customer *first = customer("cus_1", 3), *second = customer("cus_1", 3);
    change_row(&change, ROW_customer, first, false);
    second->name = TEXT("Grace");
    change_row(&change, ROW_customer, second, false);
    cr_assert(change_pack(&change, arena, &commit));
    cr_expect_eq(commit.rows.count, 1);
    cr_expect(text_is(first_row(&commit, &write).name, "Grace"));
    cr_expect_eq(write.version, 3);
    cr_expect_eq(change_find(&change, ROW_customer, TEXT("cus_1")), second);
    cr_expect_null(change_find(&change, ROW_charge, TEXT("cus_1")));
}

static struct told_event
event(const char *object, const char *data)
{
    return (struct told_event){.id = TEXT("evt_1"),
                               .type = TEXT("charge.refunded"),
                               .object = text_of(object),
                               .data = text_of(data),
                               .api_version = TEXT("v")};
}

Test(change, an_answer_may_be_what_an_event_tells)
{
    static const char *const told[] = {"{\"id\":\"pi_1\",\"status\":\"processing\"}",
                                       "{\"id\":\"ch_1\"}",
                                       "{\"id\":\"pi_1\",\"status\":\"succeeded\"}"};
    struct msg_commit commit = {0};
    struct msg_event_write e;
    enum message_verdict verdict;
    for (size_t i = 0; i < 3; i++) {
        const struct told_event made = event(i == 1 ? "ch_1" : "pi_1", told[i]);
        change_event(&change, &made);
    }
    cr_assert(change_pack(&change, arena, &commit));
    cr_assert_eq(commit.events.count, 3);
    for (size_t i = 0; i < 3; i++) {
        struct text data, previous;
        char memory[512];
        cr_assert(message_next(&commit.events, MSG_event_write, &e, &verdict));
        cr_assert(event_unpack(e.packed, 1, memory, sizeof memory, &data, &previous));
        cr_expect(text_is(data, told[i]), "%zu", i);
        cr_expect_eq(change_told(&change, text_of(told[i])), i + 1);
    }
    cr_expect_eq(change_told(&change, TEXT("{}")), 0);
}

Test(change, lines_that_move_nothing_are_no_entries)
{
    struct msg_commit commit = {0};
    struct msg_posting posting;
    enum message_verdict verdict;
    const struct staged_posting staged = {
        "charge", TEXT("ch_12345"), TEXT("usd"), {{1, 1000}, {2, -1000}, {4, 0}}, 3};
    change_posting(&change, &staged);
    cr_assert(change_pack(&change, arena, &commit));
    cr_assert(message_next(&commit.postings, MSG_posting, &posting, &verdict));
    cr_expect_eq(posting.entries.count, 2);
    cr_expect(text_is(posting.kind, "charge"));
}

Test(change, as_many_rows_and_events_as_a_commit_may_bear_fit)
{
    struct msg_commit commit = {0};
    static char ids[CHANGE_ROWS_MAX][16];
    for (int i = 0; i < CHANGE_ROWS_MAX; i++) {
        snprintf(ids[i], sizeof ids[i], "cus_%d", i);
        change_row(&change, ROW_customer, customer(ids[i], 1), false);
    }
    for (int i = 0; i < CHANGE_EVENTS_MAX; i++)
        change_event(&change, &(struct told_event){
                                  .id = TEXT("evt_1"),
                                  .type = TEXT("customer.updated"),
                                  .object = TEXT("cus_1"),
                                  .data = TEXT("{}"),
                                  .api_version = TEXT("1"),
                              });
    cr_assert(change_pack(&change, arena, &commit));
    cr_expect_eq(commit.rows.count, CHANGE_ROWS_MAX);
    cr_expect_eq(commit.events.count, CHANGE_EVENTS_MAX);
}

Test(change, what_is_set_aside_is_taken_up_as_it_was)
{
    struct text aside;
    struct msg_commit commit = {0};
    struct msg_row_write write;
    struct row_customer *fresh = customer("cus_1", 0), *old = customer("cus_2", 7);
    fresh->name = TEXT("Grace");
    change_row(&change, ROW_customer, fresh, true);
    change_row(&change, ROW_customer, old, false);
    cr_assert(change_set_aside(&change, arena, &aside));
    cr_expect_null(change_find(&change, ROW_customer, fresh->id));
    cr_expect_eq(change_find(&change, ROW_customer, old->id), old);

    change_clear(&change);
    cr_assert(change_take_up(&change, arena, TEXT("acct_abcde"), aside));
    cr_expect_eq(change.row_count, 1);
    /* Written as it has become meanwhile, and still for the first time. */
    struct row_customer later =
        *(const struct row_customer *)change_find(&change, ROW_customer, fresh->id);
    later.phone = TEXT("+4930");
    change_row(&change, ROW_customer, &later, false);
    cr_assert(change_pack(&change, arena, &commit));
    cr_expect_eq(commit.rows.count, 1);
    const struct row_customer row = first_row(&commit, &write);
    cr_expect_eq(write.version, 0);
    cr_expect_eq(row.version, 1);
    cr_expect(text_is(row.name, "Grace"));
    cr_expect(text_is(row.phone, "+4930"));
}

Test(change, nothing_is_set_aside_where_nothing_is_new)
{
    struct text aside;
    change_row(&change, ROW_customer, customer("cus_2", 7), false);
    cr_expect_not(change_set_aside(&change, arena, &aside));
    cr_expect_eq(change.row_count, 1);
}

Test(change, as_many_rows_as_may_be_set_aside_are)
{
    static char ids[CHANGE_ASIDE_MAX + 1][16];
    struct text aside;
    for (int i = 0; i <= CHANGE_ASIDE_MAX; i++) {
        snprintf(ids[i], sizeof ids[i], "cus_%d", i);
        change_row(&change, ROW_customer, customer(ids[i], 0), true);
        if (i + 1 == CHANGE_ASIDE_MAX) {
            struct change copy = change;
            cr_expect(change_set_aside(&copy, arena, &aside));
        }
    }
    cr_expect_not(change_set_aside(&change, arena, &aside));
    cr_expect_eq(change.row_count, CHANGE_ASIDE_MAX + 1);
}

Test(change, what_was_not_set_aside_like_this_is_not_taken_up)
{
    struct text aside, cut;
    change_row(&change, ROW_customer, customer("cus_1", 0), true);
    cr_assert(change_set_aside(&change, arena, &aside));
    change_clear(&change);
    cr_expect_not(change_take_up(&change, arena, TEXT("acct_other"), aside));
    cr_expect_not(change_take_up(&change, arena, TEXT("acct_abcde"), NO_TEXT));
    for (cut = aside; cut.size--;)
        cr_expect_not(change_take_up(&change, arena, TEXT("acct_abcde"), cut));
    cr_expect(change_is_empty(&change));
    cr_expect(change_take_up(&change, arena, TEXT("acct_abcde"), aside));
}
