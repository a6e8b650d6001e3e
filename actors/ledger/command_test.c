#include "commit_maker.h"

#include <criterion/criterion.h>
#include <string.h>

#define ROW(number, replaces, value) .rows = {{number, replaces, value}}

Test(command, carries_what_was_sent)
{
    const struct wish wish = {.claim = 1,
                              .key = "k",
                              .rows = {{ROW_customer, 0, new_customer("cus_1", 1, "Ada")}},
                              .postings = {{"charge", "ch_1", {{1, 500}, {2, -450}, {4, -50}}}},
                              .events = {"evt_1", "evt_2"}};
    struct command *c = wish_command(&wish);
    cr_assert(c, "%s", wish_reason);
    cr_expect_eq(c->row_count, 1);
    cr_expect(text_is(((struct row_customer *)c->rows[0].row)->name, "Ada"));
    cr_expect_eq(c->posting_count, 1);
    cr_expect_eq(c->postings[0].line_count, 3);
    cr_expect(!c->postings[0].lines[0].of_merchant);
    cr_expect(c->postings[0].lines[1].of_merchant);
    cr_expect_eq(c->event_count, 2);
    cr_expect(text_is(c->events[1].id, "evt_2"));
    cr_expect_null(c->wrong);
    command_destroy(&c);
    command_destroy(&c); /* may be called twice */
}

Test(command, what_cannot_be_taken_is_refused_by_name)
{
    const struct row_customer *fine = new_customer("cus_1", 1, "Ada");
    struct row_customer *foreign = new_customer("cus_1", 1, "Ada");
    foreign->merchant = TEXT("acct_other");
    const struct {
        const char *names;
        struct wish wish;
    } table[] = {
        {"merchant", {ROW(ROW_customer, 0, fine), .slot_off = 1}},
        {"rows", {.claim = 0}},
        {"key", {.claim = 1}},
        {"key", {.claim = 2, .status = 200}},
        {"status", {.claim = 2, .key = "k"}},
        {"status", {ROW(ROW_customer, 0, fine), .status = 200}},
        {"told",
         {.claim = 1, .key = "k", .status = 200, .told = 1, .body = "{}", .events = {"evt_1"}}},
        {"told", {.claim = 1, .key = "k", .status = 200, .told = 2, .events = {"evt_1"}}},
        {"events: a space",
         {.claim = 1, .key = "k", .events = {"evt_1"}, .type = "customer created"}},
        {"events: a row without its end",
         {.claim = 1, .key = "k", .events = {"evt_a0", "evt_a1"}, .row = ""}},
        {"events: not of one row",
         {.claim = 1, .key = "k", .events = {"evt_a0", "evt_b1"}, .row = "\1packed"}},
        {"events: packed",
         {.claim = 1, .key = "k", .events = {"evt_a0", "evt_a1"}, .row = "\2packed"}},
        {"rows", {ROW(ROW_customer, 0, foreign)}},
        {"rows", {ROW(ROW_customer, 3, fine)}},
        {"rows", {ROW(ROW_customer, 0, new_customer("pi_1", 1, ""))}},
        {"rows", {ROW(ROW_attempt, 0, new_attempt("att_1", 1, "lost"))}},
        {"rows", {.rows = {{ROW_customer, 0, fine}, {ROW_customer, 0, fine}}}},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct command *c = wish_command(&table[i].wish);
        cr_expect_null(c, "row %zu is taken", i);
        cr_expect(strncmp(wish_reason, table[i].names, strlen(table[i].names)) == 0, "%zu: %s", i,
                  wish_reason);
        command_destroy(&c);
    }
}

Test(command, a_commit_cut_anywhere_is_refused)
{
    const struct wish wish = {.claim = 1,
                              .key = "k",
                              ROW(ROW_customer, 0, new_customer("cus_1", 1, "Ada")),
                              .postings = {{"charge", "ch_1", {{1, 500}, {2, -500}}}},
                              .events = {"evt_1"}};
    const struct text bytes = wish_bytes(&wish);
    const struct command_origin origin = {TEST_SENDER, slot_of(TEXT(TEST_MERCHANT)), {0}};
    for (size_t size = 0; size < bytes.size; size++) {
        struct command *c =
            command_read((const uint8_t *)bytes.at, size, &origin, wish_reason, sizeof wish_reason);
        cr_assert_null(c, "cut at %zu", size);
    }
}

Test(command, a_commit_with_any_byte_changed_is_taken_or_refused_and_nothing_else)
{
    const struct wish wish = {.claim = 1,
                              .key = "k",
                              ROW(ROW_attempt, 0, new_attempt("att_1", 1, "sending")),
                              .postings = {{"charge", "ch_1", {{1, 500}, {2, -500}}}},
                              .events = {"evt_1"}};
    const struct text bytes = wish_bytes(&wish);
    const struct command_origin origin = {TEST_SENDER, slot_of(TEXT(TEST_MERCHANT)), {0}};
    for (size_t i = 0; i < bytes.size * 8; i++) {
        char changed[4096];
        cr_assert(bytes.size <= sizeof changed);
        memcpy(changed, bytes.at, bytes.size);
        changed[i / 8] = (char)(changed[i / 8] ^ 1 << i % 8);
        struct command *c = command_read((const uint8_t *)changed, bytes.size, &origin, wish_reason,
                                         sizeof wish_reason);
        command_destroy(&c);
    }
}

Test(command, books_that_do_not_balance_are_wrong)
{
    const struct {
        bool wrong;
        struct wish_line lines[4];
    } table[] = {
        {false, {{1, 500}, {2, -500}}},
        {true, {{1, 500}, {2, -499}}},
        {true, {{1, 500}}},
        {true, {{1, 500}, {2, -500}, {4, 0}}},
        {true, {{1, 500}, {99, -500}}},
        {false, {{1, 500}, {2, -450}, {4, -50}}},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct wish wish = {.claim = 1, .key = "k", .postings = {{"charge", "ch_1", {{0}}}}};
        memcpy(wish.postings[0].lines, table[i].lines, sizeof table[i].lines);
        struct command *c = wish_command(&wish);
        cr_assert(c, "%s", wish_reason);
        cr_expect_eq(c->wrong != NULL, table[i].wrong, "row %zu", i);
        command_destroy(&c);
    }
}
