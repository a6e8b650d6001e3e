/* card_spotting: a card number where none belongs. Merchants put what they should not into
 * descriptions and metadata; such a text is refused before anything keeps it (H114). */
#pragma once

#include "text.h"
#include <stdbool.h>

/* True when the text holds 14 to 19 digits that begin and check like a card of a known brand, in
 * one piece or in the groups that cards are printed in, with spaces or dashes between them. Longer
 * runs of digits are not cards, nor are the groups of a UUID. */
bool card_number_in(struct text text);
