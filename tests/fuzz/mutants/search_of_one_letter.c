#include "search_query.h"
#undef SEARCH_SUBSTRING_MIN
#define SEARCH_SUBSTRING_MIN 1
#include "../../../common/core/search_query.c"
