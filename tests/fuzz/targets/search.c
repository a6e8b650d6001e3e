/* search: the first byte chooses a resource. A query has a bounded number of clauses, each of a field
 * of that resource, with a comparison that its kind allows; or there are words for the client. */
#include "fuzz.h"
#include "search_query.h"
#include "utf8.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    const char *resource = search_fields[data[0] % search_field_count].resource;
    const struct text text = {(const char *)data + 1, size - 1};
    if (!utf8_is_clean(text)) return 0; /* form.h lets nothing else come so far */
    char *memory = exactly(text.size), message[SEARCH_MESSAGE_MAX];
    struct search_query query;
    memset(message, 'x', sizeof message);
    if (!search_parse(resource, text, memory, &query, message)) {
        MUST_HOLD(memchr(message, '\0', sizeof message) && message[0]);
        MUST_HOLD(utf8_is_clean(text_of(message)));
        free(memory);
        return 0;
    }
    MUST_HOLD(query.count >= 1 && query.count <= SEARCH_CLAUSES_MAX);
    for (size_t i = 0; i < query.count; i++) {
        const struct search_clause *c = &query.clauses[i];
        MUST_HOLD(c->field && strcmp(c->field->resource, resource) == 0);
        const struct text texts[] = {c->key, c->value};
        for (int k = 0; k < 2; k++) {
            if (!texts[k].at || texts[k].size == 0) continue;
            MUST_HOLD(utf8_is_clean(texts[k]));
            const bool borrowed =
                (texts[k].at >= memory && texts[k].at + texts[k].size <= memory + text.size) ||
                (texts[k].at >= text.at && texts[k].at + texts[k].size <= text.at + text.size);
            MUST_HOLD(borrowed);
        }
        if (c->field->kind == SEARCH_METADATA) MUST_HOLD(c->key.at);
        if (c->comparison == SEARCH_CONTAINS) {
            MUST_HOLD(c->field->kind == SEARCH_WORDS);
            MUST_HOLD(utf8_count(c->value) >= SEARCH_SUBSTRING_MIN);
        }
        if (c->comparison >= SEARCH_ABOVE && c->comparison <= SEARCH_AT_MOST)
            MUST_HOLD(c->field->kind == SEARCH_NUMBER || c->field->kind == SEARCH_MOMENT);
        if (c->field->kind == SEARCH_FLAG && c->comparison == SEARCH_IS)
            MUST_HOLD(c->number == 0 || c->number == 1);
    }
    free(memory);
    return 0;
}
