#include "looking.h"

#include "statements.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A row or a key that is being asked for. */
struct question {
    struct command *command;
    size_t index; /* of the row in its command; of the command, for its key */
};

struct looking {
    struct question *questions;
    size_t count, cap;
    struct key_row *keys; /* one for each command */
    size_t key_cap;
    PGresult *key_result; /* it holds the texts of keys */
};

struct looking *
looking_new(void)
{
    struct looking *l = calloc(1, sizeof *l);
    assert(l);
    return l;
}

void
looking_destroy(struct looking **looking_p)
{
    struct looking *l = *looking_p;
    if (!l) return;
    PQclear(l->key_result);
    free(l->questions);
    free(l->keys);
    free(l);
    *looking_p = NULL;
}

const struct key_row *
looking_key(const struct looking *looking, size_t index)
{
    return &looking->keys[index];
}

static void *
at_least(void *memory, size_t *cap, size_t count, size_t size)
{
    if (count <= *cap) return memory;
    *cap = count * 2;
    memory = realloc(memory, *cap * size);
    assert(memory);
    return memory;
}

static void
ask(struct looking *l, struct command *c, size_t index)
{
    l->questions = at_least(l->questions, &l->cap, l->count + 1, sizeof *l->questions);
    l->questions[l->count++] = (struct question){c, index};
}

/* An attempt under way holds the key: it was claimed, and not answered. */
static bool
held(struct looking *l, const struct books *books, const struct command *c, size_t index)
{
    const int32_t place = books_key_place(books, c->commit.merchant, c->commit.key);
    if (!place) return false;
    struct key_row *const key = &l->keys[index];
    memcpy(key->own, open_attempts_at(books->open, place)->command, sizeof key->own);
    key->found = true;
    key->command = (struct text){key->own, sizeof key->own};
    return true;
}

static void
ask_for_keys(struct looking *l, struct pipeline *p, const struct books *books,
             struct command *const *commands, size_t count)
{
    const size_t first = l->count;
    arrays_begin(&p->arrays, KINDS_KEY_FIND);
    for (size_t i = 0; i < count; i++) {
        struct command *c = commands[i];
        l->keys[i] = (struct key_row){.found = false};
        if (!c || !books_must_know_key(c) || held(l, books, c, i) || books_key_is_new(books, c))
            continue;
        ask(l, c, i);
        arrays_text(&p->arrays, 0, c->commit.merchant);
        arrays_text(&p->arrays, 1, c->commit.key);
    }
    if (l->count > first)
        pipeline_arrays(p, STATEMENT_KEY_FIND, -1, (struct step_of){STEP_KEYS, first, NULL});
}

/* Fills in what is remembered, asks for what is not. */
static void
ask_for_row(struct looking *l, struct pipeline *p, const struct books *books, struct command *c,
            size_t index)
{
    struct command_row *row = &c->rows[index];
    const struct text id = row_id(row->row), merchant = c->commit.merchant;
    row->now = (struct version){0, ATTEMPT_NONE};
    if (row->table->number == ROW_attempt) {
        const int32_t place = open_attempts_find(books->open, attempt_fingerprint(merchant, id));
        if (place) {
            row->now = open_attempts_at(books->open, place)->now;
            return;
        }
    }
    if (versions_get(books->versions, row->table->number, merchant, id, &row->now)) return;
    ask(l, c, index);
    arrays_text(&p->arrays, 0, merchant);
    arrays_text(&p->arrays, 1, id);
}

static void
ask_for_table(struct looking *l, struct pipeline *p, const struct books *books,
              const struct table_statements *s, struct command *const *commands, size_t count)
{
    const size_t first = l->count;
    arrays_begin(&p->arrays, KINDS_FIND);
    for (size_t i = 0; i < count; i++)
        for (size_t r = 0; commands[i] && r < commands[i]->row_count; r++)
            if (commands[i]->rows[r].table == s->table && books_must_know(commands[i], r))
                ask_for_row(l, p, books, commands[i], r);
    if (l->count > first)
        pipeline_arrays(p, s->find, -1, (struct step_of){STEP_VERSIONS, first, s->table});
}

/* A bit for the number of each table that something must be known of. */
static uint64_t
tables_to_ask(struct command *const *commands, size_t count)
{
    uint64_t wanted = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t r = 0; commands[i] && r < commands[i]->row_count; r++)
            if (books_must_know(commands[i], r))
                wanted |= UINT64_C(1) << commands[i]->rows[r].table->number;
    return wanted;
}

void
looking_ask(struct looking *looking, struct pipeline *p, const struct books *books,
            struct command *const *commands, size_t count)
{
    struct looking *l = looking;
    l->count = 0;
    l->keys = at_least(l->keys, &l->key_cap, count, sizeof *l->keys);
    PQclear(l->key_result);
    l->key_result = NULL;
    ask_for_keys(l, p, books, commands, count);
    const uint64_t wanted = tables_to_ask(commands, count);
    for (size_t i = 0; i < table_count; i++)
        if (wanted >> tables[i]->number & 1)
            ask_for_table(l, p, books, table_statements(i), commands, count);
}

/* The question that this row of the answer is for. */
static const struct question *
question_of(const struct looking *l, const struct step_of *step, const PGresult *r, int row)
{
    const size_t at = step->first + (size_t)result_number(r, row, 0) - 1;
    assert(at < l->count);
    return &l->questions[at];
}

static void
learn_keys(struct looking *l, const struct step_of *step, PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++)
        l->keys[question_of(l, step, r, i)->index] = (struct key_row){
            .found = true,
            .request_hash = result_text(r, i, 1),
            .path = result_text(r, i, 2),
            .command = result_text(r, i, 3),
            .request = result_text(r, i, 4),
            .status = (uint16_t)result_number(r, i, 5),
            .body = result_text(r, i, 6),
            .packed = result_text(r, i, 7),
            .told = (uint64_t)result_number(r, i, 8),
        };
    l->key_result = r;
}

static void
learn_versions(const struct looking *l, const struct step_of *step, struct versions *versions,
               const PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        const struct question *q = question_of(l, step, r, i);
        struct command_row *row = &q->command->rows[q->index];
        row->now = (struct version){result_number(r, i, 1), ATTEMPT_NONE};
        if (step->table->number == ROW_attempt)
            row->now.state = attempt_state_named(result_text(r, i, 2));
        versions_put(versions, step->table->number, q->command->commit.merchant, row_id(row->row),
                     row->now);
    }
}

void
looking_learn(struct looking *looking, const struct step_of *step, struct versions *versions,
              PGresult *result)
{
    if (step->step == STEP_KEYS) {
        learn_keys(looking, step, result);
        return;
    }
    learn_versions(looking, step, versions, result);
    PQclear(result);
}
