#include "record.h"

#include "wire.h"

#include <assert.h>
#include <string.h>

enum column_kind { WORD, NUMBER };

struct column {
    enum column_kind kind;
    size_t offset, size; /* of a word, without its NUL */
};

#define COLUMN(kind, name, size, doc) {kind, offsetof(struct network_record, name), size},
static const struct column columns[] = {
#include "record.def"
};
#undef COLUMN
#define COLUMN_COUNT (sizeof columns / sizeof *columns)

#define COLUMN(kind, name, size, doc) +(size) + 9
static_assert(RECORD_BYTES_MAX >= 5
#include "record.def"
              ,
              "the widest record fits");
#undef COLUMN

size_t
record_encode(const struct network_record *record, uint8_t bytes[static RECORD_BYTES_MAX])
{
    struct wire_writer w;
    wire_writer_init(&w, bytes, RECORD_BYTES_MAX);
    wire_put_array(&w, COLUMN_COUNT);
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        const char *member = (const char *)record + columns[i].offset;
        if (columns[i].kind == WORD)
            wire_put_text(&w, text_of(member));
        else
            wire_put_int(&w, *(const int64_t *)(const void *)member);
    }
    assert(!w.full);
    return w.size;
}

static bool
column_decode(const struct column *column, struct wire_reader *r, char *member)
{
    struct wire_item it;
    if (!wire_take(r, &it)) return false;
    if (column->kind == NUMBER) {
        if (it.kind != WIRE_UINT || it.number > INT64_MAX) return false;
        *(int64_t *)(void *)member = (int64_t)it.number;
        return true;
    }
    if (it.kind != WIRE_TEXT || it.text.size > column->size) return false;
    memcpy(member, it.text.at, it.text.size);
    return true;
}

bool
record_decode(const uint8_t *bytes, size_t size, struct network_record *record)
{
    struct wire_reader r = {bytes, bytes + size};
    struct wire_item head;
    memset(record, 0, sizeof *record);
    if (!wire_take(&r, &head) || head.kind != WIRE_ARRAY) return false;
    for (size_t i = 0; i < COLUMN_COUNT && i < head.number; i++)
        if (!column_decode(&columns[i], &r, (char *)record + columns[i].offset)) {
            memset(record, 0, sizeof *record);
            return false;
        }
    return true; /* what a newer program added at the end is let be */
}

const char *
network_state_name(int64_t state)
{
    switch (state) {
#define AS_CASE(name, number, doc) \
    case NETWORK_STATE_##name: return #name;
        NETWORK_STATES(AS_CASE)
#undef AS_CASE
    default: return "NONE";
    }
}
