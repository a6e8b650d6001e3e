/* change: what a call wants written, all of it or nothing, on its way to becoming a commit.
 *
 * Rows, postings and events are gathered here by the handlers' call_insert and kin; change_pack
 * turns them into the message that the ledger takes. Everything borrows from the call's arena. */
#pragma once

#include "arena.h"
#include "call.h"
#include "event_pack.h"
#include "message.h"
#include "must_use.h"
#include "row.h"

#define CHANGE_ROWS_MAX 64 /* the bounds of `commit` in messages.def */
#define CHANGE_POSTINGS_MAX 16
#define CHANGE_EVENTS_MAX EVENTS_PER_ROW_MAX
#define POSTING_LINES_MAX 16
#define CHANGE_ASIDE_MAX 16 /* the bound of `staged` */

struct staged_row {
    enum row_table table;
    int64_t replaces; /* version in the table; 0: none, it is inserted */
    void *row;
};

struct staged_posting {
    const char *kind;
    struct text source, currency;
    struct posting_line lines[POSTING_LINES_MAX];
    size_t count;
};

struct change {
    struct staged_row rows[CHANGE_ROWS_MAX];
    struct staged_posting postings[CHANGE_POSTINGS_MAX];
    struct told_event events[CHANGE_EVENTS_MAX];
    size_t row_count, posting_count, event_count;
};

void change_clear(struct change *change);
bool change_is_empty(const struct change *change);
/* The same row may be staged twice: the later one is what is written. Sets the row's version. */
void change_row(struct change *change, enum row_table table, void *row, bool insert);
/* The staged row, or NULL. */
const void *change_find(const struct change *change, enum row_table table, struct text id);
void change_posting(struct change *change, const struct staged_posting *posting);
void change_event(struct change *change, const struct told_event *event);

/* Takes the rows that would be inserted out of the change and packs them into the arena, as a
 * message `staged`. False, with nothing changed, when there are none, when they are too many or
 * longer than messages.def lets them be. */
MUST_USE bool change_set_aside(struct change *change, struct arena *arena, struct text *aside);
/* Stages them, to be inserted: rows of that merchant, borrowing from `aside`. False: it is not what
 * change_set_aside packs. */
MUST_USE bool change_take_up(struct change *change, struct arena *arena, struct text merchant,
                             struct text aside);

/* Sets rows, postings and events of the commit, packed into the arena. False when something is
 * longer than messages.def lets it be. */
MUST_USE bool change_pack(const struct change *change, struct arena *arena,
                          struct msg_commit *commit);
/* Which of the events, from 1, has that text as its data; 0: none. */
size_t change_told(const struct change *change, struct text body);
