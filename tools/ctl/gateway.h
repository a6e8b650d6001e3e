/* gateway: what its health page says, for whoever asks from outside. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct gateway_words {
    char text[256];
    size_t size;
};

/* http://127.0.0.1:8420: of the gateway that runs, else as the settings have it. */
void gateway_url(const char *home, char *out, size_t cap);
/* True when a payment could be made; `words` has what it said, or why it could not be asked. */
bool gateway_serves(const char *home, struct gateway_words *words);
