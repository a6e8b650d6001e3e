#include "message.h"

#include "wire.h"
#include <criterion/criterion.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* Every promise is tried on every message of messages.def; M1 to M21 are the rows of
 * RELIABILITY.md, e5. */

enum { BYTES_MAX = 20 << 20, BODY_MAX = 1024, ELEMENT_BYTES = 1 << 16, MANY = 300000 };

static uint8_t bytes[BYTES_MAX], again[BYTES_MAX], list_bytes[2][ELEMENT_BYTES];
static uint8_t kept[ELEMENT_BYTES]; /* the lists of the body that was filled last */
static size_t kept_size;
static char filler[(8 << 20) + 2];

union body {
    uint8_t raw[BODY_MAX];
    uint64_t aligned;
};

static void
start(void)
{
    memset(filler, 'a', sizeof filler);
    for (size_t i = 0; i < message_count; i++)
        cr_assert(messages[i]->size <= BODY_MAX);
}

TestSuite(message, .init = start, .timeout = 120);

#define EACH_MESSAGE(m)                                                                      \
    const struct message *m = messages[0];                                                   \
    for (size_t m##_index = 0; m##_index < message_count && (m = messages[m##_index], true); \
         m##_index++)
#define EACH_FIELD(f, m) \
    for (const struct field *f = m->fields; f < m->fields + m->field_count; f++)

enum amount { LEAST, FEW, MOST };
enum which { ONLY_MUST, ALL };

static size_t
length_of(const struct field *f, enum amount amount)
{
    if (amount == LEAST) return (size_t)f->low;
    if (amount == MOST) return (size_t)f->high;
    return (size_t)(f->low > 3 ? f->low : f->high < 3 ? f->high : 3);
}

static int64_t
number_of(const struct field *f, enum amount amount)
{
    if (amount == LEAST) return f->low;
    if (amount == MOST) return f->high;
    return f->low > 1 ? f->low : 1;
}

/* A good body, until the next one is filled. Lists get one element. */
static void
fill(const struct message *m, union body *body, enum amount amount, enum which which, int depth)
{
    memset(body, 0, sizeof *body);
    if (depth == 0) kept_size = 0;
    EACH_FIELD(f, m)
    {
        void *value = body->raw + f->offset;
        if (which == ONLY_MUST && !f->must) continue;
        *(uint32_t *)(void *)body->raw |= UINT32_C(1) << f->tag;
        switch (f->kind) {
        case FIELD_U64: *(uint64_t *)value = (uint64_t)number_of(f, amount); break;
        case FIELD_I64: *(int64_t *)value = number_of(f, amount); break;
        case FIELD_TEXT:
        case FIELD_BYTES:
            *(struct text *)value = (struct text){filler, length_of(f, amount)};
            break;
        case FIELD_LIST: {
            union body element;
            struct message_list list = {0};
            if (amount == LEAST) break;
            fill(message_find(f->element), &element, FEW, ALL, depth + 1);
            cr_assert(
                message_list_add(&list, f->element, &element, list_bytes[depth], ELEMENT_BYTES));
            /* kept beside the other lists of this body */
            cr_assert(list.size <= sizeof kept - kept_size);
            memcpy(kept + kept_size, list.at, list.size);
            list.at = kept + kept_size;
            kept_size += list.size;
            *(struct message_list *)value = list;
            break;
        }
        }
    }
}

static size_t
encode(const struct message *m, const union body *body)
{
    size_t size;
    cr_assert_eq(message_encode(m->number, body, bytes, sizeof bytes, &size), MESSAGE_OK, "%s",
                 m->name);
    cr_assert(size <= message_size_bound(m->number, body));
    return size;
}

/* Decodes from memory of exactly that size, so that the sanitizer sees a step beyond it. */
static enum message_verdict
decode(const struct message *m, const uint8_t *from, size_t size, union body *body,
       const char **culprit)
{
    const char *ignored;
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, from, size);
    const enum message_verdict v =
        message_decode(m->number, exact, size, body, culprit ? culprit : &ignored);
    free(exact);
    return v;
}

/* --- a message built by hand, with one thing wrong -----------------------------------------------
 */

enum change_kind { NOTHING, DROP, DOUBLE, REPLACE, ADD };

struct change {
    enum change_kind kind;
    const struct field *field; /* DROP, DOUBLE, REPLACE */
    const void *raw;           /* REPLACE: its value; ADD: a tag and a value */
    size_t raw_size;
};

