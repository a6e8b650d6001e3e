#include "pending.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>

static struct pending *
add(struct pendings *pendings, int number)
{
    char reference[32];
    snprintf(reference, sizeof reference, "att_%d", number);
    return pendings_add(pendings, text_of(reference));
}

static struct pending *
find(struct pendings *pendings, int number)
{
    char reference[32];
    snprintf(reference, sizeof reference, "att_%d", number);
    return pendings_find(pendings, text_of(reference));
}

Test(pending, one_is_found_by_reference_and_by_the_question_asked_for_it)
{
    struct pendings *pendings = pendings_new();
    struct pending *one = add(pendings, 1), *two = add(pendings, 2);
    cr_expect(find(pendings, 1) == one);
    cr_expect(find(pendings, 2) == two);
    cr_expect(find(pendings, 3) == NULL);
    cr_expect(pendings_asked(pendings, one->correlation) == one);
    const uint64_t old = one->correlation;
    pendings_remove(pendings, one);
    cr_expect(find(pendings, 1) == NULL);
    cr_expect(pendings_asked(pendings, old) == NULL);
    struct pending *again = add(pendings, 1);
    cr_expect(again == one, "the place is used again");
    cr_expect(pendings_asked(pendings, old) == NULL, "an answer that comes late is nobody's");
    cr_expect(pendings_asked(pendings, 0) == NULL);
    pendings_destroy(&pendings);
    pendings_destroy(&pendings);
}

Test(pending, there_is_a_limit_and_the_oldest_comes_first)
{
    struct pendings *pendings = pendings_new();
    for (int i = 0; i < PENDING_MAX; i++)
        cr_assert(add(pendings, i) != NULL);
    cr_expect(add(pendings, PENDING_MAX) == NULL, "the limit is reached");
    for (int i = 0; i < PENDING_MAX; i += 2)
        pendings_remove(pendings, find(pendings, i));
    int expected = 1;
    for (struct pending *p = pendings_oldest(pendings); p; p = pendings_newer(pendings, p)) {
        char reference[32];
        snprintf(reference, sizeof reference, "att_%d", expected);
        cr_expect(eq(str, p->reference, reference));
        expected += 2;
    }
    cr_expect(eq(u32, pendings_count(pendings), PENDING_MAX / 2));
    cr_expect(add(pendings, PENDING_MAX) != NULL);
    pendings_destroy(&pendings);
}

Test(pending, only_so_many_may_wait_for_one)
{
    struct pendings *pendings = pendings_new();
    struct pending *one = add(pendings, 1);
    const struct waiter waiter = {.operation = 5};
    for (int i = 0; i < WAITERS_MAX; i++)
        cr_expect(pending_wait(one, &waiter));
    cr_expect(not(pending_wait(one, &waiter)), "the limit is reached");
    pendings_destroy(&pendings);
}
