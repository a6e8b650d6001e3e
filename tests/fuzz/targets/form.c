/* form: whatever is taken is a valid block of clean text, and it names the request: written out
 * with every byte escaped, and read again, it is the same block (H90). */
#include "form.h"
#include "fuzz.h"
#include "utf8.h"

static const char digits[] = "0123456789ABCDEF";

static char *
escape(char *out, struct text text, const char *kept)
{
    for (size_t i = 0; i < text.size; i++) {
        const unsigned char c = (unsigned char)text.at[i];
        if (c && strchr(kept, c)) {
            *out++ = (char)c;
        } else {
            *out++ = '%';
            *out++ = digits[c >> 4];
            *out++ = digits[c & 15];
        }
    }
    return out;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t cap = form_block_size((const char *)data, size);
    uint8_t *block = exactly(cap);
    struct params params;
    char culprit[129];
    const enum form_verdict verdict =
        form_parse((const char *)data, size, block, cap, &params, culprit);
    MUST_HOLD(memchr(culprit, '\0', sizeof culprit));
    MUST_HOLD(utf8_is_clean(text_of(culprit)));
    if (verdict != FORM_OK) {
        free(block);
        return 0;
    }
    MUST_HOLD(params_valid(params));

    struct param param;
    char *written = exactly(3 * params.size + 2), *end = written;
    for (size_t at = 0; params_next(params, &at, &param);) {
        MUST_HOLD(utf8_is_clean(param.name) && utf8_is_clean(param.value));
        MUST_HOLD(param.name.size > 0);
        end = escape(end, param.name, "[]");
        *end++ = '=';
        end = escape(end, param.value, "");
        *end++ = '&';
    }
    const size_t written_size = (size_t)(end - written);
    const size_t again_cap = form_block_size(written, written_size);
    uint8_t *again_block = exactly(again_cap);
    struct params again;
    MUST_HOLD(form_parse(written, written_size, again_block, again_cap, &again, culprit) ==
              FORM_OK);
    MUST_HOLD(again.size == params.size && memcmp(again.at, params.at, params.size) == 0);
    free(again_block);
    free(written);

    /* with too little memory it is refused, or the same; never more than there is */
    const size_t less = cap - (size ? data[0] % (cap / 2 + 1) : 0);
    uint8_t *small = exactly(less);
    if (form_parse((const char *)data, size, small, less, &again, culprit) == FORM_OK)
        MUST_HOLD(again.size == params.size && memcmp(again.at, params.at, params.size) == 0);
    free(small);
    free(block);
    return 0;
}
