#include "message.h"

#include "wire.h"
#include <assert.h>
#include <string.h>

// clang-format off
/* A tag used twice in a message is a member declared twice, and does not compile. */
#define MESSAGE(name, number, from, to, doc)                  struct name##_tags { char none;
#define FIELD(message, kind, tag, name, need, low, high, doc) char tag_##tag; \
    static_assert((tag) > 0 && (tag) < 31, "a tag is a bit of `has`");
#define RETIRED(message, tag)                                 char tag_##tag;
#define END(name)                                             };
#include "messages.def"
#undef MESSAGE
#undef FIELD
#undef RETIRED
#undef END

#define MAY  false
#define MUST true
#define U64_AS_ROW(low, high)   (low), (high), 0
#define I64_AS_ROW(low, high)   (low), (high), 0
#define TEXT_AS_ROW(low, high)  (low), (high), 0
#define BYTES_AS_ROW(low, high) (low), (high), 0
/* A list names its element where others have their lower bound. */
#define LIST_AS_ROW(element, high) 0, (high), MSG_##element
#define MESSAGE(name, number, from, to, doc) static const struct field name##_fields[] = {
#define FIELD(message, kind, tag, name, need, low, high, doc) \
    {FIELD_##kind, tag, need, FIELD_##kind##_BOUNDS(low, high), offsetof(struct msg_##message, name), #name, doc},
#define FIELD_U64_BOUNDS   U64_AS_ROW
#define FIELD_I64_BOUNDS   I64_AS_ROW
#define FIELD_TEXT_BOUNDS  TEXT_AS_ROW
#define FIELD_BYTES_BOUNDS BYTES_AS_ROW
#define FIELD_LIST_BOUNDS  LIST_AS_ROW
#define RETIRED(message, tag)
#define END(name) {0}};
#include "messages.def"
#undef MESSAGE
#undef FIELD
#undef END

#define MESSAGE(name, number, from, to, doc) static const struct message name##_message = { \
    number, #name, from, to, doc, sizeof(struct msg_##name), \
    name##_fields, sizeof name##_fields / sizeof name##_fields[0] - 1};
#define FIELD(message, kind, tag, name, need, low, high, doc)
#define END(name)
#include "messages.def"
#undef MESSAGE

#define MESSAGE(name, number, from, to, doc) &name##_message,
const struct message *const messages[] = {
#include "messages.def"
};
const size_t message_count = sizeof messages / sizeof messages[0];
#undef MESSAGE

/* A number used twice is a case label used twice, and does not compile. */
#define MESSAGE(name, number, from, to, doc) case number: return &name##_message;
const struct message *
message_find(uint16_t number)
{
    switch (number) {
#include "messages.def"
    default: return NULL;
    }
}
#undef MESSAGE
#undef FIELD
#undef RETIRED
#undef END

#define VERDICT(name, number, doc)         case number: return #name;
#define OPERATION(name, number, word, doc) case number: return word;
#define OUTCOME(name, number, doc)         case number: return #name;
const char *commit_verdict_name(uint64_t verdict) { switch (verdict) {
#include "commit_verdict.def"
    default: return "unknown"; } }
const char *network_operation_name(uint64_t operation) { switch (operation) {
#include "network_operation.def"
    default: return "unknown"; } }
const char *network_outcome_name(uint64_t outcome) { switch (outcome) {
#include "network_outcome.def"
    default: return "unknown"; } }
// clang-format on

const struct message *
message_named(const char *name)
{
    for (size_t i = 0; i < message_count; i++)
        if (strcmp(messages[i]->name, name) == 0) return messages[i];
    return NULL;
}

const char *
message_verdict_name(enum message_verdict verdict)
{
    switch (verdict) {
    case MESSAGE_MALFORMED: return "malformed";
    case MESSAGE_TOO_LONG: return "too long";
    case MESSAGE_FIELD_REPEATED: return "given twice";
    case MESSAGE_FIELD_MISSING: return "missing";
    case MESSAGE_FIELD_OUT_OF_RANGE: return "out of range";
    case MESSAGE_FIELD_OF_WRONG_KIND: return "of the wrong kind";
    case MESSAGE_OK: return "fine";
    }
    return "unknown";
}

bool
roles_include(const char *roles, const char *role)
{
    const size_t size = strlen(role);
    if (strcmp(roles, "*") == 0) return true;
    for (const char *at = roles; *at;) {
        const size_t word = strcspn(at, " ");
        if (word == size && memcmp(at, role, size) == 0) return true;
        at += word;
        at += strspn(at, " ");
    }
    return false;
}

static bool
is_there(const void *body, const struct field *f)
{
    return *(const uint32_t *)body & UINT32_C(1) << f->tag;
}

/* The bounds of the table, for a value that is in its struct. */
static bool
in_range(const struct field *f, const void *value)
{
    switch (f->kind) {
    case FIELD_U64: {
        const uint64_t n = *(const uint64_t *)value;
        return n >= (uint64_t)f->low && n <= (uint64_t)f->high;
    }
    case FIELD_I64: {
        const int64_t n = *(const int64_t *)value;
        return n >= f->low && n <= f->high;
    }
    case FIELD_TEXT: {
        const struct text *t = value;
        return t->size >= (size_t)f->low && t->size <= (size_t)f->high &&
               wire_text_is_clean(t->at, t->size);
    }
    case FIELD_BYTES: {
        const struct text *t = value;
        return t->size >= (size_t)f->low && t->size <= (size_t)f->high;
    }
    case FIELD_LIST: return ((const struct message_list *)value)->count <= (uint64_t)f->high;
    }
    return false;
}

size_t
message_size_bound(enum message_number number, const void *body)
{
    const struct message *m = message_find((uint16_t)number);
    size_t bound = 3;
    assert(m);
    for (size_t i = 0; i < m->field_count; i++) {
        const struct field *f = &m->fields[i];
        const void *value = (const char *)body + f->offset;
        if (!is_there(body, f)) continue;
        bound += 1 + 9;
        if (f->kind == FIELD_TEXT || f->kind == FIELD_BYTES)
            bound += ((const struct text *)value)->size;
        if (f->kind == FIELD_LIST) bound += ((const struct message_list *)value)->size;
    }
    return bound;
}

enum message_verdict
message_encode(enum message_number number, const void *body, uint8_t *bytes, size_t cap,
               size_t *size)
{
    const struct message *m = message_find((uint16_t)number);
    uint32_t count = 0;
    *size = 0;
    assert(m);
    for (size_t i = 0; i < m->field_count; i++) {
        const struct field *f = &m->fields[i];
        if (!is_there(body, f)) {
            if (f->must) return MESSAGE_FIELD_MISSING;
            continue;
        }
        if (!in_range(f, (const char *)body + f->offset)) return MESSAGE_FIELD_OUT_OF_RANGE;
        count++;
    }

    struct wire_writer w;
    wire_writer_init(&w, bytes, cap < MESSAGE_BYTES_MAX ? cap : MESSAGE_BYTES_MAX);
    wire_put_map(&w, count);
    for (size_t i = 0; i < m->field_count; i++) {
        const struct field *f = &m->fields[i];
        const char *value = (const char *)body + f->offset;
        if (!is_there(body, f)) continue;
        wire_put_uint(&w, f->tag);
        switch (f->kind) {
        case FIELD_U64: wire_put_uint(&w, *(const uint64_t *)value); break;
        case FIELD_I64: wire_put_int(&w, *(const int64_t *)value); break;
        case FIELD_TEXT: wire_put_text(&w, *(const struct text *)value); break;
        case FIELD_BYTES: wire_put_bytes(&w, *(const struct text *)value); break;
        case FIELD_LIST: {
            const struct message_list *list = (const void *)value;
            wire_put_array(&w, list->count);
            wire_put_raw(&w, list->at, list->size);
            break;
        }
        }
    }
    if (w.full) return MESSAGE_TOO_LONG;
    *size = w.size;
    return MESSAGE_OK;
}

bool
message_list_add(struct message_list *list, enum message_number element, const void *body,
                 uint8_t *bytes, size_t cap)
{
    size_t size;
    assert(list->size <= cap);
    if (message_encode(element, body, bytes + list->size, cap - list->size, &size) != MESSAGE_OK)
        return false;
    list->at = bytes;
    list->size += size;
    list->count++;
    return true;
}

/* Into the struct, if it is of the field's kind. */
static enum message_verdict
store(const struct field *f, struct wire_reader *r, void *value)
{
    struct wire_item it;
    const uint8_t *const start = r->at;
    if (!wire_take(r, &it)) return MESSAGE_MALFORMED;
    switch (f->kind) {
    case FIELD_U64:
        if (it.kind != WIRE_UINT) return MESSAGE_FIELD_OF_WRONG_KIND;
        *(uint64_t *)value = it.number;
        break;
    case FIELD_I64:
        if (it.kind == WIRE_UINT && it.number <= INT64_MAX)
            *(int64_t *)value = (int64_t)it.number;
        else if (it.kind == WIRE_NEGATIVE)
            *(int64_t *)value = it.negative;
        else
            return MESSAGE_FIELD_OF_WRONG_KIND;
        break;
    case FIELD_TEXT:
        if (it.kind != WIRE_TEXT) return MESSAGE_FIELD_OF_WRONG_KIND;
        *(struct text *)value = it.text;
        break;
    case FIELD_BYTES:
        if (it.kind != WIRE_BYTES) return MESSAGE_FIELD_OF_WRONG_KIND;
        *(struct text *)value = it.text;
        break;
    case FIELD_LIST: {
        if (it.kind != WIRE_ARRAY) return MESSAGE_FIELD_OF_WRONG_KIND;
        struct message_list *list = value;
        list->count = (uint32_t)it.number;
        list->at = r->at;
        if (it.number > (uint64_t)f->high) return MESSAGE_FIELD_OUT_OF_RANGE;
        r->at = start; /* the whole array once more, now to its end */
        if (!wire_skip(r)) return MESSAGE_MALFORMED;
        list->size = (size_t)(r->at - list->at);
        return MESSAGE_OK;
    }
    }
    return in_range(f, value) ? MESSAGE_OK : MESSAGE_FIELD_OUT_OF_RANGE;
}

/* They come in the order of the table, so as a rule it is the one behind the last, or soon after.
 */
static const struct field *
field_find(const struct message *m, uint64_t tag, const struct field *last)
{
    const struct field *const end = m->fields + m->field_count;
    for (const struct field *f = last ? last + 1 : m->fields; f < end; f++)
        if (f->tag == tag) return f;
    for (size_t i = 0; i < m->field_count; i++)
        if (m->fields[i].tag == tag) return &m->fields[i];
    return NULL;
}

/* The number of a field: all of ours are one byte. */
static inline bool
take_tag(struct wire_reader *r, uint64_t *tag)
{
    struct wire_item it;
    if (r->at < r->end && *r->at <= 0x7f) {
        *tag = *r->at++;
        return true;
    }
    if (!wire_take(r, &it) || it.kind != WIRE_UINT) return false;
    *tag = it.number;
    return true;
}

/* Decodes one message from where the reader stands, leaving it behind the last byte. */
static enum message_verdict
decode_one(const struct message *m, struct wire_reader *r, void *body, const char **culprit)
{
    struct wire_item map;
    uint64_t tag;
    const struct field *last = NULL;
    uint32_t has = 0;
    if (!wire_take(r, &map) || map.kind != WIRE_MAP) return MESSAGE_MALFORMED;
    for (uint64_t i = 0; i < map.number; i++) {
        if (!take_tag(r, &tag)) return MESSAGE_MALFORMED;
        const struct field *f = field_find(m, tag, last);
        if (!f) {
            if (!wire_skip(r)) return MESSAGE_MALFORMED;
            continue;
        }
        last = f;
        *culprit = f->name;
        if (has & UINT32_C(1) << f->tag) return MESSAGE_FIELD_REPEATED;
        const enum message_verdict v = store(f, r, (char *)body + f->offset);
        if (v != MESSAGE_OK) return v;
        has |= UINT32_C(1) << f->tag;
    }
    for (size_t i = 0; i < m->field_count; i++)
        if (m->fields[i].must && !(has & UINT32_C(1) << m->fields[i].tag)) {
            *culprit = m->fields[i].name;
            return MESSAGE_FIELD_MISSING;
        }
    *culprit = NULL;
    *(uint32_t *)body = has;
    return MESSAGE_OK;
}

enum message_verdict
message_decode(enum message_number number, const uint8_t *bytes, size_t size, void *body,
               const char **culprit)
{
    const struct message *m = message_find((uint16_t)number);
    assert(m);
    struct wire_reader r = {bytes, bytes + size};
    memset(body, 0, m->size);
    *culprit = NULL;
    if (size > MESSAGE_BYTES_MAX) return MESSAGE_TOO_LONG;
    const enum message_verdict v = decode_one(m, &r, body, culprit);
    if (v == MESSAGE_OK && r.at != r.end) {
        *(uint32_t *)body = 0;
        return MESSAGE_MALFORMED;
    }
    return v;
}

void
message_move(enum message_number number, void *body, const uint8_t *from, const uint8_t *to)
{
    const struct message *m = message_find((uint16_t)number);
    assert(m);
    for (size_t i = 0; i < m->field_count; i++) {
        void *const value = (char *)body + m->fields[i].offset;
        struct text *const text = value;
        struct message_list *const list = value;
        if (!is_there(body, &m->fields[i])) continue;
        switch (m->fields[i].kind) {
        case FIELD_TEXT:
        case FIELD_BYTES: text->at = (const char *)to + (text->at - (const char *)from); break;
        case FIELD_LIST: list->at = to + (list->at - from); break;
        case FIELD_U64:
        case FIELD_I64: break;
        }
    }
}

bool
message_next(struct message_list *list, enum message_number element, void *body,
             enum message_verdict *verdict)
{
    const struct message *m = message_find((uint16_t)element);
    const char *culprit = NULL;
    assert(m);
    *verdict = MESSAGE_OK;
    if (list->count == 0) return false;
    struct wire_reader r = {list->at, list->at + list->size};
    memset(body, 0, m->size);
    *verdict = decode_one(m, &r, body, &culprit);
    if (*verdict != MESSAGE_OK) return false;
    list->size -= (size_t)(r.at - list->at);
    list->at = r.at;
    list->count--;
    return true;
}
