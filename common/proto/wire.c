#include "wire.h"

#include "sixteen.h"
#include <msgpack.h>
#include <string.h>

/* --- writing: msgpack-c's packer over the caller's buffer ------------------------------------- */

static int
sink(void *data, const char *bytes, size_t n)
{
    struct wire_writer *w = data;
    if (w->full || w->cap - w->size < n) {
        w->full = true;
        return -1;
    }
    memcpy(w->bytes + w->size, bytes, n);
    w->size += n;
    return 0;
}

void
wire_writer_init(struct wire_writer *w, uint8_t *bytes, size_t cap)
{
    *w = (struct wire_writer){bytes, cap, 0, false};
}

static msgpack_packer
packer(struct wire_writer *w)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, w, sink);
    return pk;
}

void
wire_put_nil(struct wire_writer *w)
{
    msgpack_packer pk = packer(w);
    (void)msgpack_pack_nil(&pk);
}

void
wire_put_uint(struct wire_writer *w, uint64_t value)
{
    msgpack_packer pk = packer(w);
    (void)msgpack_pack_uint64(&pk, value);
}

void
wire_put_int(struct wire_writer *w, int64_t value)
{
    msgpack_packer pk = packer(w);
    (void)msgpack_pack_int64(&pk, value);
}

void
wire_put_text(struct wire_writer *w, struct text text)
{
    msgpack_packer pk = packer(w);
    (void)msgpack_pack_str(&pk, text.size);
    if (text.size) (void)msgpack_pack_str_body(&pk, text.at, text.size);
}

void
wire_put_bytes(struct wire_writer *w, struct text bytes)
{
    msgpack_packer pk = packer(w);
    (void)msgpack_pack_bin(&pk, bytes.size);
    if (bytes.size) (void)msgpack_pack_bin_body(&pk, bytes.at, bytes.size);
}

void
wire_put_array(struct wire_writer *w, uint32_t count)
{
    msgpack_packer pk = packer(w);
    (void)msgpack_pack_array(&pk, count);
}

void
wire_put_map(struct wire_writer *w, uint32_t count)
{
    msgpack_packer pk = packer(w);
    (void)msgpack_pack_map(&pk, count);
}

void
wire_put_raw(struct wire_writer *w, const uint8_t *bytes, size_t size)
{
    if (size) (void)sink(w, (const char *)bytes, size);
}

/* --- reading ------------------------------------------------------------------------------------
 */

static bool
take(struct wire_reader *r, uint64_t n, const uint8_t **bytes)
{
    if ((uint64_t)(r->end - r->at) < n) return false;
    *bytes = r->at;
    r->at += n;
    return true;
}

static bool
take_big_endian(struct wire_reader *r, size_t n, uint64_t *value)
{
    const uint8_t *b;
    if (!take(r, n, &b)) return false;
    *value = 0;
    for (size_t i = 0; i < n; i++)
        *value = *value << 8 | b[i];
    return true;
}

/* A length of 1, 2 or 4 bytes, as short as it can be: one value has one encoding, so that a hash
 * or a comparison of frames means something. */
static bool
take_length(struct wire_reader *r, size_t n, uint64_t least, uint64_t *length)
{
    return take_big_endian(r, n, length) && *length >= least;
}

static bool
take_string(struct wire_reader *r, struct wire_item *it, enum wire_kind kind)
{
    const uint8_t *b;
    it->kind = kind;
    if (!take(r, it->number, &b)) return false;
    it->text = (struct text){(const char *)b, (size_t)it->number};
    return true;
}

static bool
take_number(struct wire_reader *r, uint8_t head, struct wire_item *it)
{
    static const uint64_t least[] = {0x80, UINT64_C(1) << 8, UINT64_C(1) << 16, UINT64_C(1) << 32};
    const size_t width = head & 3;
    const size_t n = (size_t)1 << width;
    uint64_t raw;
    if (!take_big_endian(r, n, &raw)) return false;
    if (head < 0xd0) {
        it->kind = WIRE_UINT;
        it->number = raw;
        return raw >= least[width];
    }
    const uint64_t sign = UINT64_C(1) << (8 * n - 1);
    if (!(raw & sign)) return false; /* not below zero: has a shorter, unsigned form */
    it->kind = WIRE_NEGATIVE;
    it->negative = (int64_t)((raw ^ sign) - sign);
    static const int64_t most[] = {-33, INT8_MIN - 1, INT16_MIN - 1, (int64_t)INT32_MIN - 1};
    return it->negative <= most[width];
}

