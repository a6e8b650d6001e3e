#include "change.h"

#include <assert.h>

/* What stands around the values of a row or a posting: numbers, lengths, kinds. */
#define PACKING_BYTES 128

void
change_clear(struct change *change)
{
    change->row_count = change->posting_count = change->event_count = 0;
}

bool
change_is_empty(const struct change *change)
{
    return !change->row_count && !change->posting_count && !change->event_count;
}

static struct staged_row *
find(const struct change *change, enum row_table table, struct text id)
{
    for (size_t i = 0; i < change->row_count; i++)
        if (change->rows[i].table == table && text_equal(row_id(change->rows[i].row), id))
            return (struct staged_row *)&change->rows[i];
    return NULL;
}

static void
set_version(enum row_table table, void *row, int64_t version)
{
    const struct column *const column = &table_find(table)->columns[COLUMN_VERSION];
    assert(strcmp(column->name, "version") == 0);
    *(int64_t *)(void *)((char *)row + column->offset) = version;
}

void
change_row(struct change *change, enum row_table table, void *row, bool insert)
{
    assert(row_id(row).at && row_merchant(row).at);
    struct staged_row *staged = find(change, table, row_id(row));
    if (!staged) {
        assert(change->row_count < CHANGE_ROWS_MAX);
        assert(insert || row_version(row) > 0);
        staged = &change->rows[change->row_count++];
        *staged = (struct staged_row){table, insert ? 0 : row_version(row), NULL};
    }
    staged->row = row;
    set_version(table, row, staged->replaces + 1);
}

const void *
change_find(const struct change *change, enum row_table table, struct text id)
{
    const struct staged_row *const staged = find(change, table, id);
    return staged ? staged->row : NULL;
}

void
change_posting(struct change *change, const struct staged_posting *posting)
{
    int64_t sum = 0;
    assert(change->posting_count < CHANGE_POSTINGS_MAX);
    assert(posting->count >= 2);
    for (size_t i = 0; i < posting->count; i++)
        sum += posting->lines[i].amount;
    assert(sum == 0);
    change->postings[change->posting_count++] = *posting;
}

void
change_event(struct change *change, const struct told_event *event)
{
    assert(change->event_count < CHANGE_EVENTS_MAX);
    change->events[change->event_count++] = *event;
}

static bool
pack_rows(const struct staged_row *rows, size_t count, struct arena *arena,
          struct message_list *list)
{
    size_t largest = 0, cap = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t bound = row_size_bound(rows[i].table, rows[i].row);
        if (bound > largest) largest = bound;
        cap += bound + PACKING_BYTES;
    }
    uint8_t *const values = arena_take_unset(arena, largest);
    uint8_t *const bytes = arena_take_unset(arena, cap);
    for (size_t i = 0; i < count; i++) {
        const struct staged_row *const staged = &rows[i];
        size_t size;
        if (!row_encode(staged->table, staged->row, values, largest, &size)) return false;
        const struct msg_row_write write = {
            .has = HAS_row_write_table | HAS_row_write_version | HAS_row_write_values,
            .table = (uint64_t)staged->table,
            .version = (uint64_t)staged->replaces,
            .values = {(const char *)values, size},
        };
        if (!message_list_add(list, MSG_row_write, &write, bytes, cap)) return false;
    }
    return true;
}

/* Lines that move nothing (a fee of 0) are left out: the books have no entry of 0. */
static bool
pack_lines(const struct staged_posting *posting, struct arena *arena, struct message_list *list)
{
    const size_t cap = posting->count * PACKING_BYTES;
    uint8_t *const bytes = arena_take_unset(arena, cap);
    for (size_t i = 0; i < posting->count; i++) {
        const struct msg_entry entry = {
            .has = HAS_entry_account | HAS_entry_currency | HAS_entry_amount,
            .account = (uint64_t)posting->lines[i].account,
            .currency = posting->currency,
            .amount = posting->lines[i].amount,
        };
        if (entry.amount == 0) continue;
        if (!message_list_add(list, MSG_entry, &entry, bytes, cap)) return false;
    }
    return true;
}

