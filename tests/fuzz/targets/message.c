/* message: the first two bytes choose a message, the rest is its body. What is taken can be packed
 * again, and read again is packed to the same bytes: there is one form. Texts are clean. */
#include "event_pack.h"
#include "fuzz.h"
#include "wire.h"

enum { BODY_MAX = 2048 };

union body {
    uint64_t aligned;
    uint8_t raw[BODY_MAX];
};

static void
look_into(const struct message *m, const union body *body, int levels)
{
    for (size_t i = 0; i < m->field_count; i++) {
        const struct field *f = &m->fields[i];
        const void *value = body->raw + f->offset;
        const uint32_t has = *(const uint32_t *)(const void *)body;
        if (!(has & UINT32_C(1) << f->tag)) {
            MUST_HOLD(!f->must);
            continue;
        }
        if (f->kind == FIELD_TEXT) {
            const struct text *text = value;
            MUST_HOLD(wire_text_is_clean(text->at, text->size));
            MUST_HOLD(text->size <= (size_t)f->high && text->size >= (size_t)f->low);
        }
        if (f->kind == FIELD_U64) MUST_HOLD(*(const uint64_t *)value <= (uint64_t)f->high);
        if (f->kind == FIELD_LIST && levels) {
            struct message_list list = *(const struct message_list *)value;
            const struct message *element = message_find(f->element);
            union body *inner = exactly(sizeof *inner);
            enum message_verdict verdict;
            MUST_HOLD(element);
            while (message_next(&list, f->element, inner, &verdict))
                look_into(element, inner, levels - 1);
            if (verdict == MESSAGE_OK) MUST_HOLD(list.count == 0 && list.size == 0);
            free(inner);
        }
    }
}

/* The bytes as a row of the outbox. */
static void
unpack(const uint8_t *bytes, size_t size)
{
    const struct text packed = {(const char *)bytes, size};
    const size_t bound = event_unpack_bound(packed);
    char *memory = exactly(bound);
    struct text data, previous;
    for (uint64_t nth = 1; nth <= 3; nth++)
        if (event_unpack(packed, nth, memory, bound, &data, &previous))
            MUST_HOLD(bound && wire_text_is_clean(data.at, data.size));
    free(memory);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    const struct message *m = messages[(size_t)(data[0] << 8 | data[1]) % message_count];
    MUST_HOLD(m->size <= BODY_MAX);
    union body *body = exactly(sizeof *body), *again = exactly(sizeof *again);
    uint8_t *bytes = exact_copy(data + 2, size - 2);
    const char *culprit;
    unpack(bytes, size - 2);
    if (message_decode(m->number, bytes, size - 2, body, &culprit) == MESSAGE_OK) {
        look_into(m, body, 3);
        const size_t bound = message_size_bound(m->number, body);
        uint8_t *packed[2] = {exactly(bound), exactly(bound)};
        size_t sizes[2];
        MUST_HOLD(message_encode(m->number, body, packed[0], bound, &sizes[0]) == MESSAGE_OK);
        MUST_HOLD(sizes[0] <= size - 2); /* nothing is added */
        MUST_HOLD(message_decode(m->number, packed[0], sizes[0], again, &culprit) == MESSAGE_OK);
        MUST_HOLD(message_encode(m->number, again, packed[1], bound, &sizes[1]) == MESSAGE_OK);
        MUST_HOLD(sizes[0] == sizes[1] && memcmp(packed[0], packed[1], sizes[0]) == 0);
        free(packed[0]);
        free(packed[1]);
    }
    free(bytes);
    free(body);
    free(again);
    return 0;
}
