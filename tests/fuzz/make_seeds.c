/* make_seeds FOLDER: a good body of each message and a good row of each table, made from the tables
 * themselves, for the fuzzers to begin with: FOLDER/message/NAME and FOLDER/row/NAME. */
#include "message.h"
#include "row.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODY_MAX = 2048, BYTES_MAX = 1 << 20 };

union body {
    uint64_t aligned;
    uint8_t raw[BODY_MAX];
};

static char filler[1 << 16];
static uint8_t elements[16][1 << 16]; /* of the lists of one message */
static size_t elements_used;

static void
save(const char *folder, const char *kind, const char *name, const uint8_t *head, size_t head_size,
     const uint8_t *bytes, size_t size)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s/%s", folder, kind, name);
    FILE *file = fopen(path, "w");
    if (!file) {
        fprintf(stderr, "make_seeds: %s cannot be written.\n", path);
        exit(1);
    }
    fwrite(head, 1, head_size, file);
    fwrite(bytes, 1, size, file);
    fclose(file);
}

static size_t
pack(const struct message *m, uint8_t *bytes, size_t cap, int levels)
{
    union body body = {0};
    size_t size;
    for (size_t i = 0; i < m->field_count; i++) {
        const struct field *f = &m->fields[i];
        void *value = body.raw + f->offset;
        if (!f->must && (f->kind == FIELD_LIST) && levels == 0) continue;
        *(uint32_t *)(void *)body.raw |= UINT32_C(1) << f->tag;
        switch (f->kind) {
        case FIELD_U64:
            *(uint64_t *)value = (uint64_t)(f->low > 1 ? f->low : f->high ? 1 : 0);
            break;
        case FIELD_I64: *(int64_t *)value = f->low > 1 ? f->low : f->high >= 1 ? 1 : f->high; break;
        case FIELD_TEXT:
        case FIELD_BYTES: {
            const size_t length = (size_t)(f->low > 3 ? f->low : f->high < 3 ? f->high : 3);
            *(struct text *)value = (struct text){filler, length};
            break;
        }
        case FIELD_LIST: {
            struct message_list *list = value;
            if (levels) {
                assert(elements_used < sizeof elements / sizeof elements[0]);
                uint8_t *element = elements[elements_used++];
                list->size =
                    pack(message_find(f->element), element, sizeof elements[0], levels - 1);
                list->at = element;
                list->count = 1;
            }
            break;
        }
        }
    }
    const enum message_verdict verdict = message_encode(m->number, &body, bytes, cap, &size);
    if (verdict != MESSAGE_OK) {
        fprintf(stderr, "make_seeds: %s cannot be packed: %s\n", m->name,
                message_verdict_name(verdict));
        exit(1);
    }
    return size;
}

int
main(int argc, char **argv)
{
    static uint8_t bytes[BYTES_MAX];
    if (argc != 2) {
        fprintf(stderr, "usage: make_seeds FOLDER   (with message/ and row/ in it)\n");
        return 1;
    }
    memset(filler, 'a', sizeof filler);
    for (size_t i = 0; i < message_count; i++) {
        elements_used = 0;
        const uint8_t head[2] = {(uint8_t)(i >> 8), (uint8_t)i};
        save(argv[1], "message", messages[i]->name, head, 2, bytes,
             pack(messages[i], bytes, sizeof bytes, 2));
    }
    for (size_t i = 0; i < table_count; i++) {
        union {
            uint64_t aligned;
            uint8_t raw[ROW_SIZE_MAX];
        } row;
        const uint8_t head = (uint8_t)i;
        size_t size;
        row_clear(tables[i]->number, &row);
        for (size_t c = 0; c < tables[i]->column_count; c++) {
            const struct column *column = &tables[i]->columns[c];
            void *value = row.raw + column->offset;
            if (column->kind == COLUMN_TEXT || column->kind == COLUMN_BYTES)
                *(struct text *)value = TEXT("abc_1");
            if (column->kind == COLUMN_JSON) *(struct text *)value = TEXT("{\"a\":\"b\"}");
            if (column->kind == COLUMN_I64 || column->kind == COLUMN_OPT) *(int64_t *)value = 2000;
            if (column->kind == COLUMN_FLAG) *(bool *)value = true;
        }
        if (!row_encode(tables[i]->number, &row, bytes, sizeof bytes, &size)) return 1;
        save(argv[1], "row", tables[i]->name, &head, 1, bytes, size);
    }
    return 0;
}
