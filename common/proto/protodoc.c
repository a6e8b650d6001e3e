/* protodoc: prints docs/PROTOCOL.md from the tables, so that the page cannot be wrong.
 *
 *   protodoc > docs/PROTOCOL.md */
#include "message.h"
#include "row.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "32", "5 to 63", "up to 255": a length or a number. */
static void
print_bounds(const struct field *f)
{
    const bool number = f->kind == FIELD_U64 || f->kind == FIELD_I64;
    const char *unit = number ? "" : f->kind == FIELD_LIST ? " of them" : " bytes";
    if (f->kind != FIELD_LIST && f->low == f->high)
        printf("%" PRId64 "%s", f->low, unit);
    else if (!number && f->low == 0)
        printf("up to %" PRId64 "%s", f->high, unit);
    else if (f->high == INT64_MAX)
        printf("%" PRId64 " to 2^63 - 1", f->low);
    else
        printf("%" PRId64 " to %" PRId64 "%s", f->low, f->high, unit);
}

static void
print_field(const struct field *f)
{
    static const char *const kinds[] = {[FIELD_U64] = "number",
                                        [FIELD_I64] = "signed number",
                                        [FIELD_TEXT] = "text",
                                        [FIELD_BYTES] = "bytes"};
    printf("| %d | `%s` | ", f->tag, f->name);
    if (f->kind == FIELD_LIST)
        printf("list of [%s](#%s)", message_find(f->element)->name, message_find(f->element)->name);
    else
        printf("%s", kinds[f->kind]);
    printf(" | ");
    print_bounds(f);
    printf(" | %s | %s |\n", f->must ? "always" : "", f->doc);
}

static const char *
everybody_or(const char *roles)
{
    return strcmp(roles, "*") == 0 ? "everybody" : roles;
}

static void
print_message(const struct message *m)
{
    printf("\n### %s\n\n", m->name);
    if (*m->from)
        printf("`0x%04x`, %s → %s. %s\n", m->number, everybody_or(m->from), everybody_or(m->to),
               m->doc);
    else
        printf("`0x%04x`, inside other messages only. %s\n", m->number, m->doc);
    if (m->field_count == 0) return;
    printf("\n| tag | field | kind | bounds | there | meaning |\n|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < m->field_count; i++)
        print_field(&m->fields[i]);
}

static void
print_table(const struct table *t)
{
    static const char *const kinds[] = {
        [COLUMN_TEXT] = "text or nil",   [COLUMN_JSON] = "JSON as text, or nil",
        [COLUMN_BYTES] = "bytes or nil", [COLUMN_I64] = "signed number",
        [COLUMN_OPT] = "number or nil",  [COLUMN_FLAG] = "0 or 1",
    };
    printf("\n### Table %d: %s\n\n%s Ids begin with `%s`.\n\n", t->number, t->name, t->doc,
           t->prefix);
    printf("| column | kind | meaning |\n|---|---|---|\n");
    for (size_t i = 0; i < t->column_count; i++)
        printf("| `%s` | %s | %s |\n", t->columns[i].name, kinds[t->columns[i].kind],
               t->columns[i].doc);
}

static const char introduction[] =
    "<!-- Made by protodoc from common/proto: change the tables there, not this page. -->\n\n"
    "# What Florin's processes say to each other\n\n"
    "Over ZeroMQ, encrypted and authenticated by CURVE. A frame holds one or more packets, one\n"
    "behind the other; a packet is a header, then a body. All numbers of the header are\n"
    "big-endian.\n\n"
    "| bytes | header | meaning |\n|---|---|---|\n"
    "| 4 | size | of what follows, these four bytes not counted |\n"
    "| 1 | version | 1 |\n"
    "| 1 | flags | 0 |\n"
    "| 2 | number | which message |\n"
    "| 2 | slot | of the merchant, 0 to 1023; 0 where it does not matter |\n"
    "| 2 | reserved | 0 |\n"
    "| 8 | correlation | chosen by who asks, borne by the answer; 0: no answer is waited for |\n"
    "| 8 | deadline | Unix milliseconds after which the answer is of no use; 0: none |\n\n"
    "The body is a MessagePack map from tags to values, in the shortest encoding of each value.\n"
    "Texts are UTF-8 without NUL. Tags that are not known are skipped; floats, booleans and\n"
    "extensions are malformed, and so is whatever is cut short, given twice or out of bounds.\n"
    "What a role may not send is refused, whatever is in it.\n";

int
main(void)
{
    fputs(introduction, stdout);

    puts("\n## Roles\n\nA process is named ROLE-INSTANCE, as in `ledger-2`, and has a CURVE key "
         "pair of its own.\n\n| role | what it is for |\n|---|---|");
#define ROLE(name, doc) printf("| %s | %s |\n", #name, doc);
#include "roles.def"
#undef ROLE

    puts("\n## Links\n\nThe name of a link is its ZAP domain: a key whose role may not connect "
         "does not get past the\nhandshake.\n\n| link | bound by | connected by | what passes "
         "|\n|---|---|---|---|");
#define LINK(name, binder, bound_as, connected_as, may_connect, doc)                    \
    printf("| `%s` | %s, %s | %s, %s | %s |\n", #name, #binder, #bound_as, may_connect, \
           #connected_as, doc);
#include "links.def"
#undef LINK

    puts("\n## Messages");
    for (size_t i = 0; i < message_count; i++)
        print_message(messages[i]);

    puts("\n## What becomes of a commit\n\nIn order of precedence: the first that applies is "
         "answered.\n\n| number | verdict | meaning |\n|---|---|---|");
#define VERDICT(name, number, doc) printf("| %d | %s | %s |\n", number, #name, doc);
#include "commit_verdict.def"
#undef VERDICT

    puts("\n## Operations at the card network\n\n| number | name | meaning |\n|---|---|---|");
#define OPERATION(name, number, word, doc) printf("| %d | %s | %s |\n", number, word, doc);
#include "network_operation.def"
#undef OPERATION

    puts("\n## What the card network answers\n\n| number | name | meaning |\n|---|---|---|");
#define OUTCOME(name, number, doc) printf("| %d | %s | %s |\n", number, #name, doc);
#include "network_outcome.def"
#undef OUTCOME

    puts("\n## Rows\n\nThe `values` of a [row_write](#row_write): a MessagePack array of the "
         "columns in this order. Columns\nmissing at the end are absent.");
    for (size_t i = 0; i < table_count; i++)
        print_table(tables[i]);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
