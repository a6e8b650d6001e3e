/* names: finds a thing by its name. A hash table of nodes that live inside the things themselves,
 * so that adding and removing never fails and never allocates, but for the table's own growth.
 *
 * Names come from clients (idempotency keys, ids in paths), so the hash is keyed by chance: nobody
 * outside can choose names that all fall into one place. */
#pragma once

#include "text.h"
#include <stddef.h>
#include <stdint.h>

struct name_node {
    struct name_node *next;
    struct text name; /* NO_TEXT: not in any table. Lives in the owner. */
    uint64_t hash;
    void *owner;
};

struct names {
    struct name_node **buckets;
    size_t bucket_count; /* a power of 2, or 0 before the first name */
    size_t count;
    uint8_t key[16];
};

void names_init(struct names *names);
void names_end(struct names *names);
/* `name` must not be there yet, and must live as long as the node is in. */
void names_add(struct names *names, struct name_node *node, struct text name, void *owner);
/* Nothing happens when the node is not in. */
void names_remove(struct names *names, struct name_node *node);
/* The owner, or NULL. */
void *names_find(const struct names *names, struct text name);

/* Likewise, for who looks for a name and then adds it: the hash is reckoned once. */
uint64_t names_hash(const struct names *names, struct text name);
void *names_find_hashed(const struct names *names, uint64_t hash, struct text name);
void names_add_hashed(struct names *names, struct name_node *node, uint64_t hash, struct text name,
                      void *owner);