static void
put_value(struct wire_writer *w, const struct field *f, const void *value)
{
    const struct message_list *list = value;
    switch (f->kind) {
    case FIELD_U64: wire_put_uint(w, *(const uint64_t *)value); break;
    case FIELD_I64: wire_put_int(w, *(const int64_t *)value); break;
    case FIELD_TEXT: wire_put_text(w, *(const struct text *)value); break;
    case FIELD_BYTES: wire_put_bytes(w, *(const struct text *)value); break;
    case FIELD_LIST:
        wire_put_array(w, list->count);
        wire_put_raw(w, list->at, list->size);
        break;
    }
}

static size_t
build(const struct message *m, const union body *body, struct change change)
{
    struct wire_writer w;
    uint32_t count = (uint32_t)m->field_count;
    if (change.kind == DROP) count--;
    if (change.kind == DOUBLE || change.kind == ADD) count++;
    wire_writer_init(&w, bytes, sizeof bytes);
    wire_put_map(&w, count);
    EACH_FIELD(f, m)
    {
        const bool changed = change.field == f;
        if (changed && change.kind == DROP) continue;
        for (int i = 0; i < (changed && change.kind == DOUBLE ? 2 : 1); i++) {
            wire_put_uint(&w, f->tag);
            if (changed && change.kind == REPLACE)
                wire_put_raw(&w, change.raw, change.raw_size);
            else
                put_value(&w, f, body->raw + f->offset);
        }
    }
    if (change.kind == ADD) wire_put_raw(&w, change.raw, change.raw_size);
    cr_assert_not(w.full);
    return w.size;
}

#define RAW(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

/* The verdict on a good message whose field holds this instead. */
static enum message_verdict
with(const struct message *m, const struct field *f, const void *raw, size_t raw_size)
{
    union body body, decoded;
    const char *culprit;
    fill(m, &body, FEW, ALL, 0);
    const size_t size = build(m, &body, (struct change){REPLACE, f, raw, raw_size});
    const enum message_verdict v = decode(m, bytes, size, &decoded, &culprit);
    if (v != MESSAGE_OK && v != MESSAGE_MALFORMED) cr_assert_str_eq(culprit, f->name);
    return v;
}

static enum message_verdict
with_text(const struct message *m, const struct field *f, struct text text)
{
    struct wire_writer w;
    wire_writer_init(&w, again, sizeof again);
    if (f->kind == FIELD_BYTES)
        wire_put_bytes(&w, text);
    else
        wire_put_text(&w, text);
    return with(m, f, again, w.size);
}

/* --- promises -----------------------------------------------------------------------------------
 */

Test(message, what_is_encoded_is_what_is_decoded)
{
    static const enum amount amounts[] = {LEAST, FEW, MOST};
    EACH_MESSAGE(m)
    {
        for (int i = 0; i < 6; i++) {
            union body body, decoded;
            size_t size_again;
            fill(m, &body, amounts[i / 2], i % 2 ? ALL : ONLY_MUST, 0);
            const size_t size = encode(m, &body);
            cr_assert_eq(decode(m, bytes, size, &decoded, NULL), MESSAGE_OK, "%s", m->name);
            cr_assert_eq(*(uint32_t *)(void *)decoded.raw, *(uint32_t *)(void *)body.raw);
            const char *culprit;
            cr_assert_eq(message_decode(m->number, bytes, size, &decoded, &culprit), MESSAGE_OK);
            cr_assert_eq(message_encode(m->number, &decoded, again, sizeof again, &size_again),
                         MESSAGE_OK);
            cr_assert_eq(size_again, size);
            cr_assert_eq(memcmp(bytes, again, size), 0, "%s", m->name);
        }
    }
}

Test(message, what_was_decoded_can_follow_its_bytes)
{
    EACH_MESSAGE(m)
    {
        union body body, moved;
        const char *culprit;
        size_t size;
        fill(m, &body, FEW, ALL, 0);
        cr_assert_eq(message_encode(m->number, &body, bytes, sizeof bytes, &size), MESSAGE_OK);
        cr_assert_eq(message_decode(m->number, bytes, size, &moved, &culprit), MESSAGE_OK);
        memcpy(again, bytes, size);
        message_moved(m->number, &moved, bytes, (const char *)again);
        memset(bytes, 0xc1, size); /* nothing is borrowed from here any more */
        size_t size_again;
        cr_assert_eq(message_encode(m->number, &moved, bytes, sizeof bytes, &size_again),
                     MESSAGE_OK);
        cr_expect_eq(size_again, size);
        cr_expect_eq(memcmp(bytes, again, size), 0, "%s", m->name);
    }
}

