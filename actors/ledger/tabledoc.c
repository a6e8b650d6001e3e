/* tabledoc: etc/tables.sql from common/proto/rows.def.
 *
 *     tabledoc > etc/tables.sql
 *
 * What it writes may be run again and again: what is there already stays as it is. Texts are
 * COLLATE "C" (37 µs a payment instead of 53, and the order of text_compare), long ones are
 * compressed by lz4, and pages keep room so that an update stays on its page (HOT). */
#include "row.h"

#include <stdio.h>
#include <string.h>

// clang-format off
static const char *const types[] = {
    [COLUMN_TEXT]  = "text COLLATE \"C\"",
    [COLUMN_JSON]  = "text COMPRESSION lz4 COLLATE \"C\"",
    [COLUMN_BYTES] = "bytea",
    [COLUMN_I64]   = "bigint NOT NULL",
    [COLUMN_OPT]   = "bigint",
    [COLUMN_FLAG]  = "boolean NOT NULL",
};
// clang-format on

/* Ids begin with time: an index that begins with one grows at its end, on a page that is in memory
 * and was logged whole already, where one that begins with the merchant grows in as many places as
 * there are merchants. So the merchant comes first only where all of a merchant's are listed. */
static bool
is_listed(const struct table *t)
{
    return t->number != ROW_attempt;
}

/* A payment's row is replaced once, a moment after it was written and by one of the same size: with
 * half a page free it stays there, and no index hears of it (HOT). */
static int
fillfactor(const struct table *t)
{
    return t->number == ROW_payment_intent ? 48 : 80;
}

static void
write_quoted(const char *text)
{
    putchar('\'');
    for (; *text; text++) {
        if (*text == '\'') putchar('\'');
        putchar(*text);
    }
    putchar('\'');
}

/* The index lines of row.h, each made harmless when it is run again. */
static void
write_indexes(const char *indexes)
{
    while (*indexes) {
        const char *const end = strchr(indexes, '\n');
        const char *const name = strstr(indexes, "INDEX ") + strlen("INDEX ");
        printf("%.*sIF NOT EXISTS %.*s\n", (int)(name - indexes), indexes, (int)(end - name), name);
        indexes = end + 1;
    }
}

static void
write_table(const struct table *t)
{
    printf("\n-- %s\nCREATE TABLE IF NOT EXISTS %s (\n", t->doc, t->name);
    for (size_t i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];
        const bool key = i == COLUMN_ID || i == COLUMN_MERCHANT;
        /* Quoted: `authorization` is a word of SQL. */
        printf("    \"%s\" %s%s,\n", c->name, types[c->kind], key ? " NOT NULL" : "");
    }
    printf("    PRIMARY KEY (%s)%s\n) WITH (fillfactor = %d);\n",
           is_listed(t) ? "merchant, id" : "id, merchant", t->checks, fillfactor(t));
    write_indexes(t->indexes);
    printf("COMMENT ON TABLE %s IS ", t->name);
    write_quoted(t->doc);
    printf(";\n");
    for (size_t i = 0; i < t->column_count; i++) {
        if (!t->columns[i].doc[0]) continue;
        printf("COMMENT ON COLUMN %s.\"%s\" IS ", t->name, t->columns[i].name);
        write_quoted(t->columns[i].doc);
        printf(";\n");
    }
}

int
main(void)
{
    printf("-- Made by tabledoc from common/proto/rows.def: do not edit. Run before schema.sql.\n");
    for (size_t i = 0; i < table_count; i++)
        write_table(tables[i]);
    return 0;
}
