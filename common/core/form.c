#include "form.h"

#include "utf8.h"
#include <assert.h>

/* Where the numbers of `[]` begin: after every number that can be written. */
#define INDEX_DIGITS_MAX 9
#define INDEX_OPEN UINT32_C(1000000000)
#define CULPRIT_SIZE 128

/* One parameter on its way: its decoded name lies at the end of the block, its value is still
 * where it came from. */
struct pair {
    struct text name, raw_value;
    uint32_t hash;                   /* of a name with `[]`, to find its like */
    uint32_t index[PARAM_DEPTH_MAX]; /* numbers of arrays, as sent, then closed up */
    uint16_t start[PARAM_DEPTH_MAX]; /* segments: where they are in the name */
    uint16_t numbered;               /* a bit per segment */
    uint8_t depth;                   /* how many segments */
};

/* All of it in the caller's block, because a thread's stack may be small: pairs stand at its end,
 * in no larger number than the form can have, and names grow down before them. */
struct work {
    struct pair *pairs;
    uint16_t *order; /* indices of pairs */
    size_t count, count_max;
    uint8_t *block, *names;
    char *culprit;
};

static int
hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Undoes the escapes; `out` holds at least raw.size bytes. False for a bad one. */
static bool
unescape(struct text raw, char *out, size_t *size)
{
    size_t n = 0;
    for (size_t i = 0; i < raw.size; i++) {
        if (raw.at[i] != '+' && raw.at[i] != '%') {
            out[n++] = raw.at[i];
        } else if (raw.at[i] == '+') {
            out[n++] = ' ';
        } else {
            if (raw.size - i < 3 || hex(raw.at[i + 1]) < 0 || hex(raw.at[i + 2]) < 0) return false;
            out[n++] = (char)(hex(raw.at[i + 1]) << 4 | hex(raw.at[i + 2]));
            i += 2;
        }
    }
    *size = n;
    return true;
}

static enum form_verdict
blame(char *culprit, struct text name, enum form_verdict verdict)
{
    name = utf8_is_clean(name) ? utf8_cut(name, CULPRIT_SIZE) : NO_TEXT;
    if (name.size) memcpy(culprit, name.at, name.size);
    culprit[name.size] = '\0';
    return verdict;
}

static bool
is_numbered(const struct pair *p, size_t depth)
{
    return p->numbered >> depth & 1;
}

static struct text
segment(const struct pair *p, size_t depth)
{
    const size_t end = depth == 0              ? (p->depth == 1 ? p->name.size : p->start[1] - 1u)
                       : depth + 1 == p->depth ? p->name.size - 1
                                               : p->start[depth + 1] - 2u;
    return (struct text){p->name.at + p->start[depth], end - p->start[depth]};
}

/* A hash whose keys the client chooses is never an array, though its keys may be numbers. */
static bool
keys_are_free(const struct pair *p, size_t depth)
{
    return depth > 0 && text_is(segment(p, depth - 1), "metadata");
}

static bool
read_index(struct text s, uint32_t *index)
{
    if (s.size == 0 || s.size > INDEX_DIGITS_MAX) return false;
    *index = 0;
    for (size_t i = 0; i < s.size; i++) {
        if (s.at[i] < '0' || s.at[i] > '9') return false;
        *index = *index * 10 + (uint32_t)(s.at[i] - '0');
    }
    return true;
}

/* name[a][b][] into its segments. */
static enum form_verdict
split(struct pair *p)
{
    const struct text name = p->name;
    size_t i = 0;
    while (i < name.size && name.at[i] != '[' && name.at[i] != ']')
        i++;
    if (i == 0) return FORM_BAD_NAME;
    p->start[0] = 0;
    p->depth = 1;
    while (i < name.size) {
        if (name.at[i] != '[') return FORM_BAD_NAME;
        const size_t start = ++i;
        while (i < name.size && name.at[i] != '[' && name.at[i] != ']')
            i++;
        if (i == name.size || name.at[i] != ']') return FORM_BAD_NAME;
        if (p->depth == PARAM_DEPTH_MAX) return FORM_TOO_DEEP;
        p->start[p->depth] = (uint16_t)start;
        p->depth++;
        i++;
    }
    return FORM_OK;
}

