#include "books.h"
#include "mutant.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Static_assert(OPEN_ATTEMPT_COMMAND_BYTES == COMMAND_ID_BYTES, "the id of a command");

bool
books_must_know(const struct command *c, size_t row)
{
    return c->rows[row].version > 0 || c->commit.repeated;
}

bool
books_must_know_key(const struct command *c)
{
    return c->commit.claim == 1 ||
           (c->commit.claim == 2 && c->commit.repeated && c->row_count == 0);
}

bool
books_key_is_new(const struct books *books, const struct command *c)
{
    return c->key_was_new && c->key_seen_at >= claims_since(books->claims) &&
           !claims_have(books->claims, key_fingerprint(c->commit.merchant, c->commit.key));
}

int32_t
books_key_place(const struct books *books, struct text merchant, struct text key)
{
    return open_attempts_find(books->open, key_fingerprint(merchant, key));
}

/* --- what was written ------------------------------------------------------------------------- */

static void
attempt_begun(const struct books *books, const struct command *c, const struct command_row *row,
              struct version now)
{
    const struct row_attempt *const attempt = row->row;
    struct open_attempt is = {
        .id = attempt_fingerprint(attempt->merchant, attempt->id),
        .subject = subject_fingerprint(attempt),
        .now = now,
    };
    if (command_key_holder(c) == row) {
        is.key = key_fingerprint(c->commit.merchant, c->commit.key);
        memcpy(is.command, c->commit.id.at, sizeof is.command);
    }
    open_attempts_begin(books->open, row->place, &is);
}

/* A key that it still holds got its row with its end. */
static void
attempt_ended(const struct books *books, const struct command_row *row, int64_t batch)
{
    const struct fingerprint key = open_attempts_at(books->open, row->place)->key;
    if (fingerprint_is_any(key)) claims_put(books->claims, key, batch);
    open_attempts_end(books->open, row->place);
}

static void
row_written(const struct books *books, const struct command *c, const struct command_row *row,
            int64_t batch)
{
    struct version now = {row->version + 1, ATTEMPT_NONE};
    if (row->table->number == ROW_attempt) {
        now.state = attempt_state_named(((const struct row_attempt *)row->row)->state);
        const bool open = attempt_is_open(now.state);
        if (row->place && row->version == 0)
            attempt_begun(books, c, row, now);
        else if (row->place && open)
            open_attempts_step(books->open, row->place, now);
        else if (row->place)
            attempt_ended(books, row, batch);
        if (open) return;
    }
    versions_put(books->versions, row->table->number, c->commit.merchant, row_id(row->row), now);
}

void
books_wrote(const struct books *books, const struct command *c, int64_t batch)
{
    if (c->commit.claim)
        claims_put(books->claims, key_fingerprint(c->commit.merchant, c->commit.key), batch);
    if (c->commit.claim == 2 && c->key_place) open_attempts_let_key_go(books->open, c->key_place);
    for (size_t i = 0; i < c->row_count; i++)
        row_written(books, c, &c->rows[i], batch);
}

/* --- verdicts --------------------------------------------------------------------------------- */

static enum commit_verdict say(struct command *c, enum commit_verdict verdict, const char *format,
                               ...) __attribute__((format(printf, 3, 4)));
static enum commit_verdict
say(struct command *c, enum commit_verdict verdict, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->detail, sizeof c->detail, format, arguments);
    va_end(arguments);
    return verdict;
}

/* An attempt may have been brought to the same version by another command, of another owner of the
 * slot: then its state is not the one that this command would give it. A decision to reverse that
 * was not written must never count as durable because somebody else has booked the approval. */
static bool
stands_as_written(const struct command_row *row)
{
    return row->table->number != ROW_attempt || FLORIN_MUTANT(version_is_all) ||
           row->now.state == attempt_state_named(((const struct row_attempt *)row->row)->state);
}

static bool
owns_its_slot(const struct books *books, const struct command *c)
{
    const struct slot *slot = &books->slots[c->slot];
    return c->internal ||
           (slot->epoch == (int64_t)c->commit.epoch && strcmp(slot->owner, c->sender) == 0);
}

/* Nobody else can have brought the rows of this command to where they are: one of them is an
 * attempt, and stands in the state that it would give it, or is new, and bears an id that nobody
 * else has made. A customer's name, say, may as well be the work of the slot's next owner, and to
 * call that done would be to tell a change that was never made. */
static bool
is_known_by_its_rows(const struct command *c)
{
    for (size_t i = 0; i < c->row_count; i++)
        if (c->rows[i].table->number == ROW_attempt || c->rows[i].version == 0) return true;
    return false;
}

