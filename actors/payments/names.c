#include "names.h"

#include "random.h"
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#define BUCKETS_AT_FIRST 256

static_assert(sizeof(((struct names *)0)->key) == crypto_shorthash_KEYBYTES, "SipHash's key");

void
names_init(struct names *names)
{
    *names = (struct names){.count = 0};
    random_bytes(names->key, sizeof names->key);
}

void
names_end(struct names *names)
{
    free(names->buckets);
    names->buckets = NULL;
    names->bucket_count = names->count = 0;
}

uint64_t
names_hash(const struct names *names, struct text name)
{
    uint64_t hash;
    uint8_t bytes[crypto_shorthash_BYTES];
    crypto_shorthash(bytes, (const unsigned char *)name.at, name.size, names->key);
    memcpy(&hash, bytes, sizeof hash);
    return hash;
}

static struct name_node **
bucket_of(const struct names *names, uint64_t hash)
{
    return &names->buckets[hash & (names->bucket_count - 1)];
}

static void
grow(struct names *names)
{
    struct names bigger = *names;
    bigger.bucket_count = names->bucket_count ? names->bucket_count * 2 : BUCKETS_AT_FIRST;
    bigger.buckets = calloc(bigger.bucket_count, sizeof(struct name_node *));
    if (!bigger.buckets) abort();
    for (size_t i = 0; i < names->bucket_count; i++) {
        struct name_node *node = names->buckets[i];
        while (node) {
            struct name_node *const next = node->next;
            struct name_node **const bucket = bucket_of(&bigger, node->hash);
            node->next = *bucket;
            *bucket = node;
            node = next;
        }
    }
    free(names->buckets);
    *names = bigger;
}

static struct name_node *
find(const struct names *names, uint64_t hash, struct text name)
{
    if (!names->count) return NULL;
    for (struct name_node *node = *bucket_of(names, hash); node; node = node->next)
        if (node->hash == hash && text_equal(node->name, name)) return node;
    return NULL;
}

/* Twice as many buckets as names: most of them are empty, and what is not there is not there at the
 * first look. Each further look is memory that no cache of the processor has. */
void
names_add_hashed(struct names *names, struct name_node *node, uint64_t hash, struct text name,
                 void *owner)
{
    assert(name.at && !node->name.at);
    if (2 * names->count >= names->bucket_count) grow(names);
    node->name = name;
    node->owner = owner;
    node->hash = hash;
    assert(!find(names, node->hash, name));
    struct name_node **const bucket = bucket_of(names, node->hash);
    node->next = *bucket;
    *bucket = node;
    names->count++;
}

void
names_add(struct names *names, struct name_node *node, struct text name, void *owner)
{
    names_add_hashed(names, node, names_hash(names, name), name, owner);
}

void
names_remove(struct names *names, struct name_node *node)
{
    if (!node->name.at) return;
    struct name_node **at = bucket_of(names, node->hash);
    while (*at && *at != node)
        at = &(*at)->next;
    assert(*at == node);
    *at = node->next;
    node->next = NULL;
    node->name = NO_TEXT;
    names->count--;
}

void *
names_find_hashed(const struct names *names, uint64_t hash, struct text name)
{
    const struct name_node *const node = find(names, hash, name);
    return node ? node->owner : NULL;
}

void *
names_find(const struct names *names, struct text name)
{
    return names->count ? names_find_hashed(names, names_hash(names, name), name) : NULL;
}
