/* event_type: the types of events that an endpoint can ask for (event_type.def). */
#pragma once

#include "text.h"
#include <stdbool.h>

bool event_type_known(struct text type);
