/* keys: the CURVE key files of an instance, and the names that they bear.
 *
 * HOME/keys/NAME.key holds a process's public and secret key, HOME/keys/public/NAME.pub its public
 * key for the others: in Z85, a line each. A NAME is ROLE-INSTANCE, as in `ledger-2`. Keys that
 * everybody knows (all zero, or printed in zmq_curve(7)) are no keys. */
#pragma once

#include "node.h"

enum { KEY_BYTES = 32, KEY_Z85_BYTES = 40, PUBLIC_KEYS_MAX = 4096 };

/* False unless `name` is a role of roles.def, a hyphen, and a number from 1 to 9999. */
bool name_split(const char *name, char role[static NODE_NAME_MAX + 1], int *instance);

/* Dies with a sentence when the file is missing, somebody else's, readable by others, or holds no
 * pair of keys, or one that everybody knows. */
void keys_read_own(const char *home, const char *name, uint8_t public_key[static KEY_BYTES],
                   uint8_t secret_key[static KEY_BYTES]);

struct public_key {
    uint8_t key[KEY_BYTES];
    char name[NODE_NAME_MAX + 1];
    char role[NODE_NAME_MAX + 1];
};

/* One of HOME/keys/public; false with one sentence in `error` when it is not to be trusted. */
bool keys_read_public(const char *home, const char *name, uint8_t key[static KEY_BYTES],
                      char *error, unsigned long error_size);
/* All of HOME/keys/public, yours to free. Files that are not to be trusted are logged and left
 * out. False with one sentence in `error` when the folder itself is not, or when two roles share a
 * key: then nothing is known any more about who is who. */
bool keys_read_all(const char *home, struct public_key **keys, unsigned long *count, char *error,
                   unsigned long error_size);