/* Numbers the segments that are indices. `a[]` is the first, the second, … of its name: so
 * a[][b]=1&a[][c]=2&a[][b]=3 are two elements. */
static enum form_verdict
number(struct work *w, struct pair *p)
{
    size_t last_open = 0;
    for (size_t d = 1; d < p->depth; d++) {
        if (keys_are_free(p, d)) {
            if (segment(p, d).size == 0) return FORM_BAD_NAME;
            continue;
        }
        const bool is_open = segment(p, d).size == 0;
        if (!is_open && !read_index(segment(p, d), &p->index[d])) continue;
        p->numbered = (uint16_t)(p->numbered | 1u << d);
        if (!is_open) continue;
        p->index[d] = INDEX_OPEN;
        last_open = d;
    }
    if (!last_open) return FORM_OK;
    p->hash = 2166136261u;
    for (size_t i = 0; i < p->name.size; i++)
        p->hash = (p->hash ^ (uint8_t)p->name.at[i]) * 16777619u;
    for (size_t i = 0; i < w->count; i++) /* FORM_TOO_MANY bounds it */
        if (w->pairs[i].hash == p->hash && text_equal(w->pairs[i].name, p->name))
            p->index[last_open]++;
    return FORM_OK;
}

static enum form_verdict
take(struct work *w, struct text raw)
{
    const char *equals = memchr(raw.at, '=', raw.size);
    const size_t name_size = equals ? (size_t)(equals - raw.at) : raw.size;
    const struct text raw_name = {raw.at, name_size};
    size_t size;

    if (w->count == w->count_max) return blame(w->culprit, NO_TEXT, FORM_TOO_MANY);
    struct pair *p = &w->pairs[w->count];
    memset(p, 0, sizeof *p);
    if (name_size > 3 * PARAM_NAME_MAX) return blame(w->culprit, raw_name, FORM_TOO_LONG);
    if ((size_t)(w->names - w->block) < name_size) return FORM_TOO_LONG;
    char *name = (char *)w->names - name_size;
    if (!unescape(raw_name, name, &size)) return blame(w->culprit, raw_name, FORM_BAD_ESCAPE);
    p->name = (struct text){name, size};
    p->raw_value =
        equals ? (struct text){equals + 1, raw.size - name_size - 1} : (struct text){"", 0};
    w->names = (uint8_t *)name;

    if (!utf8_is_clean(p->name)) return blame(w->culprit, NO_TEXT, FORM_BAD_TEXT);
    if (size > PARAM_NAME_MAX) return blame(w->culprit, p->name, FORM_TOO_LONG);
    enum form_verdict verdict = split(p);
    if (verdict == FORM_OK) verdict = number(w, p);
    if (verdict != FORM_OK) return blame(w->culprit, p->name, verdict);
    w->count++;
    return FORM_OK;
}

/* Segment by segment; numbers by their value and before words, a name before what is inside it. */
static int
compare(const struct pair *a, const struct pair *b)
{
    if (a->depth == 1 && b->depth == 1) return text_compare(a->name, b->name); /* most are */
    for (size_t d = 0; d < a->depth && d < b->depth; d++) {
        int order;
        if (is_numbered(a, d) && is_numbered(b, d))
            order = (a->index[d] > b->index[d]) - (a->index[d] < b->index[d]);
        else if (is_numbered(a, d) != is_numbered(b, d))
            order = is_numbered(a, d) ? -1 : 1;
        else
            order = text_compare(segment(a, d), segment(b, d));
        if (order) return order;
    }
    return (a->depth > b->depth) - (a->depth < b->depth);
}

