#include "waiting.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void
waiting_init(struct waiting *waiting)
{
    *waiting = (struct waiting){.last_p = NULL};
    waiting->last_p = &waiting->first;
}

bool
waiting_add(struct waiting *waiting, const struct packet *packet, int64_t until_ms)
{
    if (waiting->count >= WAITING_MAX) return false;
    if (packet->size > WAITING_BYTES_MAX - waiting->bytes) return false;
    struct waiting_request *request = malloc(sizeof *request + packet->size);
    if (!request) return false;
    *request = (struct waiting_request){
        .until_ms = until_ms,
        .deadline_ms = packet->deadline_ms,
        .correlation = packet->correlation,
        .asker = packet->peer,
        .number = packet->number,
        .slot = packet->slot,
        .size = packet->size,
    };
    if (packet->size) memcpy(request->body, packet->body, packet->size);
    *waiting->last_p = request;
    waiting->last_p = &request->next;
    waiting->count++;
    waiting->bytes += packet->size;
    return true;
}

void
waiting_each(struct waiting *waiting, waiting_fn *decide, void *state)
{
    struct waiting_request **at = &waiting->first;
    while (*at) {
        struct waiting_request *request = *at;
        if (decide(state, request) == WAITING_STAYS) {
            at = &request->next;
            continue;
        }
        *at = request->next;
        waiting->count--;
        waiting->bytes -= request->size;
        free(request);
    }
    waiting->last_p = at;
    assert(waiting->first || waiting->count == 0);
    assert(waiting->first || waiting->bytes == 0);
}
