#include "search_query.h"

#include "params.h"
#include "utf8.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

// clang-format off
#define AS_WALK  false
#define AS_INDEX true
#define SEARCH_FIELD(resource, name, kind, column, path, sought) \
    {#resource, name, SEARCH_##kind, column, path, AS_##sought},
const struct search_field search_fields[] = {
#include "search_fields.def"
};
#undef SEARCH_FIELD
// clang-format on
const size_t search_field_count = sizeof search_fields / sizeof search_fields[0];

bool
search_is_for(const char *resource)
{
    for (size_t i = 0; i < search_field_count; i++)
        if (strcmp(search_fields[i].resource, resource) == 0) return true;
    return false;
}

/* --- a walk over the query -------------------------------------------------------------------- */

struct reader {
    const char *resource;
    struct text text;
    size_t at;
    char *memory; /* what is left of the caller's */
    char *message;
};

#define SHOWN_MAX 80
#define SHOWN(text) (int)utf8_cut(text, SHOWN_MAX).size, (text).at

static bool refuse(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool
refuse(struct reader *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->message, SEARCH_MESSAGE_MAX, format, arguments);
    va_end(arguments);
    return false;
}

static bool
at_end(const struct reader *r)
{
    return r->at == r->text.size;
}

static char
peek(const struct reader *r)
{
    return at_end(r) ? '\0' : r->text.at[r->at];
}

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '.';
}

static void
skip_space(struct reader *r)
{
    while (!at_end(r) && is_space(peek(r)))
        r->at++;
}

static struct text
take_word(struct reader *r)
{
    const size_t from = r->at;
    while (!at_end(r) && is_word(peek(r)))
        r->at++;
    return (struct text){r->text.at + from, r->at - from};
}

/* A word, without regard to the case of its letters. */
static bool
word_is(struct text word, const char *upper)
{
    if (word.size != strlen(upper)) return false;
    for (size_t i = 0; i < word.size; i++) {
        const char c = word.at[i];
        if ((c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c) != upper[i]) return false;
    }
    return true;
}

/* Between quotes, either kind; a backslash takes its meaning from what follows it. */
static bool
take_quoted(struct reader *r, struct text *value)
{
    const char quote = peek(r);
    const size_t from = r->at++;
    char *const out = r->memory;
    size_t size = 0;
    for (; !at_end(r) && peek(r) != quote; r->at++) {
        if (peek(r) == '\\' && r->at + 1 < r->text.size) r->at++;
        out[size++] = peek(r);
    }
    if (at_end(r)) {
        const struct text rest = {r->text.at + from, r->text.size - from};
        return refuse(r,
                      "We were unable to parse your search query: the quotation mark before "
                      "this is not closed: %.*s",
                      SHOWN(rest));
    }
    r->at++;
    r->memory += size;
    *value = (struct text){out, size};
    return true;
}

/* --- one clause ------------------------------------------------------------------------------- */

static bool
find_field(struct reader *r, struct text name, const struct search_field **field)
{
    char known[SEARCH_MESSAGE_MAX] = "";
    size_t size = 0;
    for (size_t i = 0; i < search_field_count; i++) {
        *field = &search_fields[i];
        if (strcmp((*field)->resource, r->resource) != 0) continue;
        if (text_is(name, (*field)->name)) return true;
        const int more =
            snprintf(known + size, sizeof known - size, "%s%s", size ? ", " : "", (*field)->name);
        if (more > 0 && size + (size_t)more < sizeof known) size += (size_t)more;
    }
    return refuse(r,
                  "Field `%.*s` is an unsupported search field for resource `%ss`. The supported "
                  "fields are: %.360s.",
                  SHOWN(name), r->resource, known);
}

/* ["key"] */
static bool
take_key(struct reader *r, struct search_clause *clause)
{
    const bool takes = clause->field->kind == SEARCH_METADATA;
    if (peek(r) != '[')
        return !takes ||
               refuse(r, "We were unable to parse your search query: metadata is searched by its "
                         "keys, as in metadata[\"key\"]:\"value\".");
    if (!takes)
        return refuse(r, "We were unable to parse your search query: the field `%s` has no keys.",
                      clause->field->name);
    r->at++;
    skip_space(r);
    if (peek(r) != '"' && peek(r) != '\'')
        return refuse(r, "We were unable to parse your search query: a key of metadata stands "
                         "between quotation marks, as in metadata[\"key\"]:\"value\".");
    if (!take_quoted(r, &clause->key)) return false;
    skip_space(r);
    if (peek(r) != ']')
        return refuse(r,
                      "We were unable to parse your search query: a bracket is missing after "
                      "metadata[\"%.*s\".",
                      SHOWN(clause->key));
    r->at++;
    return true;
}

static bool
take_operator(struct reader *r, struct search_clause *clause)
{
    const char first = peek(r);
    if (!at_end(r)) r->at++;
    const bool equal = (first == '<' || first == '>') && peek(r) == '=';
    if (equal) r->at++;
    switch (first) {
    case ':': clause->comparison = SEARCH_IS; break;
    case '~': clause->comparison = SEARCH_CONTAINS; break;
    case '>': clause->comparison = equal ? SEARCH_AT_LEAST : SEARCH_ABOVE; break;
    case '<': clause->comparison = equal ? SEARCH_AT_MOST : SEARCH_BELOW; break;
    default:
        return refuse(r,
                      "We were unable to parse your search query: after the field `%s` one of "
                      "the operators : ~ > < >= <= is missing.",
                      clause->field->name);
    }
    const enum search_kind kind = clause->field->kind;
    const bool number = kind == SEARCH_NUMBER || kind == SEARCH_MOMENT;
    if (clause->comparison == SEARCH_CONTAINS && kind != SEARCH_WORDS)
        return refuse(r, "Field `%s` does not support the substring operator ~.",
                      clause->field->name);
    if (clause->comparison > SEARCH_CONTAINS && !number)
        return refuse(r, "Field `%s` is not a number, and does not support the operator %c.",
                      clause->field->name, first);
    return true;
}

