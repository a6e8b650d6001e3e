#include "book.h"

#include "journal_kept.h"
#include "world.h"
#include <stdlib.h>
#include <string.h>

#define RECORDS_MAX 4096

static struct network_record *records[RECORDS_MAX];
static size_t record_count;

/* What this turn wrote: seen by it, and durable only when it is committed. */
struct written {
    struct written *before;
    struct network_record record;
};
struct book {
    struct written *last;
};

void
book_begin(void)
{
    record_count = 0;
}

size_t
book_count(void)
{
    return record_count;
}

const struct network_record *
book_nth(size_t index)
{
    return records[index];
}

static size_t
place_of(struct text reference)
{
    size_t i = 0;
    while (i < record_count && !text_is(reference, records[i]->reference))
        i++;
    return i;
}

const struct network_record *
book_record(struct text reference)
{
    const size_t place = place_of(reference);
    return place < record_count ? records[place] : NULL;
}

struct book *
book_open(const char *home)
{
    (void)home;
    return calloc(1, sizeof(struct book));
}

void
book_close(struct book **book_p)
{
    free(*book_p);
    *book_p = NULL;
}

bool
book_find(struct book *book, struct text reference, struct network_record *record)
{
    for (const struct written *w = book->last; w; w = w->before)
        if (text_is(reference, w->record.reference)) {
            *record = w->record;
            return true;
        }
    const struct network_record *const kept = book_record(reference);
    if (kept)
        *record = *kept;
    else
        memset(record, 0, sizeof *record);
    return kept != NULL;
}

/* Through its bytes, as the real one. */
void
book_put(struct book *book, const struct network_record *record)
{
    uint8_t bytes[RECORD_BYTES_MAX];
    struct written *w = take(sizeof *w);
    if (!record_decode(bytes, record_encode(record, bytes), &w->record))
        violation("a record of the network cannot be read again");
    w->before = book->last;
    book->last = w;
}

static void
keep_oldest_first(const struct written *w)
{
    if (!w) return;
    keep_oldest_first(w->before);
    struct network_record *const kept = take(sizeof *kept);
    const size_t place = place_of(text_of(w->record.reference));
    *kept = w->record;
    if (place == RECORDS_MAX) abort();
    records[place] = kept;
    if (place == record_count) record_count++;
}

void
book_commit(struct book *book)
{
    if (!book->last) return;
    world_touched("before the network's book");
    keep_oldest_first(book->last);
    book->last = NULL;
    world_touched("after the network's book");
}