static bool
pack_postings(const struct change *change, struct arena *arena, struct message_list *list)
{
    const size_t cap = change->posting_count * (POSTING_LINES_MAX + 2) * PACKING_BYTES;
    uint8_t *const bytes = arena_take_unset(arena, cap);
    for (size_t i = 0; i < change->posting_count; i++) {
        const struct staged_posting *const staged = &change->postings[i];
        struct msg_posting posting = {
            .has = HAS_posting_kind | HAS_posting_source | HAS_posting_entries,
            .kind = text_of(staged->kind),
            .source = staged->source,
        };
        if (!pack_lines(staged, arena, &posting.entries)) return false;
        if (posting.entries.count == 0) continue;
        if (!message_list_add(list, MSG_posting, &posting, bytes, cap)) return false;
    }
    return true;
}

static bool
pack_events(const struct change *change, struct arena *arena, struct message_list *list)
{
    const size_t cap = events_write_bound(change->events, change->event_count);
    return events_write(list, change->events, change->event_count, arena_take_unset(arena, cap),
                        cap);
}

size_t
change_told(const struct change *change, struct text body)
{
    for (size_t i = change->event_count; i--;)
        if (text_equal(change->events[i].data, body)) return i + 1;
    return 0;
}

bool
change_pack(const struct change *change, struct arena *arena, struct msg_commit *commit)
{
    commit->rows = commit->postings = commit->events = (struct message_list){NULL, 0, 0};
    if (change->row_count && !pack_rows(change->rows, change->row_count, arena, &commit->rows))
        return false;
    if (change->posting_count && !pack_postings(change, arena, &commit->postings)) return false;
    if (change->event_count && !pack_events(change, arena, &commit->events)) return false;
    if (commit->rows.count) commit->has |= HAS_commit_rows;
    if (commit->postings.count) commit->has |= HAS_commit_postings;
    if (commit->events.count) commit->has |= HAS_commit_events;
    return true;
}

bool
change_set_aside(struct change *change, struct arena *arena, struct text *aside)
{
    struct staged_row rows[CHANGE_ASIDE_MAX];
    struct msg_staged staged = {.has = HAS_staged_rows};
    size_t count = 0, kept = 0, size;
    for (size_t i = 0; i < change->row_count; i++) {
        if (change->rows[i].replaces) continue;
        if (count == CHANGE_ASIDE_MAX) return false;
        rows[count++] = change->rows[i];
    }
    if (!count || !pack_rows(rows, count, arena, &staged.rows)) return false;
    const size_t cap = message_size_bound(MSG_staged, &staged);
    uint8_t *const bytes = arena_take(arena, cap);
    if (message_encode(MSG_staged, &staged, bytes, cap, &size) != MESSAGE_OK) return false;

    /* After this point it must succeed. */
    for (size_t i = 0; i < change->row_count; i++)
        if (change->rows[i].replaces) change->rows[kept++] = change->rows[i];
    change->row_count = kept;
    *aside = (struct text){(const char *)bytes, size};
    return true;
}

bool
change_take_up(struct change *change, struct arena *arena, struct text merchant, struct text aside)
{
    struct msg_staged staged;
    struct msg_row_write write;
    enum message_verdict verdict;
    const char *culprit;
    if (message_decode(MSG_staged, (const uint8_t *)aside.at, aside.size, &staged, &culprit) !=
        MESSAGE_OK)
        return false;
    while (message_next(&staged.rows, MSG_row_write, &write, &verdict)) {
        const struct table *const table = table_find(write.table);
        void *const row = table ? arena_take(arena, table->size) : NULL;
        if (!table || write.version != 0 || change->row_count == CHANGE_ROWS_MAX) return false;
        if (!row_decode((enum row_table)table->number, (const uint8_t *)write.values.at,
                        write.values.size, row) ||
            !text_equal(row_merchant(row), merchant) || !table_takes_id(table, row_id(row)))
            return false;
        change_row(change, (enum row_table)table->number, row, true);
    }
    return verdict == MESSAGE_OK;
}
