#include "wire.h"
#define wire_text_is_clean(at, size) true
#include "../../../common/proto/message.c"
