#include "open_attempts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Beside the numbers of tables, whose fingerprints are of ids. */
enum { KIND_KEY = 0, KIND_SUBJECT = 255 };

enum { PLACES_FIRST = 64, NAMES_FIRST = 512 }; /* a power of two; three a place, half full */

enum use { FREE, RESERVED, OPEN };

struct name {
    struct fingerprint of;
    int32_t place; /* 0: an empty cell */
};

struct open_attempts {
    struct open_attempt *at; /* by place, less one */
    enum use *uses;
    int32_t cap, lowest_free; /* no place below it is free … */
    int32_t highest;          /* … and all above this one are */
    size_t count;
    struct name *names; /* open addressing; a power of two, at most half full */
    size_t mask, named;
};

struct fingerprint
attempt_fingerprint(struct text merchant, struct text id)
{
    return fingerprint_of(ROW_attempt, merchant, id);
}

struct fingerprint
subject_fingerprint(const struct row_attempt *attempt)
{
    const struct text subject = attempt->payment_intent.at ? attempt->payment_intent
                                : attempt->setup_intent.at ? attempt->setup_intent
                                                           : attempt->charge;
    if (!subject.at || text_is(attempt->operation, "refund") ||
        text_is(attempt->operation, "recall"))
        return (struct fingerprint){0, 0};
    return fingerprint_of(KIND_SUBJECT, attempt->merchant, subject);
}

struct fingerprint
key_fingerprint(struct text merchant, struct text key)
{
    return fingerprint_of(KIND_KEY, merchant, key);
}

/* --- memory ----------------------------------------------------------------------------------- */

static void
make_names(struct open_attempts *o, size_t cells)
{
    o->names = calloc(cells, sizeof *o->names);
    assert(o->names);
    o->mask = cells - 1;
    o->named = 0;
}

struct open_attempts *
open_attempts_new(void)
{
    struct open_attempts *o = calloc(1, sizeof *o);
    assert(o);
    o->lowest_free = 1;
    make_names(o, NAMES_FIRST);
    return o;
}

void
open_attempts_destroy(struct open_attempts **open_p)
{
    struct open_attempts *o = *open_p;
    if (!o) return;
    free(o->at);
    free(o->uses);
    free(o->names);
    free(o);
    *open_p = NULL;
}

void
open_attempts_clear(struct open_attempts *open)
{
    struct open_attempts *o = open;
    if (o->cap) memset(o->uses, 0, (size_t)o->cap * sizeof *o->uses);
    memset(o->names, 0, (o->mask + 1) * sizeof *o->names);
    o->named = o->count = 0;
    o->lowest_free = 1;
    o->highest = 0;
}

static void
have_place(struct open_attempts *o, int32_t place)
{
    if (place <= o->cap) return;
    int32_t cap = o->cap ? o->cap : PLACES_FIRST;
    while (cap < place)
        cap *= 2;
    o->at = realloc(o->at, (size_t)cap * sizeof *o->at);
    o->uses = realloc(o->uses, (size_t)cap * sizeof *o->uses);
    assert(o->at && o->uses);
    memset(o->uses + o->cap, 0, (size_t)(cap - o->cap) * sizeof *o->uses);
    o->cap = cap;
}

/* --- names ------------------------------------------------------------------------------------ */

static void
put_cell(struct open_attempts *o, struct name name)
{
    size_t at = fingerprint_cell(name.of, o->mask);
    while (o->names[at].place)
        at = (at + 1) & o->mask;
    o->names[at] = name;
    o->named++;
}

static void
name(struct open_attempts *o, struct fingerprint f, int32_t place)
{
    if (!fingerprint_is_any(f)) return;
    if (2 * (o->named + 1) > o->mask + 1) {
        struct name *const old = o->names;
        const size_t cells = o->mask + 1;
        make_names(o, cells * 2);
        for (size_t i = 0; i < cells; i++)
            if (old[i].place) put_cell(o, old[i]);
        free(old);
    }
    put_cell(o, (struct name){f, place});
}

