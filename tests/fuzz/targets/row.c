/* row: the first byte chooses a table. What is taken has an id and a merchant, is packed to a form
 * that reads back the same, and can be copied, and kept compact, in exactly as much memory as
 * row_copy and row_compact ask for. */
#include "row_compact.h"
#include "fuzz.h"
#include "wire.h"

union row {
    uint64_t aligned;
    uint8_t raw[ROW_SIZE_MAX];
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    const struct table *t = tables[data[0] % table_count];
    union row *row = exactly(sizeof *row), *again = exactly(sizeof *again);
    uint8_t *bytes = exact_copy(data + 1, size - 1);
    if (row_decode(t->number, bytes, size - 1, row)) {
        MUST_HOLD(row_id(row).at && row_merchant(row).at);
        for (size_t i = 0; i < t->column_count; i++) {
            const struct text *text = (const void *)(row->raw + t->columns[i].offset);
            if (t->columns[i].kind == COLUMN_TEXT || t->columns[i].kind == COLUMN_JSON)
                if (text->at) MUST_HOLD(wire_text_is_clean(text->at, text->size));
        }
        const size_t bound = row_size_bound(t->number, row);
        uint8_t *packed[2] = {exactly(bound), exactly(bound)};
        size_t sizes[2];
        MUST_HOLD(row_encode(t->number, row, packed[0], bound, &sizes[0]));
        MUST_HOLD(row_decode(t->number, packed[0], sizes[0], again));
        MUST_HOLD(row_encode(t->number, again, packed[1], bound, &sizes[1]));
        MUST_HOLD(sizes[0] == sizes[1] && memcmp(packed[0], packed[1], sizes[0]) == 0);

        const size_t need = row_copy(t->number, row, NULL, NULL, 0);
        char *memory = exactly(need);
        MUST_HOLD(row_copy(t->number, row, again, memory, need) == need);
        MUST_HOLD(row_encode(t->number, again, packed[1], bound, &sizes[1]));
        MUST_HOLD(sizes[0] == sizes[1] && memcmp(packed[0], packed[1], sizes[0]) == 0);
        if (need > 1) MUST_HOLD(row_copy(t->number, row, again, memory, need - 1) == 0);
        free(memory);

        const size_t kept = row_compact(t->number, row, NULL, 0);
        char *compact = exactly(kept);
        MUST_HOLD(row_compact(t->number, row, compact, kept) == kept);
        MUST_HOLD(row_compact(t->number, row, compact, kept - 1) == 0);
        MUST_HOLD(row_compact(t->number, row, compact, kept) == kept);
        row_expand(t->number, compact, again);
        MUST_HOLD(row_encode(t->number, again, packed[1], bound, &sizes[1]));
        MUST_HOLD(sizes[0] == sizes[1] && memcmp(packed[0], packed[1], sizes[0]) == 0);
        free(compact);
        free(packed[0]);
        free(packed[1]);
    }
    free(bytes);
    free(row);
    free(again);
    return 0;
}
