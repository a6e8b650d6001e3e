#include "repack.h"

#include "event_pack.h"
#include "id.h"
#include "log.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 1 << 16 };

static char line[LINE_MAX_BYTES];

static bool
next_line(void)
{
    if (!fgets(line, sizeof line, stdin)) return false;
    line[strcspn(line, "\n")] = 0;
    return line[0];
}

static void *
memory(size_t size)
{
    void *const taken = malloc(size + 1);
    if (!taken) die("There is no memory of %zu bytes.", size);
    return taken;
}

static struct text
read_packed(void)
{
    size_t size = 0;
    uint8_t *const bytes = memory(LINE_MAX_BYTES / 2);
    if (!next_line() ||
        sodium_hex2bin(bytes, LINE_MAX_BYTES / 2, line, strlen(line), NULL, &size, NULL) != 0)
        die("The first line is what is packed, in hexadecimal digits.");
    return (struct text){(const char *)bytes, size};
}

static void
replace(struct text in, const char *old, const char *new)
{
    const size_t size = strlen(old);
    char *at = (char *)(uintptr_t)in.at; /* it is of our own memory */
    char *const end = at + in.size;
    while (in.at && (at = memmem(at, (size_t)(end - at), old, size))) {
        memcpy(at, new, size);
        at += size;
    }
}

int
repack(size_t count)
{
    static char ids[EVENTS_PER_ROW_MAX][ID_SIZE_MAX + 1];
    struct told_event events[EVENTS_PER_ROW_MAX];
    const struct text packed = read_packed();
    const size_t cap = event_unpack_bound(packed);
    if (count < 1 || count > EVENTS_PER_ROW_MAX)
        die("--count is a number from 1 to %d.", EVENTS_PER_ROW_MAX);
    for (size_t i = 0; i < count; i++) {
        events[i] = (struct told_event){
            .id = id_beside(ids[i], TEXT("evt_0"), (unsigned)i),
            .type = TEXT("charge.updated"), /* that all may share a row */
            .object = TEXT("-"),
            .api_version = TEXT("-"),
        };
        if (!cap ||
            !event_unpack(packed, i + 1, memory(cap), cap, &events[i].data, &events[i].previous))
            die("Event %zu of what is packed cannot be read.", i + 1);
    }
    while (next_line()) {
        char *const space = strchr(line, ' ');
        if (!space || strlen(line) != 2 * (size_t)(space - line) + 1)
            die("No two words of one length: %s.", line);
        *space = 0;
        for (size_t i = 0; i < count; i++) {
            replace(events[i].data, line, space + 1);
            replace(events[i].previous, line, space + 1);
        }
    }
    struct message_list list = {NULL, 0, 0};
    struct msg_event_write write;
    enum message_verdict verdict;
    const size_t bound = events_write_bound(events, count);
    if (!events_write(&list, events, count, memory(bound), bound)) die("It cannot be packed.");
    while (message_next(&list, MSG_event_write, &write, &verdict) && !write.packed.at)
        ;
    for (size_t i = 0; i < write.packed.size; i++)
        printf("%02x", (uint8_t)write.packed.at[i]);
    printf("\n");
    return 0;
}
