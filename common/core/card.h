/* card: what a card's number, expiry and code may be, before anybody is asked about them.
 *
 * Pure, and without a single whole number in it: the table of test cards is linked only into the
 * two processes that may hold numbers (actors/cards). */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stdint.h>

#define CARD_DIGITS_MIN 12
#define CARD_DIGITS_MAX 19
#define CARD_CODE_DIGITS_MAX 4
#define CARD_YEARS_AHEAD_MAX 50

// clang-format off
/* Brand, its word in the API, what people call it, how many digits its security code has. */
#define CARD_BRANDS(X) \
    X(UNKNOWN,    "unknown",    "",                 3) \
    X(VISA,       "visa",       "Visa",             3) \
    X(MASTERCARD, "mastercard", "Mastercard",       3) \
    X(AMEX,       "amex",       "American Express", 4) \
    X(DISCOVER,   "discover",   "Discover",         3) \
    X(DINERS,     "diners",     "Diners Club",      3) \
    X(JCB,        "jcb",        "JCB",              3) \
    X(UNIONPAY,   "unionpay",   "UnionPay",         3)
#define AS_ENUM(name, word, proper, code_digits) CARD_##name,
enum card_brand { CARD_BRANDS(AS_ENUM) CARD_BRAND_COUNT };
#undef AS_ENUM

/* In order of precedence: the first that applies is the one returned. Name, error code and
 * parameter of the API. Zero refuses, so that a forgotten verdict is a refusal. */
#define CARD_VERDICTS(X) \
    X(BAD_NUMBER, "incorrect_number",     "number") \
    X(BAD_MONTH,  "invalid_expiry_month", "exp_month") \
    X(BAD_YEAR,   "invalid_expiry_year",  "exp_year") \
    X(BAD_CODE,   "invalid_cvc",          "cvc") \
    X(FINE,       "",                     "")
#define AS_ENUM(name, code, param) CARD_##name,
enum card_verdict { CARD_VERDICTS(AS_ENUM) CARD_VERDICT_COUNT };
#undef AS_ENUM
// clang-format on

/* A card that passed. It is secret: whoever holds one wipes it after use. */
struct card {
    char number[CARD_DIGITS_MAX + 1];
    char code[CARD_CODE_DIGITS_MAX + 1]; /* "" when none was given */
    uint8_t month;
    uint16_t year; /* four digits */
    enum card_brand brand;
};

/* Which month it is. */
struct card_month {
    int64_t year;
    int64_t month; /* 1 to 12 */
};

/* Checks fields as a person typed them: spaces and dashes between digits are let pass, a year of
 * two digits is of this century, a month that is over is past. `code` NO_TEXT or empty: none given.
 * Fills `card` on CARD_FINE and clears it on any other verdict. */
MUST_USE enum card_verdict card_check(struct text number, int64_t month, int64_t year,
                                      struct text code, struct card_month now, struct card *card);
const char *card_verdict_code(enum card_verdict verdict);
const char *card_verdict_param(enum card_verdict verdict);

/* The check digit is right. `digits` is digits alone, at least one. */
bool card_luhn_holds(struct text digits);
/* By the first digits (BIN). */
enum card_brand card_brand_of(struct text digits);
const char *card_brand_name(enum card_brand brand);
/* What people call the brand of this name, as "American Express" for "amex"; "" for one that is not
 * known. */
const char *card_brand_proper_name(struct text name);
size_t card_code_digits(enum card_brand brand);
/* The last day of that month is over. */
bool card_is_past(int64_t month, int64_t year, struct card_month now);
/* The month of a moment, in UTC. */
struct card_month card_month_of(int64_t unix_ms);
