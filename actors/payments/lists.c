#include "lists.h"

#include "answer.h"
#include "fields.h"
#include "id.h"
#include "render.h"

#include <assert.h>

/* Ids begin with their millisecond, so a bound in seconds is a bound of ids. */
static struct text
id_at(struct call *call, const char *prefix, int64_t second)
{
    const int64_t least = 0, most = TIME_MAX / 1000;
    const int64_t bounded = second < least ? least : second > most ? most : second;
    return id_floor(arena_take(call->arena, ID_SIZE_MAX + 1), prefix, bounded * 1000);
}

bool
list_asked(struct call *call, const char *prefix, struct list_asked *asked)
{
    const struct params params = call->params;
    const int64_t limit = params_integer(params, "limit", LIST_LIMIT_USUAL);
    *asked = (struct list_asked){
        .limit = limit < 1                ? 1
                 : limit > LIST_LIMIT_MAX ? LIST_LIMIT_MAX
                                          : (int)limit,
        .after = field_given(call, "starting_after"),
        .before = field_given(call, "ending_before"),
    };
    if (asked->after.at && asked->before.at) {
        call_refuse_400(call, NULL, "starting_after",
                        "Received both starting_after and ending_before parameters. "
                        "Please pass in only one.");
        return false;
    }
    /* Seconds from `from` up to but not including `to`. */
    int64_t from = INT64_MIN, to = INT64_MAX;
    const struct {
        const char *name;
        bool lower, next; /* which bound, and whether it begins with the next second */
    } bounds[] = {{"created", true, false},      {"created", false, true},
                  {"created[gt]", true, true},   {"created[gte]", true, false},
                  {"created[lt]", false, false}, {"created[lte]", false, true}};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        if (!params_have(params, bounds[i].name)) continue;
        int64_t second = params_integer(params, bounds[i].name, 0);
        if (bounds[i].next && second < INT64_MAX) second++;
        if (bounds[i].lower && second > from) from = second;
        if (!bounds[i].lower && second < to) to = second;
    }
    if (from != INT64_MIN) asked->id_least = id_at(call, prefix, from);
    if (to != INT64_MAX) asked->id_below = id_at(call, prefix, to);
    return true;
}

bool
list_page(struct call *call, enum row_table table, struct store_page *page)
{
    struct list_asked asked;
    if (!list_asked(call, table_find((uint64_t)table)->prefix, &asked)) return false;
    *page = (struct store_page){.after = asked.after,
                                .before = asked.before,
                                .id_least = asked.id_least,
                                .id_below = asked.id_below,
                                .limit = asked.limit};
    void *row = call_new_row(call, table);
    if (page->after.at && !call_get_param(call, table, page->after, "starting_after", row))
        return false;
    if (page->before.at && !call_get_param(call, table, page->before, "ending_before", row))
        return false;
    return true;
}

void
list_filter(struct store_page *page, const char *column, struct text value)
{
    assert(page->filter_count < sizeof page->filters / sizeof page->filters[0]);
    if (value.at) page->filters[page->filter_count++] = (struct store_filter){column, value};
}

struct text
list_url(struct call *call)
{
    const char *path = call->route->path, *open = strchr(path, '{');
    if (!open) return text_of(path);
    const char *close = strchr(open, '}');
    return arena_format(call->arena, "%.*s%.*s%s", (int)(open - path), path, (int)call->object.size,
                        call->object.at, close + 1);
}

void
list_answer(struct call *call, enum row_table table, const struct store_page *page)
{
    void *rows = NULL;
    size_t count = 0;
    bool more = false;
    struct text json;
    if (store_list(call->store, table, call->merchant, page, call->arena, &rows, &count, &more) ==
            STORE_UNAVAILABLE ||
        !render_list(call, table, rows, count, more, list_url(call), call->expand, &json))
        refuse_unavailable(call);
    else
        call_answer(call, 200, json);
}