Test(message, the_encoder_refuses_what_the_decoder_would)
{
    EACH_MESSAGE(m)
    {
        EACH_FIELD(f, m)
        {
            union body body;
            size_t size;
            uint32_t *has = (uint32_t *)(void *)body.raw;
            fill(m, &body, FEW, ALL, 0);
            *has &= ~(UINT32_C(1) << f->tag);
            const enum message_verdict v =
                message_encode(m->number, &body, bytes, sizeof bytes, &size);
            cr_assert_eq(v, f->must ? MESSAGE_FIELD_MISSING : MESSAGE_OK);
            if (f->kind != FIELD_TEXT && f->kind != FIELD_BYTES) continue;
            *has |= UINT32_C(1) << f->tag;
            ((struct text *)(void *)(body.raw + f->offset))->size = (size_t)f->high + 1;
            cr_assert_eq(message_encode(m->number, &body, bytes, sizeof bytes, &size),
                         MESSAGE_FIELD_OUT_OF_RANGE);
        }
    }
}

Test(message, the_encoder_stops_at_every_end_of_the_buffer)
{
    EACH_MESSAGE(m)
    {
        union body body;
        size_t ignored;
        fill(m, &body, FEW, ALL, 0);
        const size_t size = encode(m, &body);
        for (size_t cap = 0; cap < size; cap++) {
            uint8_t *exact = malloc(cap ? cap : 1);
            cr_assert_eq(message_encode(m->number, &body, exact, cap, &ignored), MESSAGE_TOO_LONG);
            free(exact);
        }
    }
}

Test(message, m1_m2_a_frame_cut_anywhere_is_refused)
{
    EACH_MESSAGE(m)
    {
        union body body, decoded;
        fill(m, &body, FEW, ALL, 0);
        const size_t size = encode(m, &body);
        for (size_t cut = 0; cut < size; cut++)
            cr_assert_eq(decode(m, bytes, cut, &decoded, NULL), MESSAGE_MALFORMED, "%s cut at %zu",
                         m->name, cut);
    }
}

/* A bit may change one good value into another; what gets in must be good by the table. */
static void
check_what_got_in(const struct message *m, const uint8_t *from, size_t size)
{
    union body decoded;
    size_t size_again;
    const char *culprit;
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, from, size);
    if (message_decode(m->number, exact, size, &decoded, &culprit) == MESSAGE_OK) {
        cr_assert_null(culprit);
        cr_assert_eq(message_encode(m->number, &decoded, again, sizeof again, &size_again),
                     MESSAGE_OK);
        cr_assert(size_again <= size);
        EACH_FIELD(f, m)
        {
            union body element;
            enum message_verdict v;
            if (f->kind != FIELD_LIST) continue;
            struct message_list list = *(struct message_list *)(void *)(decoded.raw + f->offset);
            while (message_next(&list, f->element, &element, &v))
                cr_assert_eq(v, MESSAGE_OK);
        }
    }
    free(exact);
}

