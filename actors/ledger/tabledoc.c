/* tabledoc: etc/tables.sql from common/proto/rows.def.
 *
 *     tabledoc > etc/tables.sql
 *
 * What it writes may be run again and again, also on the tables of an older Florin: columns and
 * indexes that are missing are added, an index that is another by now is made anew (its comment is
 * what it was made by), and so are checks; all else stays as it is. Texts are COLLATE "C"
 * (37 µs a payment instead of 53, and the order of text_compare), long ones are compressed by lz4,
 * and pages keep room so that an update stays on its page (HOT). */
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

/* What a row that is older than the column has in it: what row_decode makes of a column that is
 * missing. Only for the time of adding it: who writes a row says everything. */
static const char *const older[] = {
    [COLUMN_TEXT]  = NULL,
    [COLUMN_JSON]  = NULL,
    [COLUMN_BYTES] = NULL,
    [COLUMN_I64]   = "0",
    [COLUMN_OPT]   = NULL,
    [COLUMN_FLAG]  = "false",
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
 * half a page free it stays there, and no index hears of it (HOT). An attempt's row is never
 * replaced, and that of a balance transaction cannot stay for an index either: what is replaced, its
 * status, says whether it stands in one. So room would be left for nothing. */
static int
fillfactor(const struct table *t)
{
    switch (t->number) {
    case ROW_payment_intent: return 48;
    case ROW_attempt:
    case ROW_balance_transaction: return 100;
    default: return 80;
    }
}

static const char *
primary_key(const struct table *t)
{
    return is_listed(t) ? "merchant, id" : "id, merchant";
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

/* One of the index lines of row.h, CREATE INDEX name ON …: its parts, and the line behind it. */
struct index_line {
    const char *name, *end; /* from its name to its end */
    int head_size, name_size;
    const char *head; /* CREATE INDEX, or CREATE UNIQUE INDEX, with a space */
};

static const char *
next_index(const char *at, struct index_line *line)
{
    line->head = at;
    line->end = strchr(at, '\n');
    line->name = strstr(at, "INDEX ") + strlen("INDEX ");
    line->head_size = (int)(line->name - at);
    line->name_size = (int)strcspn(line->name, " ");
    return line->end + 1;
}

static void
write_definition(const struct index_line *line)
{
    putchar('\'');
    for (const char *at = line->head; at < line->end - 1; at++) { /* without its semicolon */
        if (*at == '\'') putchar('\'');
        putchar(*at);
    }
    putchar('\'');
}

static void
write_indexes(const char *indexes)
{
    struct index_line line;
    for (const char *at = indexes; *at;) {
        at = next_index(at, &line);
        printf("%.*sIF NOT EXISTS %.*s\n", line.head_size, line.head, (int)(line.end - line.name),
               line.name);
        printf("COMMENT ON INDEX %.*s IS ", line.name_size, line.name);
        write_definition(&line);
        printf(";\n");
    }
}

/* Those whose comment is another definition than that of today. */
static void
forget_indexes(void)
{
    const char *between = "";
    struct index_line line;
    printf("DO $$\nDECLARE\n    old record;\nBEGIN\n"
           "    FOR old IN SELECT relname FROM pg_class JOIN (VALUES\n        ");
    for (size_t i = 0; i < table_count; i++)
        for (const char *at = tables[i]->indexes; *at;) {
            at = next_index(at, &line);
            printf("%s('%.*s', ", between, line.name_size, line.name);
            write_definition(&line);
            printf(")");
            between = ",\n        ";
        }
    printf(") AS today(name, definition) ON name = relname AND relkind = 'i'"
           " AND relnamespace = 'public'::regnamespace\n"
           "        WHERE obj_description(pg_class.oid, 'pg_class') IS DISTINCT FROM definition"
           " LOOP\n"
           "        EXECUTE format('DROP INDEX public.%%I', old.relname);\n"
           "    END LOOP;\nEND $$;\n");
}

/* What a table of an older Florin lacks. The columns that every table begins with it has. */
static void
write_missing_columns(const struct table *t)
{
    const char *between = "";
    printf("ALTER TABLE %s", t->name);
    for (size_t i = COLUMN_CREATED + 1; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];
        printf("%s\n    ADD COLUMN IF NOT EXISTS \"%s\" %s", between, c->name, types[c->kind]);
        if (older[c->kind]) printf(" DEFAULT %s", older[c->kind]);
        between = ",";
    }
    printf(";\n");
    for (size_t i = COLUMN_CREATED + 1; i < t->column_count; i++)
        if (older[t->columns[i].kind])
            printf("ALTER TABLE %s ALTER COLUMN \"%s\" DROP DEFAULT;\n", t->name,
                   t->columns[i].name);
}

/* Anew each time, so that a check may be changed, added or left out. */
static void
forget_checks(void)
{
    printf("DO $$\nDECLARE\n    old record;\nBEGIN\n"
           "    FOR old IN SELECT conname, relname FROM pg_constraint JOIN pg_class ON"
           " pg_class.oid = conrelid\n"
           "        WHERE contype = 'c' AND relnamespace = 'public'::regnamespace AND relname IN\n"
           "        (");
    for (size_t i = 0; i < table_count; i++) {
        if (i) printf(",%s", i % 6 ? " " : "\n         ");
        write_quoted(tables[i]->name);
    }
    printf(") LOOP\n"
           "        EXECUTE format('ALTER TABLE public.%%I DROP CONSTRAINT %%I', old.relname,"
           " old.conname);\n"
           "    END LOOP;\nEND $$;\n");
}

/* The primary key and the room on a page, where an older Florin had others. */
static void
write_shape(const struct table *t)
{
    printf("ALTER TABLE %s SET (fillfactor = %d);\n"
           "DO $$ BEGIN\n"
           "    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.%s'::regclass"
           " AND contype = 'p'\n"
           "                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (%s)') THEN\n"
           "        ALTER TABLE %s DROP CONSTRAINT %s_pkey, ADD PRIMARY KEY (%s);\n"
           "    END IF;\nEND $$;\n",
           t->name, fillfactor(t), t->name, primary_key(t), t->name, t->name, primary_key(t));
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
    printf("    PRIMARY KEY (%s)\n) WITH (fillfactor = %d);\n", primary_key(t), fillfactor(t));
    write_missing_columns(t);
    write_shape(t);
    printf("%s", t->checks);
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
    printf(
        "-- Made by tabledoc from common/proto/rows.def: do not edit. Run before schema.sql.\n\n");
    forget_checks();
    forget_indexes();
    for (size_t i = 0; i < table_count; i++)
        write_table(tables[i]);
    return 0;
}
