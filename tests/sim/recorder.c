#include "recorder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static FILE *out;

void
record_to(FILE *file)
{
    out = file;
}

bool
recording(void)
{
    return out != NULL;
}

static void
hex(const char *at, size_t size)
{
    fputc('x', out); /* so that nothing is a word, too */
    for (size_t i = 0; i < size; i++)
        fprintf(out, "%02x", (unsigned char)at[i]);
}

static void
word(const char *text)
{
    fputc(' ', out);
    hex(text, strlen(text));
}

void
record_prepare(int session, const char *role, const char *name, const char *sql)
{
    if (!out) return;
    fprintf(out, "P %d %s %s", session, role, name);
    word(sql);
    fputc('\n', out);
}

void
record_plain(int session, const char *role, const char *sql)
{
    if (!out) return;
    fprintf(out, "X %d %s", session, role);
    word(sql);
    fputc('\n', out);
}

void
record_statement(int session, const char *role, const char *name,
                 const struct parameter *parameters, int count, bool binary,
                 const struct answer_rows *answer)
{
    if (!out) return;
    fprintf(out, "E %d %s %s %d %d", session, role, name, binary, count);
    for (int i = 0; i < count; i++) {
        const struct parameter *p = &parameters[i];
        fputs(!p->at ? " -" : p->size < 0 ? " t" : " b", out);
        if (p->at) hex(p->at, p->size < 0 ? strlen(p->at) : (size_t)p->size);
    }
    fprintf(out, "\nR %s %zu %zu", answer->sqlstate ? answer->sqlstate : "OK",
            answer->sqlstate ? 0 : answer->rows, answer->sqlstate ? 0 : answer->columns);
    for (size_t i = 0; !answer->sqlstate && i < answer->rows * answer->columns; i++) {
        fputc(' ', out);
        if (answer->cells[i].size < 0)
            fputc('-', out);
        else
            hex(answer->cells[i].at, (size_t)answer->cells[i].size);
    }
    fputc('\n', out);
}

void
record_end(int session)
{
    if (out) fprintf(out, "C %d\n", session);
}

/* --- rows, as Postgres shows them in text ----------------------------------------------------- */

static void
show_text(struct text text)
{
    fputc(' ', out);
    if (text.at)
        hex(text.at, text.size);
    else
        fputc('-', out);
}

static void
show_number(int64_t number)
{
    char words[24];
    snprintf(words, sizeof words, "%" PRId64, number);
    show_text(number == NO_NUMBER ? NO_TEXT : text_of(words));
}

static void
show_bytes(struct text bytes)
{
    enum { BYTES_MAX = 4096 };
    static char words[2 + 2 * BYTES_MAX + 1] = "\\x";
    if (bytes.size > BYTES_MAX) abort();
    words[2] = 0;
    for (size_t i = 0; bytes.at && i < bytes.size; i++)
        snprintf(words + 2 + 2 * i, 3, "%02x", (unsigned char)bytes.at[i]);
    show_text(bytes.at ? text_of(words) : NO_TEXT);
}

static void
show_row(const struct table *t, const char *row)
{
    fprintf(out, "T %s", t->name);
    for (size_t i = 0; i < t->column_count; i++) {
        const void *const member = row + t->columns[i].offset;
        switch (t->columns[i].kind) {
        case COLUMN_TEXT:
        case COLUMN_JSON: show_text(*(const struct text *)member); break;
        case COLUMN_BYTES: show_bytes(*(const struct text *)member); break;
        case COLUMN_I64:
        case COLUMN_OPT: show_number(*(const int64_t *)member); break;
        case COLUMN_FLAG: show_text(*(const bool *)member ? TEXT("t") : TEXT("f")); break;
        }
    }
    fputc('\n', out);
}

void
record_rows(void)
{
    if (!out) return;
    for (size_t i = 0; i < table_count; i++)
        for (size_t r = 0; r < database_count((enum row_table)tables[i]->number); r++) {
            fputc('B', out); /* before: B T table values… */
            fputc(' ', out);
            show_row(tables[i], database_nth((enum row_table)tables[i]->number, r));
        }
}

#define EACH(shelf, kind, thing)                                                    \
    for (size_t thing##_at = 0; thing##_at < tables_kept.shelf.count; thing##_at++) \
        for (const struct kind *thing = tables_kept.shelf.at[thing##_at]; thing; thing = NULL)

void
record_tables(void)
{
    if (!out) return;
    for (size_t i = 0; i < table_count; i++)
        for (size_t r = 0; r < database_count((enum row_table)tables[i]->number); r++)
            show_row(tables[i], database_nth((enum row_table)tables[i]->number, r));
    EACH(keys, kept_key, k)
    {
        fputs("T idempotency", out);
        show_text(k->merchant), show_text(k->key), show_bytes(k->request_hash), show_text(k->path);
        show_bytes(k->command), show_text(k->request), show_number(k->status), show_text(k->body);
        show_number(k->told);
        fputc('\n', out); /* `created` is the ledger's clock */
    }
    EACH(events, kept_event, e)
    {
        fputs("T event", out);
        show_number(e->sequence), show_text(e->id), show_text(e->merchant), show_text(e->type);
        show_text(e->object), show_bytes(e->packed), show_number(e->created);
        show_text(e->api_version), show_text(e->request), show_text(e->key);
        show_number(e->nth), show_number(e->first);
        fputc('\n', out);
    }
    EACH(transactions, kept_transaction, t)
    {
        fputs("T ledger_transaction", out);
        show_number(t->id), show_text(t->merchant), show_text(t->kind), show_text(t->source);
        show_number(t->created);
        fputc('\n', out);
    }
    EACH(entries, kept_entry, e)
    {
        fputs("T entry", out);
        show_number(e->transaction), show_number(e->line), show_number(e->account);
        show_text(e->merchant), show_text(e->currency), show_number(e->amount);
        fputc('\n', out);
    }
    EACH(balances, kept_balance, b)
    {
        fputs("T balance", out);
        show_text(b->merchant), show_number(b->account), show_text(b->currency);
        show_number(b->amount);
        fputc('\n', out);
    }
    EACH(slots, kept_slot, s)
    {
        fputs("T slot", out);
        show_number(s->slot), show_number(s->epoch), show_text(s->owner);
        show_number(s->incarnation);
        fputc('\n', out);
    }
    fputs("T ledger_leader", out);
    show_number(database_leader()->epoch), show_text(database_leader()->holder);
    show_number(database_leader()->last_batch), show_number(database_leader()->event_head);
    show_number(database_leader()->transaction_head), show_number(database_leader()->open_until);
    fputc('\n', out);
}
