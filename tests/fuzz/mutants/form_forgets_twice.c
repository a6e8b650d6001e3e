#include "form.h"
#define FORM_GIVEN_TWICE FORM_OK
#include "../../../common/core/form.c"