/* `]` and `[` stand between segments: byte order of whole names is not that of their segments. */
static size_t
write_name(const struct pair *p, char *out)
{
    if (!p->numbered) { /* as it came */
        memcpy(out, p->name.at, p->name.size);
        return p->name.size;
    }
    size_t n = segment(p, 0).size;
    memcpy(out, p->name.at, n);
    for (size_t d = 1; d < p->depth; d++) {
        out[n++] = '[';
        if (is_numbered(p, d)) {
            char digits[10];
            size_t count = 0;
            uint32_t rest = p->index[d];
            do
                digits[count++] = (char)('0' + rest % 10);
            while (rest /= 10);
            while (count)
                out[n++] = digits[--count];
        } else {
            memcpy(out + n, segment(p, d).at, segment(p, d).size);
            n += segment(p, d).size;
        }
        out[n++] = ']';
    }
    return n;
}

/* The most that write_name can make of a name of PARAM_NAME_MAX: `[]` becomes `[999]`. */
#define NAME_WRITTEN_MAX (PARAM_NAME_MAX + 10 * PARAM_DEPTH_MAX)

static int
compare_written(const struct pair *a, const struct pair *b)
{
    char x[NAME_WRITTEN_MAX], y[NAME_WRITTEN_MAX];
    if (!a->numbered && !b->numbered) return text_compare(a->name, b->name);
    return text_compare((struct text){x, write_name(a, x)}, (struct text){y, write_name(b, y)});
}

/* Heap sort: in place, never worse than n log n, whatever the client sends. What is in order
 * already stays: client libraries send what they were given in it, and most names are sorted twice.
 */
static void
sort(struct work *w, int (*order_of)(const struct pair *, const struct pair *))
{
    uint16_t *o = w->order;
    size_t sorted = 1;
    while (sorted < w->count && order_of(&w->pairs[o[sorted - 1]], &w->pairs[o[sorted]]) <= 0)
        sorted++;
    if (sorted >= w->count) return;
    for (size_t end = w->count, start = w->count / 2; end > 1;) {
        if (start > 0) {
            start--;
        } else {
            const uint16_t top = o[0];
            o[0] = o[--end];
            o[end] = top;
        }
        for (size_t root = start; root * 2 + 1 < end;) {
            size_t child = root * 2 + 1;
            if (child + 1 < end && order_of(&w->pairs[o[child]], &w->pairs[o[child + 1]]) < 0)
                child++;
            if (order_of(&w->pairs[o[root]], &w->pairs[o[child]]) >= 0) break;
            const uint16_t swapped = o[root];
            o[root] = o[child];
            o[child] = swapped;
            root = child;
        }
    }
}

/* Closes up the numbers of arrays and finds what is given twice: both are neighbours now. */
static enum form_verdict
settle(struct work *w)
{
    const struct pair *before = NULL;
    uint32_t sent_before[PARAM_DEPTH_MAX] = {0};
    for (size_t i = 0; i < w->count; i++) {
        struct pair *p = &w->pairs[w->order[i]];
        uint32_t sent[PARAM_DEPTH_MAX];
        size_t d = 0; /* the first segment that differs from the one before */
        memcpy(sent, p->index, sizeof sent);
        for (; before && d < p->depth && d < before->depth; d++) {
            if (is_numbered(p, d) != is_numbered(before, d)) break;
            if (is_numbered(p, d) ? sent[d] != sent_before[d]
                                  : !text_equal(segment(p, d), segment(before, d)))
                break;
            p->index[d] = before->index[d];
        }
        if (before && d == before->depth && d == p->depth)
            return blame(w->culprit, p->name, FORM_GIVEN_TWICE);
        if (before && d == before->depth) return blame(w->culprit, p->name, FORM_SCALAR_AND_HASH);
        if (before && d > 0 && is_numbered(p, d) != is_numbered(before, d))
            return blame(w->culprit, p->name, FORM_SCALAR_AND_HASH);
        if (is_numbered(p, d))
            p->index[d] = before && d > 0 && is_numbered(before, d) ? before->index[d] + 1 : 0;
        for (size_t deeper = d + 1; deeper < p->depth; deeper++)
            p->index[deeper] = 0;
        memcpy(sent_before, sent, sizeof sent);
        before = p;
    }
    return FORM_OK;
}

