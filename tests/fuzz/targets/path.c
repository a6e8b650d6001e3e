/* path: the first byte is the method, then a path and perhaps a query. There is one row or none;
 * what its check lets pass has no card number in any text, and nothing that its row does not know.
 */
#include "card_spotting.h"
#include "form.h"
#include "fuzz.h"
#include "permission.h"
#include "route.h"
#include "utf8.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    const enum http_method method = data[0] % 3;
    const char *at = (const char *)data + 1;
    size--;
    const char *mark = memchr(at, '?', size);
    const struct text path = {at, mark ? (size_t)(mark - at) : size};
    struct text object;
    const struct route *route = route_find(method, path, &object);
    if (!route) {
        MUST_HOLD(route_find(method, path, &object) == NULL);
        return 0;
    }
    MUST_HOLD(route->method == method);
    if (object.at)
        MUST_HOLD(object.at >= path.at && object.at + object.size <= path.at + path.size);
    const struct text parent = route_parent(route, path);
    if (parent.at)
        MUST_HOLD(parent.at >= path.at && parent.at + parent.size <= path.at + path.size);
    MUST_HOLD(route_named(text_of(route->name)) == route);
    const struct permission_need need = permission_for_route(TEXT("charges:read"), route);
    if (need.name) MUST_HOLD(strlen(need.name) < 64);

    if (!mark) return 0;
    const size_t query_size = size - path.size - 1;
    const size_t cap = form_block_size(mark + 1, query_size);
    uint8_t *block = exactly(cap);
    struct params params;
    char culprit[129];
    struct param_error error;
    if (form_parse(mark + 1, query_size, block, cap, &params, culprit) == FORM_OK) {
        const bool fine = route_check(route, params, &error);
        MUST_HOLD(memchr(error.param, '\0', sizeof error.param));
        MUST_HOLD(memchr(error.message, '\0', sizeof error.message));
        if (!fine) {
            MUST_HOLD(error.message[0] && utf8_is_clean(text_of(error.message)));
            MUST_HOLD(!card_number_in(text_of(error.message)));
        }
        struct param param;
        for (size_t walk = 0; fine && params_next(params, &walk, &param);)
            for (size_t i = 0; i < route->rule_count; i++)
                if (route->rules[i].kind == PARAM_STRING &&
                    text_is(param.name, route->rules[i].name))
                    MUST_HOLD(!card_number_in(param.value));
    }
    free(block);
    return 0;
}
