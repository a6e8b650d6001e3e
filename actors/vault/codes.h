/* codes: security codes, from when a card is typed until its first authorization.
 *
 * They are never written anywhere: they are in locked memory, for 15 minutes at most, and are wiped
 * when they are handed out. A handle (cvc_…) stands for one code of one card and works once. When
 * the table is full the oldest code goes: its payment is then made without one, which is better
 * than that no card could be taken. */
#pragma once

#include "card.h"
#include "keyring.h"
#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stdint.h>

#define CODE_HANDLE_SIZE 28 /* cvc_, 4 characters of place, 20 of chance */
#define CODE_LIFETIME_MS (15 * 60 * 1000)
#define CODES_MAX 32768

struct codes;

struct codes *codes_new(uint32_t capacity); /* at most CODES_MAX */
void codes_destroy(struct codes **codes_p);

/* Keeps the code of the card with that identity; writes its handle and a NUL. Returns true when
 * another code had to go for it. */
bool codes_keep(struct codes *codes, const uint8_t identity[static IDENTITY_BYTES],
                const char *code, int64_t mono_ms, char handle[static CODE_HANDLE_SIZE + 1]);
/* Hands out the code and forgets it. False, with `code` empty, when the handle is not known (any
 * more) or is another card's. */
MUST_USE bool codes_take(struct codes *codes, struct text handle,
                         const uint8_t identity[static IDENTITY_BYTES], int64_t mono_ms,
                         char code[static CARD_CODE_DIGITS_MAX + 1]);
/* Wipes what is too old. */
void codes_sweep(struct codes *codes, int64_t mono_ms);
uint32_t codes_count(const struct codes *codes);
