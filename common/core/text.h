/* text: a slice of somebody else's bytes.
 *
 * What crosses the system is mostly text of unknown length that lives in a frame, a row or an
 * arena. A slice borrows it: it never owns, it is not NUL-terminated, and `at == NULL` says that
 * there is no text at all, which is not the same as an empty one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    const char *at;
    size_t size;
};

#define NO_TEXT ((struct text){NULL, 0})
/* A literal as a text, its length counted by the compiler. */
#define TEXT(literal) ((struct text){"" literal, sizeof(literal) - 1})

static inline struct text
text_of(const char *string)
{
    return (struct text){string, string ? strlen(string) : 0};
}

static inline bool
text_equal(struct text a, struct text b)
{
    if (!a.at || !b.at) return a.at == b.at;
    return a.size == b.size && memcmp(a.at, b.at, a.size) == 0;
}

static inline bool
text_is(struct text a, const char *string)
{
    return a.at && a.size == strlen(string) && memcmp(a.at, string, a.size) == 0;
}

static inline bool
text_starts(struct text a, const char *prefix)
{
    const size_t size = strlen(prefix);
    return a.at && a.size >= size && memcmp(a.at, prefix, size) == 0;
}

/* Byte order, a shorter one before its continuations: the order of COLLATE "C". */
static inline int
text_compare(struct text a, struct text b)
{
    const size_t shorter = a.size < b.size ? a.size : b.size;
    const int order = shorter ? memcmp(a.at, b.at, shorter) : 0;
    if (order) return order;
    return (a.size > b.size) - (a.size < b.size);
}

#define NUMBER_DIGITS_MAX 20

/* Takes the first word off, and the space behind it. Empty when there is none left. */
static inline struct text
text_take_word(struct text *words)
{
    const char *const space = words->size ? memchr(words->at, ' ', words->size) : NULL;
    const struct text word = {words->at, space ? (size_t)(space - words->at) : words->size};
    const size_t taken = word.size + (space != NULL);
    *words = (struct text){words->at + taken, words->size - taken};
    return word;
}

/* In decimal, in the memory that is given. */
static inline struct text
text_of_number(uint64_t number, char digits[static NUMBER_DIGITS_MAX])
{
    size_t first = NUMBER_DIGITS_MAX;
    do
        digits[--first] = (char)('0' + number % 10);
    while (number /= 10);
    return (struct text){digits + first, NUMBER_DIGITS_MAX - first};
}
