/* wire: the part of MessagePack that Florin uses, read by a cursor and written into a buffer.
 *
 * msgpack-c packs. It does not read here: version 4.0 reserves memory on the word of a length, and
 * lets duplicate keys, floats and bad UTF-8 pass. The cursor allocates nothing, and every read is
 * checked against what is left. */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_kind {
    WIRE_NIL,
    WIRE_UINT,
    WIRE_NEGATIVE,
    WIRE_TEXT,
    WIRE_BYTES,
    WIRE_ARRAY,
    WIRE_MAP,
};

struct wire_reader {
    const uint8_t *at, *end;
};

/* Of its values the one that its kind has; the others say nothing. */
struct wire_item {
    enum wire_kind kind;
    uint64_t number;  /* the value, or how many elements of an array, pairs of a map */
    int64_t negative; /* below zero */
    struct text text; /* TEXT, BYTES: borrowed from the frame */
};

/* How deep arrays and maps may nest in what is skipped. */
#define WIRE_DEPTH_MAX 8

/* The next item's head; a container's elements follow. False when it is cut short, longer than it
 * need be, or of a kind that is not used here (float, boolean, extension, 0xc1). */
MUST_USE bool wire_take(struct wire_reader *r, struct wire_item *it);

/* Whether the next item is nil; then it is taken. So are most columns of a row. */
static inline bool
wire_take_nil(struct wire_reader *r)
{
    if (r->at == r->end || *r->at != 0xc0) return false;
    r->at++;
    return true;
}

/* The next item with all that is in it. */
MUST_USE bool wire_skip(struct wire_reader *r);

/* UTF-8 by RFC 3629, without NUL. */
bool wire_text_is_clean(const char *at, size_t size);

struct wire_writer {
    uint8_t *bytes;
    size_t cap, size;
    bool full; /* something did not fit: what was written is of no use */
};

void wire_writer_init(struct wire_writer *w, uint8_t *bytes, size_t cap);
void wire_put_nil(struct wire_writer *w);
void wire_put_uint(struct wire_writer *w, uint64_t value);
void wire_put_int(struct wire_writer *w, int64_t value);
void wire_put_text(struct wire_writer *w, struct text text);
void wire_put_bytes(struct wire_writer *w, struct text bytes);
void wire_put_array(struct wire_writer *w, uint32_t count);
void wire_put_map(struct wire_writer *w, uint32_t count);
/* Bytes that are MessagePack already. */
void wire_put_raw(struct wire_writer *w, const uint8_t *bytes, size_t size);
