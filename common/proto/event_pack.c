#include "event_pack.h"

#include "id.h"
#include "json_difference.h"
#include <assert.h>
#include <endian.h>
#include <limits.h>
#include <lz4.h>

/* With more than this behind them, positions of the dictionary are out of LZ4's reach. */
#define SHARED_MAX (32 << 10)
#define RAW_MAX ((1 << 20) + (64 << 10) + 64) /* of one event, as long as it may be */
#define HEADER_BYTES 5
#define WRITE_BYTES 512 /* of an event_write, but for what is packed */

enum format { FORMAT_PLAIN, FORMAT_DICTIONARY_1 };

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
static const char dictionary_1[] =
#include "event_dictionary_1.inc"
    ;
#pragma GCC diagnostic pop
#define DICTIONARY_1_SIZE ((int)sizeof dictionary_1 - 1)

/* --- packing ---------------------------------------------------------------------------------- */

/* A compressor that has read the dictionary: 16 kB that are copied, instead of read anew. */
static const LZ4_stream_t *
prepared(void)
{
    static _Thread_local LZ4_stream_t stream;
    static _Thread_local bool ready;
    if (!ready) {
        (void)LZ4_initStream(&stream, sizeof stream);
        const int read = LZ4_loadDict(&stream, dictionary_1, DICTIONARY_1_SIZE);
        assert(read == DICTIONARY_1_SIZE);
        ready = true;
    }
    return &stream;
}

static size_t
raw_bound(const struct told_event *events, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += events[i].data.size + events[i].previous.size + 16;
    return size;
}

static size_t
packed_bound(size_t raw)
{
    return raw <= RAW_MAX ? HEADER_BYTES + (size_t)LZ4_compressBound((int)raw) : 0;
}

/* At `memory`, with what is to be packed behind it. NO_TEXT when it does not fit. */
static struct text
pack(const struct told_event *events, size_t count, uint8_t *memory, size_t cap)
{
    struct message_list list = {NULL, 0, 0};
    const size_t raw = raw_bound(events, count), room = packed_bound(raw);
    if (!room || cap < room + raw) return NO_TEXT;
    for (size_t i = 0; i < count; i++) {
        const struct msg_event_told told = {
            .has = HAS_event_told_data | (events[i].previous.at ? HAS_event_told_previous : 0u),
            .data = events[i].data,
            .previous = events[i].previous,
        };
        if (!message_list_add(&list, MSG_event_told, &told, memory + room, raw)) return NO_TEXT;
    }
    LZ4_stream_t stream = *prepared();
    const int size =
        LZ4_compress_fast_continue(&stream, (const char *)list.at, (char *)memory + HEADER_BYTES,
                                   (int)list.size, (int)(room - HEADER_BYTES), 1);
    assert(size > 0);
    const uint32_t big = htobe32((uint32_t)list.size);
    memory[0] = FORMAT_DICTIONARY_1;
    memcpy(memory + 1, &big, sizeof big);
    return (struct text){(const char *)memory, HEADER_BYTES + (size_t)size};
}

/* --- rows ------------------------------------------------------------------------------------- */

static bool
is_common(struct text type)
{
#define EVENT(name) \
    if (text_equal(type, TEXT(name))) return true;
#include "common_event.def"
#undef EVENT
    return false;
}

static bool
share_a_row(const struct told_event *events, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!is_common(events[i].type) || events[i].created != events[0].created ||
            !text_equal(events[i].api_version, events[0].api_version) ||
            !id_is_beside(events[i].id, events[0].id, (unsigned)i))
            return false;
    return raw_bound(events, count) <= SHARED_MAX;
}

size_t
events_write_bound(const struct told_event *events, size_t count)
{
    const size_t raw = raw_bound(events, count);
    return count * (WRITE_BYTES + 2 * HEADER_BYTES + 32) + 3 * raw + raw / 64;
}

static bool
add(struct message_list *list, const struct told_event *event, struct text packed, uint8_t *memory,
    size_t cap)
{
    const struct msg_event_write write = {
        .has = HAS_event_write_id | HAS_event_write_type | HAS_event_write_object |
               HAS_event_write_created | HAS_event_write_api_version |
               (packed.at ? HAS_event_write_packed : 0u),
        .id = event->id,
        .type = event->type,
        .object = event->object,
        .created = (uint64_t)event->created,
        .api_version = event->api_version,
        .packed = packed,
    };
    return message_list_add(list, MSG_event_write, &write, memory, cap);
}

bool
events_write(struct message_list *list, const struct told_event *events, size_t count,
             uint8_t *memory, size_t cap)
{
    const size_t of_row = share_a_row(events, count) ? count : 1;
    for (size_t from = 0; from < count; from += of_row) {
        /* packed behind where the messages end, and then moved into the last of them */
        const size_t used = list->size + of_row * WRITE_BYTES;
        for (size_t i = from; i + 1 < from + of_row; i++)
            if (!add(list, &events[i], NO_TEXT, memory, cap)) return false;
        const size_t bound = packed_bound(raw_bound(&events[from], of_row));
        const size_t at = used + bound;
        if (!bound || at > cap) return false;
        const struct text packed = pack(&events[from], of_row, memory + at, cap - at);
        if (!packed.at || !add(list, &events[from + of_row - 1], packed, memory, at)) return false;
    }
    return true;
}

/* --- unpacking -------------------------------------------------------------------------------- */

static uint32_t
packed_size(struct text packed)
{
    uint32_t big;
    memcpy(&big, packed.at + 1, sizeof big);
    return be32toh(big);
}

size_t
event_unpack_bound(struct text packed)
{
    if (!packed.at || packed.size < HEADER_BYTES || packed.size > INT_MAX) return 0;
    if (packed.at[0] == FORMAT_PLAIN) return packed.size; /* no restored text is longer */
    if (packed.at[0] != FORMAT_DICTIONARY_1) return 0;
    const uint32_t size = packed_size(packed);
    return size <= RAW_MAX ? size : 0;
}

/* The messages of all events of the row. */
static bool
open_packed(struct text packed, void *memory, struct text *raw)
{
    if (packed.at[0] == FORMAT_PLAIN) {
        *raw = (struct text){packed.at + 1, packed.size - 1};
        return true;
    }
    const int size = (int)packed_size(packed);
    *raw = (struct text){memory, (size_t)size};
    return LZ4_decompress_safe_usingDict(packed.at + HEADER_BYTES, memory,
                                         (int)packed.size - HEADER_BYTES, size, dictionary_1,
                                         DICTIONARY_1_SIZE) == size;
}

static bool
take_nth(struct text raw, uint64_t nth, struct msg_event_told *told)
{
    struct message_list list = {(const uint8_t *)raw.at, raw.size, (uint32_t)nth};
    enum message_verdict verdict;
    if (nth < 1 || nth > EVENTS_PER_ROW_MAX) return false;
    while (message_next(&list, MSG_event_told, told, &verdict))
        if (list.count == 0) return true;
    return false;
}

bool
event_unpack(struct text packed, uint64_t nth, void *memory, size_t cap, struct text *data,
             struct text *previous)
{
    struct msg_event_told told, whole;
    struct text raw;
    const size_t bound = event_unpack_bound(packed);
    if (!bound || cap < bound || !open_packed(packed, memory, &raw) || !take_nth(raw, nth, &told))
        return false;
    *previous = told.previous;
    *data = told.data;
    if (!told.like) return true;
    if (packed.at[0] != FORMAT_PLAIN || !take_nth(raw, told.like, &whole) || whole.like)
        return false;
    *data = json_restored(whole.data, told.data, memory, cap);
    return data->at;
}