/* By an earlier sending of the same command: its key bears its id, or all its rows stand where it
 * would put them. */
static bool
was_written(const struct books *books, const struct command *c, const struct key_row *key)
{
    if (c->commit.claim == 1) return key->found && text_equal(key->command, c->commit.id);
    if (!c->commit.repeated) return false;
    if (c->row_count == 0) return key->found && key->status;
    for (size_t i = 0; i < c->row_count; i++)
        if (c->rows[i].now.version != c->rows[i].version + 1 || !stands_as_written(&c->rows[i]))
            return false;
    return is_known_by_its_rows(c) || owns_its_slot(books, c) || FLORIN_MUTANT(change_is_ours);
}

static enum commit_verdict
key_verdict(struct command *c, const struct key_row *key)
{
    if (c->commit.claim != 1 || !key->found || FLORIN_MUTANT(key_is_always_new)) return 0;
    if (key->status == 0) return COMMIT_OPEN;
    if (!text_equal(key->request_hash, c->commit.request_hash) ||
        !text_equal(key->path, c->commit.path))
        return COMMIT_MISMATCH;
    c->answer = (struct answer){key->status, key->body, key->request, key->packed, key->told};
    return COMMIT_ANSWERED;
}

static enum commit_verdict
rows_verdict(struct command *c)
{
    for (size_t i = 0; i < c->row_count; i++) {
        const struct command_row *row = &c->rows[i];
        if (!books_must_know(c, i) || row->now.version == row->version) continue;
        const struct text id = row_id(row->row);
        return say(c, COMMIT_STALE, "%.*s is at version %lld, not at %lld", (int)id.size, id.at,
                   (long long)row->now.version, (long long)row->version);
    }
    return 0;
}

/* Only attempts have arrows that the ledger itself knows: money hangs on them. */
static enum commit_verdict
arrows_verdict(struct command *c)
{
    for (size_t i = 0; i < c->row_count; i++) {
        const struct command_row *row = &c->rows[i];
        if (row->table->number != ROW_attempt) continue;
        const struct row_attempt *attempt = row->row;
        const enum attempt_state to = attempt_state_named(attempt->state);
        const enum attempt_state from = row->version ? row->now.state : ATTEMPT_NONE;
        if (!attempt_may_go(from, to))
            return say(c, COMMIT_REJECTED, "%.*s cannot go from %s to %s", (int)attempt->id.size,
                       attempt->id.at, attempt_state_name(from), attempt_state_name(to));
    }
    return 0;
}

/* One attempt at a time for a payment, a set-up or a charge, whatever their rows say. */
static enum commit_verdict
subjects_verdict(const struct books *books, struct command *c)
{
    for (size_t i = 0; i < c->row_count; i++) {
        const struct row_attempt *const attempt = c->rows[i].row;
        if (c->rows[i].table->number != ROW_attempt || c->rows[i].version) continue;
        if (open_attempts_find(books->open, subject_fingerprint(attempt)) ||
            open_attempts_find(books->open, attempt_fingerprint(attempt->merchant, attempt->id)))
            return say(c, COMMIT_REJECTED, "%.*s cannot begin: an attempt of it is under way",
                       (int)attempt->id.size, attempt->id.at);
    }
    return 0;
}

enum commit_verdict
books_verdict(const struct books *books, struct command *c, const struct key_row *key)
{
    enum commit_verdict verdict;
    if (was_written(books, c, key)) return COMMIT_DONE;
    if (!owns_its_slot(books, c)) {
        const struct slot *slot = &books->slots[c->slot];
        return say(c, COMMIT_FENCED, "slot %u is %s's under epoch %lld", c->slot,
                   slot->epoch ? slot->owner : "nobody", (long long)slot->epoch);
    }
    if ((verdict = key_verdict(c, key))) return verdict;
    if ((verdict = rows_verdict(c))) return verdict;
    if ((verdict = arrows_verdict(c))) return verdict;
    if ((verdict = subjects_verdict(books, c))) return verdict;
    if (c->wrong) return say(c, COMMIT_REJECTED, "%s", c->wrong);
    return 0;
}

bool
books_holds(const struct books *books, const uint8_t slots[static SLOT_BYTES], const char *owner,
            int64_t incarnation, int64_t *epoch)
{
    *epoch = 0;
    for (uint16_t i = 0; i < SLOT_COUNT; i++) {
        const struct slot *slot = &books->slots[i];
        if (!slot_in(slots, i)) continue;
        if (slot->incarnation != incarnation || strcmp(slot->owner, owner) != 0) return false;
        if (*epoch && slot->epoch != *epoch) return false;
        *epoch = slot->epoch;
    }
    return *epoch > 0;
}
