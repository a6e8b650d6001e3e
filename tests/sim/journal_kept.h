/* book: the network's book in memory (actors/network/book.h): what was committed outlives the
 * process. */
#pragma once

#include "record.h"

void book_begin(void);
size_t book_count(void);
const struct network_record *book_nth(size_t index);
const struct network_record *book_record(struct text reference);