bool
wire_take(struct wire_reader *r, struct wire_item *it)
{
    if (r->at == r->end) return false;
    const uint8_t head = *r->at++;
    if (head <= 0x7f) {
        it->kind = WIRE_UINT;
        it->number = head;
        return true;
    }
    if (head <= 0x8f) {
        it->kind = WIRE_MAP;
        it->number = head & 0x0f;
        return true;
    }
    if (head <= 0x9f) {
        it->kind = WIRE_ARRAY;
        it->number = head & 0x0f;
        return true;
    }
    if (head <= 0xbf) {
        it->number = head & 0x1f;
        return take_string(r, it, WIRE_TEXT);
    }
    if (head >= 0xe0) {
        it->kind = WIRE_NEGATIVE;
        it->negative = (int64_t)head - 256;
        return true;
    }
    switch (head) {
    case 0xc0: it->kind = WIRE_NIL; return true;
    case 0xc4: return take_length(r, 1, 0, &it->number) && take_string(r, it, WIRE_BYTES);
    case 0xc5: return take_length(r, 2, 0x100, &it->number) && take_string(r, it, WIRE_BYTES);
    case 0xc6: return take_length(r, 4, 0x10000, &it->number) && take_string(r, it, WIRE_BYTES);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3: return take_number(r, head, it);
    case 0xd9: return take_length(r, 1, 0x20, &it->number) && take_string(r, it, WIRE_TEXT);
    case 0xda: return take_length(r, 2, 0x100, &it->number) && take_string(r, it, WIRE_TEXT);
    case 0xdb: return take_length(r, 4, 0x10000, &it->number) && take_string(r, it, WIRE_TEXT);
    case 0xdc: it->kind = WIRE_ARRAY; return take_length(r, 2, 0x10, &it->number);
    case 0xde: it->kind = WIRE_MAP; return take_length(r, 2, 0x10, &it->number);
    default: return false; /* floats, booleans, extensions, 4-byte containers, 0xc1 */
    }
}

/* What lists are full of: small numbers, nil, and short texts that are there. */
static bool
skip_short(struct wire_reader *r)
{
    if (r->at == r->end) return false;
    const uint8_t head = *r->at;
    const bool short_text = head >= 0xa0 && head <= 0xbf;
    if (head > 0x7f && head < 0xe0 && head != 0xc0 && !short_text) return false;
    const size_t size = short_text ? 1 + (head & 0x1fu) : 1;
    if ((size_t)(r->end - r->at) < size) return false;
    r->at += size;
    return true;
}

static bool
skip(struct wire_reader *r, int depth)
{
    struct wire_item it;
    if (depth > WIRE_DEPTH_MAX) return false;
    if (skip_short(r)) return true;
    if (!wire_take(r, &it)) return false;
    uint64_t inside = it.kind == WIRE_ARRAY ? it.number : it.kind == WIRE_MAP ? 2 * it.number : 0;
    while (inside-- > 0)
        if (!skip(r, depth + 1)) return false;
    return true;
}

bool
wire_skip(struct wire_reader *r)
{
    return skip(r, 0);
}

/* Not zero where one of these bytes is zero or above ASCII. */
static inline sixteen
unusual(const uint8_t *at)
{
    const sixteen all = sixteen_at(at);
    return (sixteen)(all == 0) | (all & 0x80);
}

/* Nearly all text is ASCII, and a commit is kilobytes of it: 32 bytes at a time, then sixteen, as
 * long as none is unusual; the last of them once more with some that were seen already. Returns
 * where the first unusual byte is, or one in front of it. */
static const uint8_t *
skip_ascii(const uint8_t *s, const uint8_t *end)
{
    const uint8_t *const start = s;
    for (; end - s >= 32; s += 32)
        if (sixteen_first(unusual(s) | unusual(s + 16)) < 16) break;
    for (; end - s >= 16; s += 16) {
        const size_t usual = sixteen_first(unusual(s));
        if (usual < 16) return s + usual;
    }
    if (s > start && s < end && sixteen_first(unusual(end - 16)) == 16) return end;
    return s;
}

bool
wire_text_is_clean(const char *at, size_t size)
{
    const uint8_t *s = (const uint8_t *)at, *const end = size ? s + size : s;
    const uint8_t *ascii_from = s; /* the next sixteen are worth a look once this is reached */
    while (s < end) {
        if (s >= ascii_from) {
            s = skip_ascii(s, end);
            ascii_from = s + 16;
            if (s == end) break;
        }
        const uint8_t c = *s++;
        if (c == 0) return false;
        if (c < 0x80) continue;
        const int more = c >= 0xc2 && c <= 0xdf   ? 1
                         : c >= 0xe0 && c <= 0xef ? 2
                         : c >= 0xf0 && c <= 0xf4 ? 3
                                                  : 0;
        if (more == 0 || end - s < more) return false;
        /* the second byte rules out overlong forms, surrogates and what is past U+10FFFF */
        const uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
        const uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        if (*s < low || *s > high) return false;
        for (int i = 1; i < more; i++)
            if ((s[i] & 0xc0) != 0x80) return false;
        s += more;
    }
    return true;
}
