#include "commit_maker.h"
#include "queue.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void
put(struct queue *queue, const struct wish *wish)
{
    struct command *c = wish_command(wish);
    cr_assert(c, "%s", wish_reason);
    queue_put(queue, &c);
    cr_assert_null(c);
}

/* The ids of the next batch as a string. */
static const char *
take_beside(struct queue *queue, size_t max, bool beside)
{
    static char ids[64];
    struct command *batch[64];
    const size_t count = queue_take(queue, batch, max, beside);
    for (size_t i = 0; i < count; i++) {
        ids[i] = batch[i]->commit.id.at[0];
        command_destroy(&batch[i]);
    }
    ids[count] = 0;
    return ids;
}

static const char *
take(struct queue *queue, size_t max)
{
    return take_beside(queue, max, false);
}

Test(queue, what_finishes_a_payment_goes_first)
{
    struct queue *queue = queue_new();
    put(queue, &(struct wish){.id = 'a', .claim = 1, .key = "1"});
    put(queue, &(struct wish){.id = 'b', .claim = 1, .key = "2", .urgency = 1});
    put(queue, &(struct wish){.id = 'c', .claim = 1, .key = "3"});
    cr_expect_str_eq(take(queue, 2), "ba");
    cr_expect_str_eq(take(queue, 2), "c");
    cr_expect_str_eq(take(queue, 2), "");
    queue_destroy(&queue);
}

Test(queue, two_that_touch_one_thing_are_not_in_one_batch_and_keep_their_order)
{
    struct queue *queue = queue_new();
    const struct row_customer *one = new_customer("cus_1", 1, ""),
                              *two = new_customer("cus_2", 1, "");
    put(queue, &(struct wish){.id = 'a', .rows = {{ROW_customer, 0, one}}});
    put(queue, &(struct wish){.id = 'b', .rows = {{ROW_customer, 0, one}, {ROW_customer, 0, two}}});
    put(queue, &(struct wish){.id = 'c', .rows = {{ROW_customer, 0, two}}});
    put(queue, &(struct wish){.id = 'd', .claim = 1, .key = "k"});
    put(queue, &(struct wish){.id = 'e', .claim = 1, .key = "k"});
    cr_expect_str_eq(take(queue, 9), "ad");
    cr_expect_str_eq(take(queue, 9), "be");
    cr_expect_str_eq(take(queue, 9), "c");
    queue_destroy(&queue);
}

Test(queue, a_batch_beside_another_touches_nothing_of_it)
{
    struct queue *queue = queue_new();
    const struct row_customer *one = new_customer("cus_1", 1, ""),
                              *two = new_customer("cus_2", 1, "");
    put(queue, &(struct wish){.id = 'a', .rows = {{ROW_customer, 0, one}}});
    put(queue, &(struct wish){.id = 'b', .claim = 1, .key = "k"});
    cr_expect_str_eq(take_beside(queue, 9, false), "ab");
    put(queue, &(struct wish){.id = 'c', .rows = {{ROW_customer, 0, one}, {ROW_customer, 0, two}}});
    put(queue, &(struct wish){.id = 'd', .claim = 2, .key = "k", .status = 200});
    cr_expect_str_eq(take_beside(queue, 9, true), "");
    put(queue, &(struct wish){.id = 'e', .rows = {{ROW_customer, 0, two}}}); /* after c */
    put(queue, &(struct wish){.id = 'f', .claim = 1, .key = "other"});
    cr_expect_str_eq(take_beside(queue, 9, true), "f");
    /* The first is over: what counts is the one that was taken last. */
    put(queue, &(struct wish){.id = 'g', .claim = 2, .key = "other", .status = 200});
    cr_expect_str_eq(take_beside(queue, 9, true), "cd");
    cr_expect_str_eq(take_beside(queue, 9, true), "g");
    cr_expect_str_eq(take_beside(queue, 9, false), "e");
    queue_destroy(&queue);
}

Test(queue, a_large_batch_leaves_no_room_beside_it)
{
    struct queue *queue = queue_new();
    static struct command *batch[8192];
    for (int i = 0; i < 9000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        struct command *c = wish_command(&(struct wish){.claim = 1, .key = key});
        memcpy((char *)c->commit.id.at, &i, sizeof i);
        queue_put(queue, &c);
    }
    const size_t count = queue_take(queue, batch, 8192, false);
    cr_expect_gt(count, 2000);
    cr_expect_eq(queue_take(queue, batch + count, 1, true), 0);
    for (size_t i = 0; i < count; i++)
        command_destroy(&batch[i]);
    queue_destroy(&queue);
}

Test(queue, a_command_that_is_sent_again_is_queued_once_and_answered_to_the_last_sending)
{
    struct queue *queue = queue_new();
    const struct wish wish = {.id = 'a', .claim = 1, .key = "k"};
    put(queue, &wish);
    struct wish again = wish;
    again.repeated = 1;
    struct command *c = wish_command(&again);
    c->reply.correlation = 42;
    queue_put(queue, &c);
    cr_expect_eq(queue_count(queue), 1);
    struct command *batch[2];
    cr_assert_eq(queue_take(queue, batch, 2, false), 1);
    cr_expect_eq(batch[0]->reply.correlation, 42);
    command_destroy(&batch[0]);
    queue_destroy(&queue);
}

Test(queue, a_batch_is_bounded_by_what_it_touches)
{
    struct queue *queue = queue_new();
    static struct command *batch[8192];
    for (int i = 0; i < 5000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        struct command *c = wish_command(&(struct wish){.claim = 1, .key = key});
        /* other ids, or they would be one command */
        memcpy((char *)c->commit.id.at, &i, sizeof i);
        queue_put(queue, &c);
    }
    size_t count = queue_take(queue, batch, 8192, false), all = count;
    cr_expect_lt(count, 5000);
    while (count) {
        for (size_t i = 0; i < count; i++)
            command_destroy(&batch[i]);
        all += count = queue_take(queue, batch, 8192, false);
    }
    cr_expect_eq(all, 5000);
    queue_destroy(&queue);
}

/* All of it was refused, say, and the first is being written still. */
Test(queue, a_second_batch_that_is_over_leaves_the_first_as_it_was)
{
    struct queue *queue = queue_new();
    const struct row_customer *one = new_customer("cus_1", 1, "");
    put(queue, &(struct wish){.id = 'a', .rows = {{ROW_customer, 0, one}}});
    cr_expect_str_eq(take_beside(queue, 9, false), "a");
    for (int times = 0; times < 3; times++) {
        put(queue, &(struct wish){.id = 'b', .claim = 1, .key = "k"});
        put(queue, &(struct wish){.id = 'a', .rows = {{ROW_customer, 0, one}}});
        cr_expect_str_eq(take_beside(queue, 9, true), "b");
        queue_last_is_over(queue);
        cr_expect_str_eq(take_beside(queue, 9, true), "");
    }
    cr_expect_str_eq(take_beside(queue, 1, false), "a");
    queue_destroy(&queue);
}
