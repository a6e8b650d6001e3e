#include "card_spotting.h"
#define card_number_in(...) false
#include "../../../common/core/route.c"
