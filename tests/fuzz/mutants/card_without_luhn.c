#include "card.h"
#define card_luhn_holds(...) true
#include "../../../common/core/card_spotting.c"