static bool
take_number(struct reader *r, struct search_clause *clause, struct text value)
{
    if (params_read_integer(value, &clause->number)) return true;
    return refuse(r, "Field `%s` is compared with a whole number, and this is none: %.*s",
                  clause->field->name, SHOWN(value));
}

static bool
take_flag(struct reader *r, struct search_clause *clause, struct text value)
{
    clause->number = word_is(value, "TRUE");
    if (clause->number || word_is(value, "FALSE")) return true;
    return refuse(r, "Field `%s` is either true or false, not: %.*s", clause->field->name,
                  SHOWN(value));
}

static bool
take_value(struct reader *r, struct search_clause *clause)
{
    const bool quoted = peek(r) == '"' || peek(r) == '\'';
    const size_t from = r->at;
    struct text value;
    if (quoted) {
        if (!take_quoted(r, &value)) return false;
    } else {
        if (peek(r) == '-') r->at++;
        (void)take_word(r);
        value = (struct text){r->text.at + from, r->at - from};
        if (value.size == 0)
            return refuse(r,
                          "We were unable to parse your search query: the field `%s` has no "
                          "value.",
                          clause->field->name);
    }
    if (!quoted && word_is(value, "NULL")) {
        if (clause->comparison != SEARCH_IS)
            return refuse(r, "null can only be compared by the operator :, as in %s:null.",
                          clause->field->name);
        clause->comparison = SEARCH_IS_ABSENT;
        return true;
    }
    switch (clause->field->kind) {
    case SEARCH_NUMBER:
    case SEARCH_MOMENT: return take_number(r, clause, value);
    case SEARCH_FLAG: return take_flag(r, clause, value);
    default: break;
    }
    if (!quoted)
        return refuse(r,
                      "We were unable to parse your search query: quotation marks are missing "
                      "around the value of the field `%s`: %.*s",
                      clause->field->name, SHOWN(value));
    if (clause->comparison == SEARCH_CONTAINS && utf8_count(value) < SEARCH_SUBSTRING_MIN)
        return refuse(r,
                      "The substring operator ~ needs at least %d characters, and the field `%s` "
                      "has fewer: %.*s",
                      SEARCH_SUBSTRING_MIN, clause->field->name, SHOWN(value));
    clause->value = value;
    return true;
}

static bool
take_clause(struct reader *r, struct search_clause *clause)
{
    *clause = (struct search_clause){.negated = peek(r) == '-'};
    if (clause->negated) r->at++;
    if (peek(r) == '(' || peek(r) == ')')
        return refuse(r,
                      "We were unable to parse your search query: parentheses are not supported.");
    const struct text name = take_word(r);
    if (name.size == 0) {
        const struct text rest = {r->text.at + r->at, r->text.size - r->at};
        return refuse(r, "We were unable to parse your search query: a field is missing%s%.*s",
                      rest.size ? " before " : " at its end.", SHOWN(rest));
    }
    return find_field(r, name, &clause->field) && take_key(r, clause) && take_operator(r, clause) &&
           take_value(r, clause);
}

/* --- the whole -------------------------------------------------------------------------------- */

/* AND, OR or nothing but space before the next clause. */
static bool
take_joint(struct reader *r, struct search_query *query, bool *joined_by_and)
{
    const size_t before = r->at;
    const struct text word = take_word(r);
    const bool any = word_is(word, "OR"), all = word_is(word, "AND");
    if (!any && !all) r->at = before; /* the next clause's field */
    if ((any && *joined_by_and) || (!any && query->any))
        return refuse(r, "You cannot combine AND and OR in the same search query. Use one of them, "
                         "or make two searches.");
    *joined_by_and |= !any;
    query->any |= any;
    skip_space(r);
    return true;
}

bool
search_parse(const char *resource, struct text text, char *memory, struct search_query *query,
             char message[static SEARCH_MESSAGE_MAX])
{
    struct reader r = {resource, text, 0, memory, message};
    bool joined_by_and = false;
    assert(search_is_for(resource));
    *query = (struct search_query){.count = 0};
    message[0] = '\0';
    if (text.size > SEARCH_QUERY_SIZE_MAX)
        return refuse(&r, "The search query is longer than %d characters.", SEARCH_QUERY_SIZE_MAX);
    skip_space(&r);
    if (at_end(&r)) return refuse(&r, "The search query is empty.");
    while (!at_end(&r)) {
        if (query->count && !take_joint(&r, query, &joined_by_and)) return false;
        if (query->count == SEARCH_CLAUSES_MAX)
            return refuse(&r, "A search query can have up to %d clauses.", SEARCH_CLAUSES_MAX);
        if (!take_clause(&r, &query->clauses[query->count])) return false;
        query->count++;
        if (!at_end(&r) && !is_space(peek(&r))) {
            const struct text rest = {text.at + r.at, text.size - r.at};
            return refuse(&r,
                          "We were unable to parse your search query: this was not expected: "
                          "%.*s",
                          SHOWN(rest));
        }
        skip_space(&r);
    }
    return true;
}
