#include "http_head.h"
#define HTTP_BAD_TARGET HTTP_OK
#include "../../../gateway/http_head.c"