/* No more than the form can have: as many as there are ampersands, and one. */
static size_t
pairs_max(struct text form)
{
    size_t count = 1;
    const char *at = form.at, *const end = form.size ? at + form.size : at;
    while (at < end && count < PARAMS_COUNT_MAX && (at = memchr(at, '&', (size_t)(end - at)))) {
        count++;
        at++;
    }
    return count;
}

size_t
form_block_size(const char *at, size_t size)
{
    const size_t pairs = pairs_max((struct text){at, size});
    const size_t head = 6 + 16; /* of a parameter; `[]` becomes `[0]`, the last one `[999]` */
    return 2 * size + pairs * (sizeof(struct pair) + sizeof(uint16_t) + head) + sizeof(struct pair);
}

/* False when the block is too small for the work. */
static bool
lay_out(struct work *w, struct text form, uint8_t *block, size_t cap)
{
    const size_t count = pairs_max(form);
    const size_t need = count * (sizeof *w->pairs + sizeof *w->order) + _Alignof(struct pair);
    if (cap < need) return false;
    uintptr_t at = (uintptr_t)(block + cap - need);
    at += -at % _Alignof(struct pair);
    w->pairs = (struct pair *)at;
    w->order = (uint16_t *)(w->pairs + count);
    w->count = 0;
    w->count_max = count;
    w->block = block;
    w->names = (uint8_t *)w->pairs;
    return true;
}

enum form_verdict
form_parse(const char *at, size_t size, uint8_t *block, size_t cap, struct params *params,
           char culprit[static CULPRIT_SIZE + 1])
{
    struct work w;
    culprit[0] = '\0';
    *params = (struct params){block, 0};
    if (!lay_out(&w, (struct text){at, size}, block, cap)) return FORM_TOO_LONG;
    w.culprit = culprit;

    for (size_t from = 0; from < size;) {
        const char *end = memchr(at + from, '&', size - from);
        const size_t to = end ? (size_t)(end - at) : size;
        if (to > from) {
            const enum form_verdict verdict = take(&w, (struct text){at + from, to - from});
            if (verdict != FORM_OK) return verdict;
        }
        from = to + 1;
    }
    for (size_t i = 0; i < w.count; i++)
        w.order[i] = (uint16_t)i;
    sort(&w, compare);
    const enum form_verdict verdict = settle(&w);
    if (verdict != FORM_OK) return verdict;
    sort(&w, compare_written);

    for (size_t i = 0; i < w.count; i++) {
        const struct pair *p = &w.pairs[w.order[i]];
        char name[NAME_WRITTEN_MAX];
        const size_t name_size = write_name(p, name);
        uint8_t *out = block + params->size;
        size_t value_size;
        if (name_size > PARAM_NAME_MAX) return blame(culprit, p->name, FORM_TOO_LONG);
        if ((size_t)(w.names - out) < 6 + name_size + p->raw_value.size)
            return blame(culprit, p->name, FORM_TOO_LONG);
        char *value = (char *)out + 6 + name_size;
        if (!unescape(p->raw_value, value, &value_size))
            return blame(culprit, p->name, FORM_BAD_ESCAPE);
        if (!utf8_is_clean((struct text){value, value_size}))
            return blame(culprit, p->name, FORM_BAD_TEXT);
        if (!params_put(block, cap, &params->size, (struct text){name, name_size},
                        (struct text){value, value_size}))
            return blame(culprit, p->name, FORM_TOO_LONG);
    }
    assert(params_valid(*params));
    return FORM_OK;
}