Test(message, m3_with_any_bit_flipped_nothing_bad_gets_in)
{
    EACH_MESSAGE(m)
    {
        union body body;
        fill(m, &body, FEW, ALL, 0);
        const size_t size = encode(m, &body);
        for (size_t bit = 0; bit < 8 * size; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            check_what_got_in(m, bytes, size);
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

struct sample {
    const char *what;
    size_t size;
    uint8_t at[16];
};

// clang-format off
/* What no field may hold and no unknown field either. */
static const struct sample not_ours[] = {
    {"M4 0xc1",                    1, {0xc1}},
    {"M5 str32 of 4 GiB",          5, {0xdb, 0xff, 0xff, 0xff, 0xff}},
    {"M5 bin32 of 4 GiB",          5, {0xc6, 0xff, 0xff, 0xff, 0xff}},
    {"M5 array16 of 65535",        3, {0xdc, 0xff, 0xff}},
    {"M5 array32 of 4 G",          5, {0xdd, 0xff, 0xff, 0xff, 0xff}},
    {"M5 map16 of 65535",          3, {0xde, 0xff, 0xff}},
    {"M5 map32 of 4 G",            5, {0xdf, 0xff, 0xff, 0xff, 0xff}},
    {"M5 ext32 of 4 GiB",          6, {0xc9, 0xff, 0xff, 0xff, 0xff, 0x01}},
    {"M11 float32 1.0",            5, {0xca, 0x3f, 0x80, 0x00, 0x00}},
    {"M11 float64 1.0",            9, {0xcb, 0x3f, 0xf0}},
    {"M11 float64 NaN",            9, {0xcb, 0x7f, 0xf8}},
    {"M11 float64 infinity",       9, {0xcb, 0x7f, 0xf0}},
    {"true",                       1, {0xc3}},
    {"false",                      1, {0xc2}},
    {"M12 1 in two bytes",         2, {0xcc, 0x01}},
    {"M12 127 in two bytes",       2, {0xcc, 0x7f}},
    {"M12 255 in three bytes",     3, {0xcd, 0x00, 0xff}},
    {"M12 65535 in five bytes",    5, {0xce, 0x00, 0x00, 0xff, 0xff}},
    {"M12 2^32-1 in nine bytes",   9, {0xcf, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}},
    {"M12 5 as int8",              2, {0xd0, 0x05}},
    {"M12 -1 as int8",             2, {0xd0, 0xff}},
    {"M12 -32 as int8",            2, {0xd0, 0xe0}},
    {"M12 -128 as int16",          3, {0xd1, 0xff, 0x80}},
    {"M12 -32768 as int32",        5, {0xd2, 0xff, 0xff, 0x80, 0x00}},
    {"M12 -2^31 as int64",         9, {0xd3, 0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0}},
    {"M12 5 as int64",             9, {0xd3, 0, 0, 0, 0, 0, 0, 0, 5}},
    {"M12 str8 of one byte",       3, {0xd9, 1, 'a'}},
    {"M12 str16 of one byte",      4, {0xda, 0, 1, 'a'}},
    {"M12 str32 of one byte",      6, {0xdb, 0, 0, 0, 1, 'a'}},
    {"M12 bin16 of one byte",      4, {0xc5, 0, 1, 'a'}},
    {"M12 bin32 of one byte",      6, {0xc6, 0, 0, 0, 1, 'a'}},
    {"M12 array16 of nothing",     3, {0xdc, 0, 0}},
    {"M12 array32 of nothing",     5, {0xdd, 0, 0, 0, 0}},
    {"M12 map16 of nothing",       3, {0xde, 0, 0}},
    {"M12 map32 of nothing",       5, {0xdf, 0, 0, 0, 0}},
    {"M20 fixext1",                3, {0xd4, 1, 0}},
    {"M20 fixext4",                6, {0xd6, 1, 0, 0, 0, 0}},
    {"M20 timestamp32",            6, {0xd6, 0xff, 0, 0, 0, 1}},
    {"M20 timestamp64",           10, {0xd7, 0xff, 0, 0, 0, 0, 0, 0, 0, 1}},
    {"M20 timestamp96",           15, {0xc7, 12, 0xff}},
    {"M20 ext8",                   4, {0xc7, 1, 1, 0}},
};
// clang-format on

enum { NOT_OURS = sizeof not_ours / sizeof not_ours[0] };

Test(message, m4_m5_m11_m12_m20_what_is_not_ours_is_malformed_wherever_it_stands)
{
    for (size_t i = 0; i < NOT_OURS; i++) {
        const struct sample *s = &not_ours[i];
        EACH_MESSAGE(m)
        {
            union body body, decoded;
            cr_assert_eq(decode(m, s->at, s->size, &decoded, NULL), MESSAGE_MALFORMED, "%s",
                         s->what);
            EACH_FIELD(f, m)
            {
                const enum message_verdict v = with(m, f, s->at, s->size);
                /* containers of many that are not there: refused by kind, or by count, or as cut */
                if (s->at[0] == 0xdc || s->at[0] == 0xde)
                    cr_assert_neq(v, MESSAGE_OK, "%s.%s: %s", m->name, f->name, s->what);
                else
                    cr_assert_eq(v, MESSAGE_MALFORMED, "%s.%s: %s", m->name, f->name, s->what);
            }
            uint8_t unknown[20] = {30};
            memcpy(unknown + 1, s->at, s->size);
            fill(m, &body, FEW, ALL, 0);
            const size_t size = build(m, &body, (struct change){ADD, NULL, unknown, 1 + s->size});
            cr_assert_eq(decode(m, bytes, size, &decoded, NULL), MESSAGE_MALFORMED, "%s", s->what);
        }
    }
}

Test(message, m5_no_count_is_believed)
{
    static const uint8_t heads[] = {0xc6, 0xc9, 0xdb, 0xdd, 0xdf};
    const struct mallinfo2 before = mallinfo2();
    for (size_t i = 0; i < sizeof heads; i++) {
        const uint8_t raw[6] = {heads[i], 0xff, 0xff, 0xff, 0xff, 0x00};
        EACH_MESSAGE(m)
        {
            union body body;
            const char *culprit;
            cr_assert_eq(message_decode(m->number, raw, sizeof raw, &body, &culprit),
                         MESSAGE_MALFORMED);
        }
    }
    const struct mallinfo2 after = mallinfo2();
    cr_assert_eq(before.uordblks, after.uordblks);
    cr_assert_eq(before.hblkhd, after.hblkhd);
}

Test(message, nothing_is_allocated_in_either_direction)
{
    EACH_MESSAGE(m)
    {
        union body body, decoded;
        size_t size;
        const char *culprit;
        fill(m, &body, FEW, ALL, 0);
        const struct mallinfo2 before = mallinfo2();
        const enum message_verdict v = message_encode(m->number, &body, bytes, sizeof bytes, &size);
        const enum message_verdict w = message_decode(m->number, bytes, size, &decoded, &culprit);
        const struct mallinfo2 after = mallinfo2();
        cr_assert_eq(v, MESSAGE_OK);
        cr_assert_eq(w, MESSAGE_OK);
        cr_assert_eq(before.uordblks, after.uordblks);
        cr_assert_eq(before.hblkhd, after.hblkhd);
    }
}

Test(message, m6_what_nests_too_deep_is_malformed)
{
    static const size_t depths[] = {WIRE_DEPTH_MAX + 1, 33, 100, 100000};
    static uint8_t raw[100002];
    const struct message *m = message_find(MSG_ping);
    union body body, decoded;
    fill(m, &body, FEW, ALL, 0);
    raw[0] = 30;
    for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
        for (int map = 0; map < 2; map++) {
            size_t at = 1, size;
            memset(raw + 1, map ? 0x80 : 0x91, sizeof raw - 1);
            if (map) /* maps, each the value of a one in the one above */
                for (; at < depths[i]; at += 2) {
                    raw[at] = 0x81;
                    raw[at + 1] = 1;
                }
            raw[depths[i] + 1] = 0xc0;
            size = build(m, &body, (struct change){ADD, NULL, raw, map ? at + 1 : depths[i] + 2});
            const enum message_verdict v = decode(m, bytes, size, &decoded, NULL);
            if (!map || depths[i] / 2 > WIRE_DEPTH_MAX) cr_assert_eq(v, MESSAGE_MALFORMED);
        }
    }
    memset(raw + 1, 0x91, WIRE_DEPTH_MAX);
    raw[WIRE_DEPTH_MAX + 1] = 0xc0;
    const size_t size = build(m, &body, (struct change){ADD, NULL, raw, WIRE_DEPTH_MAX + 2});
    cr_assert_eq(decode(m, bytes, size, &decoded, NULL), MESSAGE_OK);
}

Test(message, m7_a_field_given_twice_is_refused_by_name)
{
    EACH_MESSAGE(m)
    {
        EACH_FIELD(f, m)
        {
            union body body, decoded;
            const char *culprit;
            fill(m, &body, FEW, ALL, 0);
            const size_t size = build(m, &body, (struct change){.kind = DOUBLE, .field = f});
            cr_assert_eq(decode(m, bytes, size, &decoded, &culprit), MESSAGE_FIELD_REPEATED);
            cr_assert_str_eq(culprit, f->name);
        }
    }
}

Test(message, m8_m9_m15_another_kind_is_refused_by_name)
{
    EACH_MESSAGE(m)
    {
        EACH_FIELD(f, m)
        {
            const enum message_verdict wrong = MESSAGE_FIELD_OF_WRONG_KIND;
            cr_assert_eq(with(m, f, RAW(0xc0)), wrong);       /* nil */
            cr_assert_eq(with(m, f, RAW(0x81, 1, 1)), wrong); /* a map */
            if (f->kind == FIELD_U64) cr_assert_eq(with(m, f, RAW(0xff)), wrong);
            if (f->kind != FIELD_U64 && f->kind != FIELD_I64) {
                cr_assert_eq(with(m, f, RAW(0x01)), wrong);
                cr_assert_eq(with(m, f, RAW(0xff)), wrong);
            }
            if (f->kind != FIELD_TEXT) cr_assert_eq(with(m, f, RAW(0xa1, 'a')), wrong);
            if (f->kind != FIELD_BYTES) cr_assert_eq(with(m, f, RAW(0xc4, 1, 'a')), wrong);
            if (f->kind != FIELD_LIST) cr_assert_eq(with(m, f, RAW(0x90)), wrong);
        }
    }
}

Test(message, m10_a_number_beyond_int64_is_refused)
{
    EACH_MESSAGE(m)
    {
        EACH_FIELD(f, m)
        {
            if (f->kind != FIELD_U64 && f->kind != FIELD_I64) continue;
            cr_assert_neq(with(m, f, RAW(0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0)), MESSAGE_OK);
            cr_assert_neq(with(m, f, RAW(0xcf, 255, 255, 255, 255, 255, 255, 255, 255)),
                          MESSAGE_OK);
            cr_assert_neq(with(m, f, RAW(0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0)), MESSAGE_OK);
        }
    }
}

Test(message, a_number_out_of_its_bounds_is_refused)
{
    EACH_MESSAGE(m)
    {
        EACH_FIELD(f, m)
        {
            uint8_t raw[9];
            struct wire_writer w;
            if (f->kind != FIELD_U64 && f->kind != FIELD_I64) continue;
            wire_writer_init(&w, raw, sizeof raw);
            if (f->high < INT64_MAX) {
                wire_put_int(&w, f->high + 1);
                cr_assert_eq(with(m, f, raw, w.size), MESSAGE_FIELD_OUT_OF_RANGE);
            }
            wire_writer_init(&w, raw, sizeof raw);
            wire_put_int(&w, f->low - 1);
            cr_assert_neq(with(m, f, raw, w.size), MESSAGE_OK);
        }
    }
}

// clang-format off
static const struct sample bad_utf8[] = {
    {"a continuation alone",      1, {0x80}},
    {"overlong /",                2, {0xc0, 0xaf}},
    {"overlong in two",           2, {0xc1, 0xbf}},
    {"two, cut",                  1, {0xc3}},
    {"two, second is ASCII",      2, {0xc3, 'a'}},
    {"overlong in three",         3, {0xe0, 0x9f, 0xbf}},
    {"three, cut",                2, {0xe2, 0x82}},
    {"three, third is ASCII",     3, {0xe2, 0x82, 'a'}},
    {"a surrogate",               3, {0xed, 0xa0, 0x80}},
    {"the last surrogate",        3, {0xed, 0xbf, 0xbf}},
    {"overlong in four",          4, {0xf0, 0x8f, 0xbf, 0xbf}},
    {"four, cut",                 3, {0xf0, 0x9f, 0x98}},
    {"beyond U+10FFFF",           4, {0xf4, 0x90, 0x80, 0x80}},
    {"0xf5",                      4, {0xf5, 0x80, 0x80, 0x80}},
    {"0xff",                      1, {0xff}},
    {"M16 NUL",                   1, {0x00}},
};

static const struct sample good_utf8[] = {
    {"U+007F",   1, {0x7f}},
    {"U+0080",   2, {0xc2, 0x80}},
    {"U+07FF",   2, {0xdf, 0xbf}},
    {"U+0800",   3, {0xe0, 0xa0, 0x80}},
    {"U+D7FF",   3, {0xed, 0x9f, 0xbf}},
    {"U+E000",   3, {0xee, 0x80, 0x80}},
    {"U+FFFF",   3, {0xef, 0xbf, 0xbf}},
    {"U+10000",  4, {0xf0, 0x90, 0x80, 0x80}},
    {"U+10FFFF", 4, {0xf4, 0x8f, 0xbf, 0xbf}},
};
// clang-format on

/* At every place in a text of up to 40 bytes: the check goes eight bytes at a time. */
static void
check_clean(const struct sample *s, bool clean)
{
    for (size_t before = 0; before < 20; before++) {
        for (size_t after = 0; after < 20; after++) {
            const size_t size = before + s->size + after;
            char *text = malloc(size);
            memset(text, 'a', size);
            memcpy(text + before, s->at, s->size);
            cr_assert_eq(wire_text_is_clean(text, size), clean, "%s at %zu of %zu", s->what, before,
                         size);
            free(text);
        }
    }
}

Test(message, m13_m16_text_is_utf8_without_nul)
{
    for (size_t i = 0; i < sizeof bad_utf8 / sizeof bad_utf8[0]; i++)
        check_clean(&bad_utf8[i], false);
    for (size_t i = 0; i < sizeof good_utf8 / sizeof good_utf8[0]; i++)
        check_clean(&good_utf8[i], true);
    cr_assert(wire_text_is_clean(NULL, 0));
    for (size_t size = 1; size < 64; size++)
        cr_assert(wire_text_is_clean(filler, size));

    EACH_MESSAGE(m)
    {
        EACH_FIELD(f, m)
        {
            char text[64];
            if (f->kind != FIELD_TEXT) continue;
            const size_t size = (size_t)(f->low > 1 ? f->low : 1);
            for (size_t i = 0; i < sizeof bad_utf8 / sizeof bad_utf8[0]; i++) {
                if (bad_utf8[i].size > size) continue;
                memset(text, 'a', sizeof text);
                memcpy(text + size - bad_utf8[i].size, bad_utf8[i].at, bad_utf8[i].size);
                cr_assert_eq(with_text(m, f, (struct text){text, size}), MESSAGE_FIELD_OUT_OF_RANGE,
                             "%s.%s: %s", m->name, f->name, bad_utf8[i].what);
            }
        }
    }
}

Test(message, m17_a_length_out_of_its_bounds_is_refused)
{
    EACH_MESSAGE(m)
    {
        EACH_FIELD(f, m)
        {
            if (f->kind != FIELD_TEXT && f->kind != FIELD_BYTES) continue;
            const struct text longer = {filler, (size_t)f->high + 1};
            cr_assert_eq(with_text(m, f, longer), MESSAGE_FIELD_OUT_OF_RANGE);
            if (f->low == 0) continue;
            const struct text shorter = {filler, (size_t)f->low - 1};
            cr_assert_eq(with_text(m, f, shorter), MESSAGE_FIELD_OUT_OF_RANGE);
        }
    }
}

Test(message, m14_a_byte_behind_the_end_is_malformed)
{
    EACH_MESSAGE(m)
    {
        union body body, decoded;
        fill(m, &body, FEW, ALL, 0);
        const size_t size = encode(m, &body);
        for (int byte = 0; byte < 256; byte++) {
            bytes[size] = (uint8_t)byte;
            cr_assert_eq(decode(m, bytes, size + 1, &decoded, NULL), MESSAGE_MALFORMED);
            cr_assert_eq(*(uint32_t *)(void *)decoded.raw, 0);
        }
    }
}

Test(message, m18_fields_that_are_not_known_are_skipped)
{
    static const struct sample unknown[] = {
        {"a number", 2, {30, 7}},
        {"a tag of two bytes", 4, {0xcd, 1, 0, 7}},
        {"a text", 4, {30, 0xa2, 'h', 'i'}},
        {"nil", 2, {30, 0xc0}},
        {"a map", 4, {30, 0x81, 1, 0x91}},
        {"an array", 4, {30, 0x92, 1, 2}},
    };
    EACH_MESSAGE(m)
    {
        union body body, decoded;
        const char *culprit;
        size_t size_again;
        fill(m, &body, FEW, ALL, 0);
        for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
            struct change change = {ADD, NULL, unknown[i].at, unknown[i].size};
            uint8_t whole[8];
            if (unknown[i].at[1] == 0x81) { /* the array in that map needs its element */
                memcpy(whole, unknown[i].at, 4);
                whole[4] = 9;
                change.raw = whole;
                change.raw_size = 5;
            }
            const size_t size = build(m, &body, change);
            cr_assert_eq(message_decode(m->number, bytes, size, &decoded, &culprit), MESSAGE_OK,
                         "%s: %s", m->name, unknown[i].what);
            cr_assert_eq(message_encode(m->number, &decoded, again, sizeof again, &size_again),
                         MESSAGE_OK);
            cr_assert(size_again < size);
        }
    }
}

Test(message, m19_a_field_that_must_be_there_is_missed_by_name)
{
    EACH_MESSAGE(m)
    {
        EACH_FIELD(f, m)
        {
            union body body, decoded;
            const char *culprit;
            fill(m, &body, FEW, ALL, 0);
            const size_t size = build(m, &body, (struct change){.kind = DROP, .field = f});
            const enum message_verdict v = decode(m, bytes, size, &decoded, &culprit);
            cr_assert_eq(v, f->must ? MESSAGE_FIELD_MISSING : MESSAGE_OK);
            if (f->must) cr_assert_str_eq(culprit, f->name);
            if (!f->must) cr_assert_eq(*(uint32_t *)(void *)decoded.raw & UINT32_C(1) << f->tag, 0);
        }
    }
}

Test(message, a_body_longer_than_the_limit_is_not_looked_at)
{
    union body body;
    const char *culprit;
    cr_assert_eq(message_decode(MSG_ping, bytes, MESSAGE_BYTES_MAX + 1, &body, &culprit),
                 MESSAGE_TOO_LONG);
}

/* A xorshift of our own, so that a failure can be had again. */
static uint64_t
chance(void)
{
    static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

Test(message, m21_whatever_bytes_come_nothing_bad_gets_in)
{
    static uint8_t mutant[ELEMENT_BYTES];
    EACH_MESSAGE(m)
    {
        union body body;
        fill(m, &body, FEW, ALL, 0);
        const size_t size = encode(m, &body);
        cr_assert(size < sizeof mutant - 64);
        for (size_t i = 0; i < MANY / message_count; i++) {
            size_t mutant_size = size;
            memcpy(mutant, bytes, size);
            for (uint64_t changes = 1 + chance() % 4; changes > 0; changes--) {
                const size_t at = chance() % (mutant_size ? mutant_size : 1);
                switch (chance() % 4) {
                case 0: mutant[at] = (uint8_t)chance(); break;
                case 1: mutant[at] = not_ours[chance() % NOT_OURS].at[0]; break;
                case 2: mutant_size = at; break;
                default:
                    memmove(mutant + at + 1, mutant + at, mutant_size - at);
                    mutant[at] = (uint8_t)chance();
                    mutant_size++;
                }
            }
            check_what_got_in(m, mutant, mutant_size);
        }
    }
}

/* --- lists --------------------------------------------------------------------------------------
 */

Test(message, a_list_is_walked_to_its_end)
{
    struct message_list list = {0};
    struct msg_entry entry = {.has = HAS_entry_account | HAS_entry_currency | HAS_entry_amount,
                              .currency = TEXT("usd")};
    enum message_verdict v;
    for (uint64_t i = 1; i <= 16; i++) {
        entry.account = i;
        entry.amount = i % 2 ? 100 : -100;
        cr_assert(message_list_add(&list, MSG_entry, &entry, list_bytes[0], ELEMENT_BYTES));
    }
    for (uint64_t i = 1; i <= 16; i++) {
        cr_assert(message_next(&list, MSG_entry, &entry, &v));
        cr_assert_eq(entry.account, i);
    }
    cr_assert_not(message_next(&list, MSG_entry, &entry, &v));
    cr_assert_eq(v, MESSAGE_OK);
}

Test(message, an_element_that_is_malformed_ends_the_list_with_a_verdict)
{
    static const uint8_t raw[] = {0x80};
    struct message_list list = {raw, sizeof raw, 1};
    struct msg_entry entry;
    enum message_verdict v;
    cr_assert_not(message_next(&list, MSG_entry, &entry, &v));
    cr_assert_eq(v, MESSAGE_FIELD_MISSING);
}

Test(message, a_list_of_too_many_is_refused)
{
    const struct message *m = message_find(MSG_posting);
    const struct field *f = &m->fields[2];
    cr_assert_eq(f->kind, FIELD_LIST);
    uint8_t raw[20] = {0xdc, 0, 17}; /* sixteen are allowed */
    cr_assert_eq(with(m, f, raw, sizeof raw), MESSAGE_FIELD_OUT_OF_RANGE);
}

Test(message, an_element_that_does_not_fit_leaves_the_list_as_it_was)
{
    struct message_list list = {0};
    uint8_t small[30];
    const struct msg_entry entry = {.has =
                                        HAS_entry_account | HAS_entry_currency | HAS_entry_amount,
                                    .account = 1,
                                    .currency = TEXT("usd"),
                                    .amount = 5};
    while (message_list_add(&list, MSG_entry, &entry, small, sizeof small))
        continue;
    const struct message_list before = list;
    cr_assert(before.count > 0);
    cr_assert_not(message_list_add(&list, MSG_entry, &entry, small, sizeof small));
    cr_assert_eq(memcmp(&before, &list, sizeof list), 0);
}

/* --- names --------------------------------------------------------------------------------------
 */

Test(message, roles_are_whole_words)
{
    cr_assert(roles_include("gateway broker", "gateway"));
    cr_assert(roles_include("gateway broker", "broker"));
    cr_assert(roles_include("*", "anybody"));
    cr_assert_not(roles_include("gateway broker", "gate"));
    cr_assert_not(roles_include("gateway broker", "broke"));
    cr_assert_not(roles_include("gateway broker", ""));
    cr_assert_not(roles_include("", "gateway"));
    cr_assert_not(roles_include("gateway broker", "gateway broker"));
}

Test(message, every_role_that_a_message_names_is_one)
{
    static const char *const roles[] = {
#define ROLE(name, doc) #name,
#include "roles.def"
#undef ROLE
    };
    EACH_MESSAGE(m)
    {
        const char *const lists[] = {m->from, m->to};
        for (int i = 0; i < 2; i++) {
            for (const char *at = lists[i]; *at && strcmp(at, "*");) {
                char word[32] = "";
                bool found = false;
                memcpy(word, at, strcspn(at, " "));
                for (size_t r = 0; r < sizeof roles / sizeof roles[0]; r++)
                    if (strcmp(roles[r], word) == 0) found = true;
                cr_assert(found, "%s: %s", m->name, word);
                at += strlen(word);
                at += strspn(at, " ");
            }
        }
    }
}

Test(message, is_found_by_number_and_by_name)
{
    EACH_MESSAGE(m)
    {
        cr_assert_eq(message_find(m->number), m);
        cr_assert_eq(message_named(m->name), m);
    }
    cr_assert_null(message_find(0));
    cr_assert_null(message_named("nothing"));
}
