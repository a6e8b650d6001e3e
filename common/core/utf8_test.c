#include "utf8.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

Test(utf8, only_the_shortest_form_of_real_characters_is_clean)
{
    static const char *const clean[] = {"", "a", "é", "€", "😀", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"};
    static const char *const foul[] = {
        "\x80", "\xc0\xaf",         "\xc1\xbf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\xaf",
        "\xf5", "\xf4\x90\x80\x80", "\xc3",     "\xe2\x82",     "a\xff"};
    for (size_t i = 0; i < sizeof clean / sizeof clean[0]; i++)
        cr_expect(utf8_is_clean(text_of(clean[i])), "%zu", i);
    for (size_t i = 0; i < sizeof foul / sizeof foul[0]; i++)
        cr_expect(not(utf8_is_clean(text_of(foul[i]))), "%zu", i);
    cr_expect(not(utf8_is_clean((struct text){"a\0b", 3})));
}

Test(utf8, characters_are_counted_and_never_cut)
{
    cr_expect(eq(sz, utf8_count(text_of("a€é")), 3));
    cr_expect(eq(sz, utf8_cut(text_of("a€é"), 3).size, 1));
    cr_expect(eq(sz, utf8_cut(text_of("a€é"), 4).size, 4));
    cr_expect(eq(sz, utf8_cut(text_of("a€é"), 9).size, 6));
}
