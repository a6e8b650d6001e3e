#include "kept.h"

#include "wire.h"
#include <assert.h>
#include <sodium.h>

enum { MAC_BYTES = 32, VERSION = 1, FIELDS = 8 };

static void
digest(const uint8_t secret[static KEPT_SECRET_BYTES], const char *purpose, struct text a,
       struct text b, uint8_t out[static MAC_BYTES])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, secret, KEPT_SECRET_BYTES, MAC_BYTES);
    crypto_generichash_update(&state, (const uint8_t *)purpose, strlen(purpose) + 1);
    crypto_generichash_update(&state, (const uint8_t *)a.at, a.size);
    crypto_generichash_update(&state, (const uint8_t *)"", 1); /* texts hold no NUL */
    crypto_generichash_update(&state, (const uint8_t *)b.at, b.size);
    crypto_generichash_final(&state, out, MAC_BYTES);
}

void
kept_name(const uint8_t secret[static KEPT_SECRET_BYTES], struct text merchant, struct text key,
          char name[static KEPT_NAME_SIZE])
{
    static const char prefix[] = "florin:answer:";
    uint8_t hash[MAC_BYTES];
    digest(secret, "name", merchant, key, hash);
    memcpy(name, prefix, sizeof prefix);
    sodium_bin2hex(name + sizeof prefix - 1, KEPT_NAME_SIZE - sizeof prefix + 1, hash, MAC_BYTES);
}

struct text
kept_pack(const uint8_t secret[static KEPT_SECRET_BYTES], const struct kept *kept,
          struct arena *arena)
{
    const size_t cap = MAC_BYTES + 128 + kept->merchant.size + kept->key.size +
                       kept->request_hash.size + kept->path.size + kept->body.size +
                       kept->original_request.size;
    uint8_t *bytes = arena_take(arena, cap);
    struct wire_writer w;
    wire_writer_init(&w, bytes + MAC_BYTES, cap - MAC_BYTES);
    wire_put_array(&w, FIELDS);
    wire_put_uint(&w, VERSION);
    wire_put_text(&w, kept->merchant);
    wire_put_text(&w, kept->key);
    wire_put_bytes(&w, kept->request_hash);
    wire_put_text(&w, kept->path);
    wire_put_uint(&w, (uint64_t)kept->status);
    wire_put_text(&w, kept->body);
    wire_put_text(&w, kept->original_request);
    assert(!w.full);
    digest(secret, "value", (struct text){(const char *)bytes + MAC_BYTES, w.size}, NO_TEXT, bytes);
    return (struct text){(const char *)bytes, MAC_BYTES + w.size};
}

static bool
take(struct wire_reader *r, enum wire_kind kind, struct wire_item *it)
{
    return wire_take(r, it) && it->kind == kind;
}

static bool
take_text(struct wire_reader *r, enum wire_kind kind, struct text *text)
{
    struct wire_item it;
    if (!take(r, kind, &it)) return false;
    *text = it.text;
    return true;
}

bool
kept_unpack(const uint8_t secret[static KEPT_SECRET_BYTES], struct text bytes, struct text merchant,
            struct text key, struct kept *kept)
{
    uint8_t mac[MAC_BYTES];
    struct wire_item it;
    if (bytes.size <= MAC_BYTES) return false;
    const struct text value = {bytes.at + MAC_BYTES, bytes.size - MAC_BYTES};
    digest(secret, "value", value, NO_TEXT, mac);
    if (sodium_memcmp(mac, bytes.at, MAC_BYTES) != 0) return false;

    struct wire_reader r = {(const uint8_t *)value.at, (const uint8_t *)value.at + value.size};
    if (!take(&r, WIRE_ARRAY, &it) || it.number != FIELDS) return false;
    if (!take(&r, WIRE_UINT, &it) || it.number != VERSION) return false;
    if (!take_text(&r, WIRE_TEXT, &kept->merchant) || !take_text(&r, WIRE_TEXT, &kept->key) ||
        !take_text(&r, WIRE_BYTES, &kept->request_hash) || !take_text(&r, WIRE_TEXT, &kept->path))
        return false;
    if (!take(&r, WIRE_UINT, &it) || it.number < 100 || it.number > 599) return false;
    kept->status = (int64_t)it.number;
    if (!take_text(&r, WIRE_TEXT, &kept->body) ||
        !take_text(&r, WIRE_TEXT, &kept->original_request))
        return false;
    return r.at == r.end && text_equal(kept->merchant, merchant) && text_equal(kept->key, key);
}
