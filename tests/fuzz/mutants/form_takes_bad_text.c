#include "utf8.h"
#define utf8_is_clean(...) true
#include "../../../common/core/form.c"
