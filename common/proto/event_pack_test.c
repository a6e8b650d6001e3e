#include "event_pack.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(event_pack, .timeout = 60);

enum { BYTES_MAX = 8 << 20 };
static uint8_t bytes[BYTES_MAX];
static char memory[BYTES_MAX], large[(1 << 20) + 64];

static struct told_event
told(const char *id, const char *type, const char *data)
{
    return (struct told_event){.id = text_of(id),
                               .type = text_of(type),
                               .object = TEXT("pi_1"),
                               .data = text_of(data),
                               .api_version = TEXT("2026-10-28.endive"),
                               .created = 1795453265};
}

/* The event_writes that the events become. */
static size_t
written(const struct told_event *events, size_t count, struct msg_event_write *out)
{
    struct message_list list = {NULL, 0, 0};
    enum message_verdict verdict;
    size_t found = 0;
    const size_t cap = events_write_bound(events, count);
    cr_assert_leq(cap, BYTES_MAX);
    cr_assert(events_write(&list, events, count, bytes, cap));
    while (message_next(&list, MSG_event_write, &out[found], &verdict))
        found++;
    cr_assert_eq(verdict, MESSAGE_OK);
    return found;
}

static void
expect_told(struct text packed, uint64_t nth, struct text data, struct text previous)
{
    struct text d, p;
    cr_assert(event_unpack(packed, nth, memory, event_unpack_bound(packed), &d, &p));
    cr_expect(text_equal(d, data));
    cr_expect(text_equal(p, previous));
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
static const char dictionary_1[] =
#include "event_dictionary_1.inc"
    ;
#pragma GCC diagnostic pop

/* Every event that was ever packed with it needs it as it was. */
Test(event_pack, the_dictionary_is_never_changed)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i + 1 < sizeof dictionary_1; i++)
        hash = (hash ^ (uint8_t)dictionary_1[i]) * UINT64_C(1099511628211);
    cr_expect_eq(sizeof dictionary_1, 9351 + 1);
    cr_expect_eq(hash, UINT64_C(0x5d126ede5ef61d47));
}

Test(event_pack, what_a_payment_tells_shares_a_row_and_comes_back)
{
    struct told_event events[] = {
        told("evt_A0", "payment_intent.created", "{\"id\":\"pi_1\",\"status\":\"processing\"}"),
        told("evt_A1", "charge.succeeded", "{\"id\":\"ch_1\",\"paid\":true}"),
        told("evt_A2", "payment_intent.succeeded", "{\"id\":\"pi_1\",\"status\":\"succeeded\"}"),
        told("evt_A3", "charge.updated", "{\"id\":\"ch_1\",\"paid\":true,\"more\":1}"),
    };
    struct msg_event_write w[4];
    struct text data, previous;
    events[3].previous = TEXT("{\"more\":null}");
    cr_assert_eq(written(events, 4, w), 4);
    for (size_t i = 0; i < 4; i++) {
        cr_expect(text_equal(w[i].id, events[i].id) && text_equal(w[i].type, events[i].type));
        cr_expect_eq(w[i].packed.at != NULL, i == 3);
        expect_told(w[3].packed, i + 1, events[i].data, events[i].previous);
    }
    const size_t bound = event_unpack_bound(w[3].packed);
    cr_expect_not(event_unpack(w[3].packed, 0, memory, bound, &data, &previous));
    cr_expect_not(event_unpack(w[3].packed, 5, memory, bound, &data, &previous));
    cr_expect_not(event_unpack(w[3].packed, 1, memory, bound - 1, &data, &previous));
}

Test(event_pack, events_that_must_be_found_each_have_a_row_each)
{
    const struct {
        struct told_event events[2];
        bool share;
    } rows[] = {
        {{told("evt_A0", "charge.succeeded", "{}"), told("evt_A1", "charge.updated", "{}")}, true},
        {{told("evt_A0", "charge.succeeded", "{}"), told("evt_A1", "charge.refunded", "{}")},
         false},
        {{told("evt_A0", "charge.succeeded", "{}"), told("evt_B1", "charge.updated", "{}")}, false},
        {{told("evt_A1", "charge.succeeded", "{}"), told("evt_A2", "charge.updated", "{}")}, false},
    };
    struct msg_event_write w[2];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert_eq(written(rows[i].events, 2, w), 2);
        cr_expect_eq(w[0].packed.at == NULL, rows[i].share, "%zu", i);
        cr_expect(w[1].packed.at);
    }
    struct told_event other[] = {rows[0].events[0], rows[0].events[1]};
    other[1].created++;
    cr_assert_eq(written(other, 2, w), 2);
    cr_expect(w[0].packed.at);
    other[1] = rows[0].events[1];
    other[1].api_version = TEXT("2024-06-20");
    cr_assert_eq(written(other, 2, w), 2);
    cr_expect(w[0].packed.at);
}

