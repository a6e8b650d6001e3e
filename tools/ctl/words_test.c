#include "words.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct arena *arena;
static char error[256];

static void
start(void)
{
    arena = arena_new(1 << 20);
}

static void
end(void)
{
    arena_destroy(&arena);
}

TestSuite(words, .init = start, .fini = end);

static bool
read_words(const char *name, void *body, const char *const words[])
{
    size_t count = 0;
    while (words[count])
        count++;
    return words_read(message_named(name), words, count, body, arena, error, sizeof error);
}

static char *
printed(const char *name, const void *body, enum words_style style)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    words_print(out, message_named(name), body, style);
    fclose(out);
    return text;
}

Test(words, numbers_texts_and_bytes_are_read_as_the_table_says)
{
    struct msg_commit body;
    const char *const words[] = {"merchant=acct_1", "id=hex:000102030405060708090a0b0c0d0e0f",
                                 "epoch=7", NULL};
    cr_assert(read_words("commit", &body, words), "%s", error);
    cr_assert(text_is(body.merchant, "acct_1"));
    cr_assert_eq(body.id.size, 16);
    cr_assert_eq(body.id.at[15], 15);
    cr_assert_eq(body.epoch, 7);
    cr_assert_eq(body.has, (uint32_t)(HAS_commit_merchant | HAS_commit_id | HAS_commit_epoch));
}

Test(words, a_list_is_read_by_index_and_printed_the_same_way)
{
    struct msg_posting body;
    const char *const words[] = {"kind=charge",
                                 "source=ch_123456",
                                 "entries[0].account=1",
                                 "entries[0].currency=usd",
                                 "entries[0].amount=5",
                                 "entries[1].account=2",
                                 "entries[1].currency=usd",
                                 "entries[1].amount=-5",
                                 NULL};
    cr_assert(read_words("posting", &body, words), "%s", error);
    cr_assert_eq(body.entries.count, 2);
    char *text = printed("posting", &body, WORDS_LINES);
    for (size_t i = 0; words[i]; i++)
        cr_assert_not_null(strstr(text, words[i]), "%s", words[i]);
    free(text);
    text = printed("posting", &body, WORDS_JSON);
    cr_assert_str_eq(text, "{\"kind\":\"charge\",\"source\":\"ch_123456\",\"entries\":["
                           "{\"account\":1,\"currency\":\"usd\",\"amount\":5},"
                           "{\"account\":2,\"currency\":\"usd\",\"amount\":-5}]}");
    free(text);
}

Test(words, what_fits_no_field_is_refused_by_name)
{
    static const char *const wrong[] = {
        "amount=2000",
        "merchant",
        "epoch=-1",
        "epoch=1x",
        "epoch=",
        "id=hex:0",
        "id=hex:zz",
        "rows=1",
        "merchant.x=1",
        "id=form:a=%x",
        "id=@/nonexistent",
        "postings[0].oh=1",
        "postings[0].kind=charge",
    };
    struct msg_commit body;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *const words[] = {wrong[i], NULL};
        cr_assert_not(read_words("commit", &body, words), "%s", wrong[i]);
        cr_assert_neq(error[0], 0);
    }
    const char *const twice[] = {"epoch=1", "epoch=2", NULL};
    cr_assert_not(read_words("commit", &body, twice));
}

Test(words, what_would_break_a_line_of_json_is_escaped)
{
    const struct msg_refused body = {.has = HAS_refused_code | HAS_refused_reason,
                                     .code = TEXT("busy"),
                                     .reason = TEXT("a \"b\"\n\\\x01")};
    char *text = printed("refused", &body, WORDS_JSON);
    cr_assert_str_eq(text, "{\"code\":\"busy\",\"reason\":\"a \\\"b\\\"\\n\\\\\\u0001\"}");
    free(text);
}