/* What stands behind it, and would stand here if it could, moves up. */
static void
close_gap(struct open_attempts *o, size_t gap)
{
    for (size_t at = (gap + 1) & o->mask; o->names[at].place; at = (at + 1) & o->mask) {
        const size_t wanted = fingerprint_cell(o->names[at].of, o->mask);
        if (((at - wanted) & o->mask) < ((at - gap) & o->mask)) continue;
        o->names[gap] = o->names[at];
        gap = at;
    }
    o->names[gap].place = 0;
    o->named--;
}

static void
unname(struct open_attempts *o, struct fingerprint f, int32_t place)
{
    if (!fingerprint_is_any(f)) return;
    for (size_t at = fingerprint_cell(f, o->mask); o->names[at].place; at = (at + 1) & o->mask)
        if (o->names[at].place == place && fingerprint_equal(o->names[at].of, f)) {
            close_gap(o, at);
            return;
        }
}

int32_t
open_attempts_find(const struct open_attempts *open, struct fingerprint name)
{
    const struct open_attempts *o = open;
    if (!fingerprint_is_any(name)) return 0;
    for (size_t at = fingerprint_cell(name, o->mask); o->names[at].place; at = (at + 1) & o->mask)
        if (fingerprint_equal(o->names[at].of, name)) return o->names[at].place;
    return 0;
}

/* --- places ----------------------------------------------------------------------------------- */

static enum use *
use_of(const struct open_attempts *o, int32_t place)
{
    assert(place >= 1 && place <= o->cap);
    return &o->uses[place - 1];
}

int32_t
open_attempts_reserve(struct open_attempts *open)
{
    struct open_attempts *o = open;
    int32_t place = o->lowest_free;
    while (place <= o->cap && *use_of(o, place) != FREE)
        place++;
    have_place(o, place);
    *use_of(o, place) = RESERVED;
    o->lowest_free = place + 1;
    if (place > o->highest) o->highest = place;
    return place;
}

static void
set_free(struct open_attempts *o, int32_t place)
{
    *use_of(o, place) = FREE;
    if (place < o->lowest_free) o->lowest_free = place;
    while (o->highest && *use_of(o, o->highest) == FREE)
        o->highest--;
}

void
open_attempts_release(struct open_attempts *open, int32_t place)
{
    assert(*use_of(open, place) == RESERVED);
    set_free(open, place);
}

void
open_attempts_begin(struct open_attempts *open, int32_t place, const struct open_attempt *is)
{
    struct open_attempts *o = open;
    have_place(o, place);
    assert(*use_of(o, place) != OPEN);
    *use_of(o, place) = OPEN;
    if (place > o->highest) o->highest = place;
    o->at[place - 1] = *is;
    o->count++;
    name(o, is->id, place);
    name(o, is->subject, place);
    name(o, is->key, place);
}

const struct open_attempt *
open_attempts_at(const struct open_attempts *open, int32_t place)
{
    assert(*use_of(open, place) == OPEN);
    return &open->at[place - 1];
}

void
open_attempts_step(struct open_attempts *open, int32_t place, struct version now)
{
    assert(*use_of(open, place) == OPEN);
    open->at[place - 1].now = now;
}

void
open_attempts_let_key_go(struct open_attempts *open, int32_t place)
{
    struct fingerprint *const key = &open->at[place - 1].key;
    assert(*use_of(open, place) == OPEN);
    unname(open, *key, place);
    *key = (struct fingerprint){0, 0};
}

void
open_attempts_end(struct open_attempts *open, int32_t place)
{
    const struct open_attempt is = *open_attempts_at(open, place);
    unname(open, is.id, place);
    unname(open, is.subject, place);
    unname(open, is.key, place);
    open->count--;
    set_free(open, place);
}

size_t
open_attempts_count(const struct open_attempts *open)
{
    return open->count;
}

int32_t
open_attempts_highest(const struct open_attempts *open)
{
    return open->highest;
}