/* Noise, so that it becomes no shorter. */
static struct text
noise(size_t size)
{
    uint32_t state = 1;
    cr_assert_lt(size, sizeof large);
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525 + 1013904223;
        large[i] = (char)('0' + (state >> 24) % 75);
    }
    large[size] = 0;
    return (struct text){large, size};
}

Test(event_pack, long_ones_have_a_row_each_and_the_longest_is_the_longest)
{
    struct told_event events[16];
    struct msg_event_write w[16];
    char ids[16][8];
    for (size_t i = 0; i < 16; i++) {
        snprintf(ids[i], sizeof ids[i], "evt_A%zx", i);
        if (i >= 10) ids[i][5] = (char)('A' + i - 10);
        events[i] = told(ids[i], "charge.updated", "{}");
        events[i].data = noise(2000);
    }
    cr_assert_eq(written(events, 16, w), 16);
    cr_expect_null(w[0].packed.at);
    expect_told(w[15].packed, 16, events[15].data, NO_TEXT);
    for (size_t i = 0; i < 16; i++)
        events[i].data = noise(40000);
    cr_assert_eq(written(events, 16, w), 16);
    for (size_t i = 0; i < 16; i++)
        expect_told(w[i].packed, 1, events[i].data, NO_TEXT);
    events[0].data = noise(1 << 20);
    cr_assert_eq(written(events, 1, w), 1);
    expect_told(w[0].packed, 1, events[0].data, NO_TEXT);
    struct message_list list = {NULL, 0, 0};
    events[0].data = noise((1 << 20) + 1);
    cr_expect_not(events_write(&list, events, 1, bytes, BYTES_MAX));
    events[0].data = TEXT("{}");
    cr_expect_not(events_write(&list, events, 1, bytes, 16));
}

/* As etc/schema.sql writes what version 5 left: a message each, one of them leaning on another. */
Test(event_pack, rows_that_are_not_packed_are_read)
{
    static const char row[] = "\0"
                              "\x83\x01\xae{\"paid\":false}\x02\xa2{}\x03\x02"
                              "\x81\x01\xb9{\"id\":\"ch_1\",\"paid\":true}";
    const struct text packed = {row, sizeof row - 1};
    struct text data, previous;
    expect_told(packed, 1, TEXT("{\"id\":\"ch_1\",\"paid\":false}"), TEXT("{}"));
    cr_expect_not(event_unpack((struct text){row, 25}, 1, memory, sizeof memory, &data, &previous));
}

Test(event_pack, whatever_is_broken_is_refused)
{
    struct told_event event = told("evt_A0", "charge.succeeded", "{\"id\":\"ch_1\"}");
    struct msg_event_write w;
    struct text data, previous;
    uint8_t packed[256];
    cr_assert_eq(written(&event, 1, &w), 1);
    const size_t size = w.packed.size;
    cr_assert_leq(size, sizeof packed);
    for (size_t at = 0; at < size; at++)
        for (int change = 1; change < 256; change++) {
            memcpy(packed, w.packed.at, size);
            packed[at] ^= (uint8_t)change;
            const struct text broken = {(const char *)packed, size};
            const size_t bound = event_unpack_bound(broken);
            char *const exact = malloc(bound + 1); /* the sanitizer watches its end */
            if (event_unpack(broken, 1, exact, bound, &data, &previous))
                cr_assert(data.at && data.size >= 2);
            free(exact);
        }
    for (size_t shorter = 0; shorter < size; shorter++) {
        const struct text broken = {w.packed.at, shorter};
        cr_expect_not(
            event_unpack(broken, 1, memory, event_unpack_bound(broken), &data, &previous));
    }
    cr_expect_eq(event_unpack_bound(NO_TEXT), 0);
}
