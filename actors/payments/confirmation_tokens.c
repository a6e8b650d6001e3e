/* confirmation_tokens: what a payer chose on a page, kept until a payment is confirmed with it.
 * Here only tests make them. */
#include "answer.h"
#include "fields.h"
#include "handlers.h"
#include "payment.h"
#include "return_url.h"

#define CONFIRMATION_TOKEN_LIFE_S 43200

bool
confirmation_token_take(struct call *call, struct text id, struct method_use *use)
{
    static const char param[] = "confirmation_token";
    struct row_confirmation_token *chosen = call_new_row(call, ROW_confirmation_token);
    struct row_payment_method *method = call_new_row(call, ROW_payment_method);
    *use = (struct method_use){.row = NULL};
    if (!call_get_param(call, ROW_confirmation_token, id, param, chosen)) return false;
    if (chosen->payment_intent.at || chosen->setup_intent.at) {
        const struct text by =
            chosen->payment_intent.at ? chosen->payment_intent : chosen->setup_intent;
        call_refuse_400(call, "token_already_used", param,
                        "The confirmation token %.*s was used before, for %.*s. It can be used "
                        "once.",
                        (int)id.size, id.at, (int)by.size, by.at);
        return false;
    }
    if (call->now_s > chosen->expires_at) {
        call_refuse_400(call, "resource_missing", param,
                        "The confirmation token %.*s has expired. Make a new one.", (int)id.size,
                        id.at);
        return false;
    }
    if (!call_get(call, ROW_payment_method, chosen->payment_method, method)) return false;
    use->row = method;
    use->chosen = chosen;
    return true;
}

void
payment_take_choice(struct row_payment_intent *pi, struct method_use *use)
{
    struct row_confirmation_token *chosen = use->chosen;
    if (!chosen) return;
    chosen->payment_intent = pi->id;
    if (chosen->setup_future_usage.at) pi->setup_future_usage = chosen->setup_future_usage;
    if (chosen->shipping.at) pi->shipping = chosen->shipping;
}

void
setup_take_choice(struct row_setup_intent *si, struct method_use *use)
{
    struct row_confirmation_token *chosen = use->chosen;
    if (!chosen) return;
    chosen->setup_intent = si->id;
    if (chosen->setup_future_usage.at) si->usage = chosen->setup_future_usage;
}

bool
choice_is_confirmed(struct call *call)
{
    if (!params_have(call->params, "confirmation_token") ||
        params_flag(call->params, "confirm", false))
        return true;
    call_refuse_400(call, NULL, "confirmation_token",
                    "You can only give a confirmation_token when you set confirm to true.");
    return false;
}

void
confirmation_token_create(struct call *call)
{
    struct row_confirmation_token *chosen = call_new_row(call, ROW_confirmation_token);
    struct method_use use;
    if (!method_of_request(call, "payment_method_data", &use)) return;
    if (!use.row) {
        call_refuse_400(call, "parameter_missing", "payment_method",
                        "A confirmation token needs a payment_method or payment_method_data.");
        return;
    }
    chosen->id = call_new_id(call, "ctoken_");
    chosen->merchant = call->merchant;
    chosen->created = call->now_s;
    chosen->expires_at = call->now_s + CONFIRMATION_TOKEN_LIFE_S;
    chosen->payment_method = use.row->id;
    field_text(call, "return_url", &chosen->return_url);
    if (chosen->return_url.at && !return_url_is_good(chosen->return_url)) {
        call_refuse_400(call, "url_invalid", "return_url", "Not a valid URL");
        return;
    }
    field_text(call, "setup_future_usage", &chosen->setup_future_usage);
    field_shipping(call, "shipping", &chosen->shipping);
    /* After this point it must succeed. */
    if (use.fresh) method_stage(call, &use);
    call_insert(call, ROW_confirmation_token, chosen);
    answer_row(call, ROW_confirmation_token, chosen, KNOWN({ROW_payment_method, use.row}));
}

void
confirmation_token_retrieve(struct call *call)
{
    struct row_confirmation_token *chosen = call_new_row(call, ROW_confirmation_token);
    if (!call_get(call, ROW_confirmation_token, call->object, chosen)) return;
    answer_row(call, ROW_confirmation_token, chosen, NULL);
}
