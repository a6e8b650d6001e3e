#include "words.h"

#include "files.h"
#include "form.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (8 << 20)
#define BODY_SIZE_MAX 512 /* of any message's struct */

static bool
complain(char *error, size_t error_size, const char *word, const char *what)
{
    snprintf(error, error_size, "\"%s\": %s.", word, what);
    return false;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static bool
read_hex(const char *digits, struct arena *arena, struct text *bytes)
{
    const size_t size = strlen(digits) / 2;
    uint8_t *out = arena_take(arena, size + 1);
    for (size_t i = 0; i < size; i++)
        if (sscanf(digits + 2 * i, "%2hhx", &out[i]) != 1) return false;
    *bytes = (struct text){(const char *)out, size};
    return strlen(digits) % 2 == 0 && strspn(digits, "0123456789abcdefABCDEF") == 2 * size;
}

static bool
read_form(const char *form, struct arena *arena, struct text *bytes)
{
    char culprit[129];
    struct params params;
    const size_t cap = form_block_size(form, strlen(form));
    uint8_t *block = arena_take(arena, cap);
    if (form_parse(form, strlen(form), block, cap, &params, culprit) != FORM_OK) return false;
    *bytes = (struct text){(const char *)params.at, params.size};
    return true;
}

static bool
read_file(const char *path, struct arena *arena, struct text *bytes)
{
    char *out = malloc(FILE_BYTES_MAX);
    const ssize_t size = out ? file_read(path, out, FILE_BYTES_MAX) : -1;
    if (size >= 0) *bytes = arena_copy(arena, (struct text){out, (size_t)size});
    free(out);
    return size >= 0;
}

static bool
read_bytes(const char *value, struct arena *arena, struct text *bytes)
{
    if (strncmp(value, "hex:", 4) == 0) return read_hex(value + 4, arena, bytes);
    if (strncmp(value, "form:", 5) == 0) return read_form(value + 5, arena, bytes);
    if (value[0] == '@') return read_file(value + 1, arena, bytes);
    *bytes = text_of(value);
    return true;
}

static bool
read_value(const struct field *field, const char *value, void *member, struct arena *arena)
{
    char *end;
    errno = 0;
    switch (field->kind) {
    case FIELD_U64:
        *(uint64_t *)member = strtoull(value, &end, 10);
        return *value && *value != '-' && *end == 0 && errno == 0;
    case FIELD_I64:
        *(int64_t *)member = strtoll(value, &end, 10);
        return *value && *end == 0 && errno == 0;
    case FIELD_TEXT: *(struct text *)member = text_of(value); return true;
    case FIELD_BYTES: return read_bytes(value, arena, member);
    case FIELD_LIST: return false;
    }
    return false;
}

/* The part of a word behind `name[index].`, or behind `name.` for the first; NULL: another word. */
static const char *
inside_element(const char *word, const char *name, size_t index)
{
    char prefix[128];
    const int size = snprintf(prefix, sizeof prefix, "%s[%zu].", name, index);
    if (strncmp(word, prefix, (size_t)size) == 0) return word + size;
    const size_t plain = strlen(name);
    if (index == 0 && strncmp(word, name, plain) == 0 && word[plain] == '.')
        return word + plain + 1;
    return NULL;
}

static bool
read_list(const struct field *field, const char *const words[], size_t count,
          struct message_list *list, struct arena *arena, char *error, size_t error_size)
{
    const struct message *element = message_find(field->element);
    for (size_t index = 0; index < (size_t)field->high; index++) {
        _Alignas(16) char body[BODY_SIZE_MAX];
        const char **inside = arena_take(arena, (count + 1) * sizeof *inside);
        size_t inside_count = 0;
        for (size_t i = 0; i < count; i++) {
            const char *word = inside_element(words[i], field->name, index);
            if (word) inside[inside_count++] = word;
        }
        if (inside_count == 0) break;
        if (!words_read(element, inside, inside_count, body, arena, error, error_size))
            return false;
        const size_t cap =
            list->size + message_size_bound((enum message_number)element->number, body);
        uint8_t *bytes = arena_take(arena, cap);
        if (list->size) memcpy(bytes, list->at, list->size);
        if (!message_list_add(list, (enum message_number)element->number, body, bytes, cap))
            return complain(error, error_size, field->name,
                            "a field of this element is missing or out of range");
    }
    return true;
}

static const struct field *
field_of(const struct message *message, const char *word)
{
    const size_t size = strcspn(word, "=.[");
    for (size_t i = 0; i < message->field_count; i++) {
        const struct field *field = &message->fields[i];
        if (strlen(field->name) == size && memcmp(field->name, word, size) == 0) return field;
    }
    return NULL;
}

bool
words_read(const struct message *message, const char *const words[], size_t count, void *body,
           struct arena *arena, char *error, size_t error_size)
{
    uint32_t has = 0;
    if (message->size > BODY_SIZE_MAX) return complain(error, error_size, message->name, "too big");
    memset(body, 0, message->size);
    for (size_t i = 0; i < count; i++) {
        const struct field *field = field_of(message, words[i]);
        const char *equals = strchr(words[i], '=');
        if (!field) return complain(error, error_size, words[i], "there is no such field");
        if (!equals) return complain(error, error_size, words[i], "expected name=value");
        char *const member = (char *)body + field->offset;
        const uint32_t bit = UINT32_C(1) << field->tag;
        if (field->kind == FIELD_LIST) {
            struct message_list *list = (void *)member;
            if (has & bit) continue; /* all its elements were read with the first word */
            if (words[i][strlen(field->name)] == '=')
                return complain(error, error_size, words[i], "a list: name[0].field=value");
            if (!read_list(field, words, count, list, arena, error, error_size)) return false;
        } else {
            if (has & bit) return complain(error, error_size, words[i], "given twice");
            if (words[i] + strlen(field->name) != equals)
                return complain(error, error_size, words[i], "this field is no list");
            if (!read_value(field, equals + 1, member, arena))
                return complain(error, error_size, words[i], "not of the field's kind");
        }
        has |= bit;
    }
    memcpy(body, &has, sizeof has); /* every message's struct begins with it */
    return true;
}

/* --- printing ----------------------------------------------------------------------------------
 */

static void
print_quoted(FILE *out, struct text text)
{
    fputc('"', out);
    for (size_t i = 0; i < text.size; i++) {
        const unsigned char c = (unsigned char)text.at[i];
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", out);
        else if (c < 0x20)
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void
print_hex(FILE *out, struct text bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        fprintf(out, "%02x", (unsigned char)bytes.at[i]);
}

static void print_fields(FILE *out, const struct message *message, const void *body,
                         enum words_style style, const char *prefix);

static void
print_list(FILE *out, const struct field *field, struct message_list list, enum words_style style,
           const char *prefix)
{
    _Alignas(16) char body[BODY_SIZE_MAX];
    const struct message *element = message_find(field->element);
    enum message_verdict verdict;
    char inside[256];
    if (style == WORDS_JSON) fputc('[', out);
    for (size_t index = 0;
         message_next(&list, (enum message_number)element->number, body, &verdict); index++) {
        snprintf(inside, sizeof inside, "%s%s[%zu].", prefix, field->name, index);
        if (style == WORDS_JSON && index > 0) fputc(',', out);
        print_fields(out, element, body, style, inside);
    }
    if (style == WORDS_JSON) fputc(']', out);
}

static void
print_value(FILE *out, const struct field *field, const void *member, enum words_style style)
{
    const bool json = style == WORDS_JSON;
    switch (field->kind) {
    case FIELD_U64: fprintf(out, "%" PRIu64, *(const uint64_t *)member); break;
    case FIELD_I64: fprintf(out, "%" PRId64, *(const int64_t *)member); break;
    case FIELD_TEXT: {
        const struct text text = *(const struct text *)member;
        if (json)
            print_quoted(out, text);
        else
            fwrite(text.at, 1, text.size, out);
        break;
    }
    case FIELD_BYTES:
        if (json) fputc('"', out);
        print_hex(out, *(const struct text *)member);
        if (json) fputc('"', out);
        break;
    case FIELD_LIST: break;
    }
}

static void
print_fields(FILE *out, const struct message *message, const void *body, enum words_style style,
             const char *prefix)
{
    const uint32_t has = *(const uint32_t *)body;
    bool comma = false;
    if (style == WORDS_JSON) fputc('{', out);
    for (size_t i = 0; i < message->field_count; i++) {
        const struct field *field = &message->fields[i];
        const void *member = (const char *)body + field->offset;
        if (!(has & UINT32_C(1) << field->tag)) continue;
        if (style == WORDS_JSON) fprintf(out, "%s\"%s\":", comma ? "," : "", field->name);
        comma = true;
        if (field->kind == FIELD_LIST) {
            print_list(out, field, *(const struct message_list *)member, style, prefix);
            continue;
        }
        if (style == WORDS_LINES) fprintf(out, "%s%s=", prefix, field->name);
        print_value(out, field, member, style);
        if (style == WORDS_LINES) fputc('\n', out);
    }
    if (style == WORDS_JSON) fputc('}', out);
}

void
words_print(FILE *out, const struct message *message, const void *body, enum words_style style)
{
    print_fields(out, message, body, style, "");
}
