#include "shelf.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

static struct card_record
record_of(int number)
{
    struct card_record record = {.merchant = "acct_one"};
    snprintf(record.token, sizeof record.token, "card_%08d", number);
    memcpy(record.identity, &number, sizeof number);
    return record;
}

static bool
is_there(struct shelf *shelf, int number)
{
    const struct card_record record = record_of(number);
    const struct card_record *by_token = shelf_by_token(shelf, text_of(record.token));
    const struct card_record *by_identity = shelf_by_identity(shelf, record.identity);
    cr_expect(by_token == by_identity);
    if (by_token) cr_expect(eq(int, memcmp(by_token, &record, sizeof record), 0));
    return by_token != NULL;
}

Test(shelf, what_was_put_is_found_by_token_and_by_identity)
{
    struct shelf *shelf = shelf_new(8);
    for (int i = 0; i < 8; i++) {
        const struct card_record record = record_of(i);
        shelf_put(shelf, &record);
        shelf_put(shelf, &record); /* a second time changes nothing */
    }
    for (int i = 0; i < 8; i++)
        cr_expect(is_there(shelf, i));
    cr_expect(not(is_there(shelf, 8)));
    shelf_destroy(&shelf);
    shelf_destroy(&shelf);
}

Test(shelf, it_never_holds_more_than_its_room_and_what_is_wanted_stays)
{
    enum { ROOM = 8, MANY = 1000 };
    struct shelf *shelf = shelf_new(ROOM);
    for (int i = 0; i < MANY; i++) {
        const struct card_record record = record_of(i);
        shelf_put(shelf, &record);
        cr_expect(is_there(shelf, 0), "asked for after each of the others");
    }
    int there = 0;
    for (int i = 0; i < MANY; i++)
        there += is_there(shelf, i);
    cr_expect(eq(int, there, ROOM));
    shelf_destroy(&shelf);
}
