/* words: any message of messages.def from `name=value` words, and back.
 *
 *   amount=2000                 a number, or a text, as the table says
 *   hash=hex:00ff…              bytes; also form:a=1&b=2 (canonical parameters) and @file
 *   cards[0].token=card_1…      a field of the first element of a list */
#pragma once

#include "arena.h"
#include "message.h"
#include "must_use.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Fills `body`, the message's struct; texts and lists live in the arena. False with one sentence
 * in `error` when a word fits no field or its value is not of the field's kind. What is missing is
 * for the encoder to find. */
MUST_USE bool words_read(const struct message *message, const char *const words[], size_t count,
                         void *body, struct arena *arena, char *error, size_t error_size);

enum words_style { WORDS_LINES, WORDS_JSON };
/* A line per field, or one JSON object on one line. Bytes are shown in hexadecimal. */
void words_print(FILE *out, const struct message *message, const void *body,
                 enum words_style style);
