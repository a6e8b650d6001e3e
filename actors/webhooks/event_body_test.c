#include "event_body.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct event
plain(void)
{
    return (struct event){
        .id = TEXT("evt_1"),
        .type = TEXT("charge.succeeded"),
        .data = TEXT("{\"id\":\"ch_1\",\"livemode\":false}"),
        .api_version = TEXT("2026-10-28.endive"),
        .created = 1700000000,
        .pending_webhooks = 2,
    };
}

Test(event_body, has_its_members_in_their_order_laid_out_like_the_api)
{
    struct event event = plain();
    event.request = TEXT("req_1");
    event.key = TEXT("order \"7\"");
    const struct text json = event_body(&event);
    cr_assert_str_eq(json.at, "{\n"
                              "  \"id\": \"evt_1\",\n"
                              "  \"object\": \"event\",\n"
                              "  \"api_version\": \"2026-10-28.endive\",\n"
                              "  \"created\": 1700000000,\n"
                              "  \"data\": {\n"
                              "    \"object\": {\n"
                              "      \"id\": \"ch_1\",\n"
                              "      \"livemode\": false\n"
                              "    }\n"
                              "  },\n"
                              "  \"livemode\": false,\n"
                              "  \"pending_webhooks\": 2,\n"
                              "  \"request\": {\n"
                              "    \"id\": \"req_1\",\n"
                              "    \"idempotency_key\": \"order \\\"7\\\"\"\n"
                              "  },\n"
                              "  \"type\": \"charge.succeeded\"\n"
                              "}");
    cr_assert_eq(json.size, strlen(json.at));
    free((char *)json.at);
}

Test(event_body, of_nobodys_request_says_null)
{
    const struct event event = plain();
    const struct text json = event_body(&event);
    cr_assert_not_null(strstr(json.at, "\"id\": null,\n    \"idempotency_key\": null"));
    cr_assert_null(strstr(json.at, "previous_attributes"));
    free((char *)json.at);
}

Test(event_body, of_an_update_says_what_was_before)
{
    struct event event = plain();
    event.previous = TEXT("{\"description\":null}");
    event.data = TEXT("{\"livemode\":true}");
    const struct text json = event_body(&event);
    cr_assert_not_null(
        strstr(json.at, "\"previous_attributes\": {\n      \"description\": null\n    }"));
    cr_assert_not_null(strstr(json.at, "\n  \"livemode\": true,\n  \"pending_webhooks\""));
    free((char *)json.at);
}

Test(event_body, has_room_for_the_largest_object_and_the_worst_key)
{
    struct event event = plain();
    const size_t size = 1024 * 1024;
    char *data = malloc(size), key[255];
    memset(data, 'x', size);
    memcpy(data, "{\"a\":\"", 6);
    memcpy(data + size - 2, "\"}", 2);
    memset(key, 1, sizeof key);
    event.data = (struct text){data, size};
    event.key = (struct text){key, sizeof key};
    const struct text json = event_body(&event);
    cr_assert_not_null(json.at);
    cr_assert_gt(json.size, size + 6 * sizeof key);
    free((char *)json.at);
    free(data);
}
