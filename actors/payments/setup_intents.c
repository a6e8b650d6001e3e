/* setup_intents: set-ups as they are begun, shown, changed, listed and given up. What asks the
 * network is in setup_steps.c. */
#include "answer.h"
#include "fields.h"
#include "handlers.h"
#include "json_reader.h"
#include "lists.h"
#include "payment.h"

#include <assert.h>

#define AUTOMATIC_METHODS_SINCE "2023-08-16" /* as for payments */
#define SECRET_SIZE 25

bool
setup_step(struct row_setup_intent *si, enum si_event event)
{
    uint32_t effects;
    const enum si_state now = si_state_named(si->status);
    assert(now != SI_NOWHERE);
    const enum si_state next = si_step(now, event, &effects);
    if (next == SI_NOWHERE) return false;
    si->status = text_of(si_state_name(next));
    return true;
}

/* --- what a request may say ------------------------------------------------------------------ */

static void
take_options(struct call *call, struct row_setup_intent *si)
{
    struct text asking = field_in(call, json_find(si->payment_method_options, "card"),
                                  "request_three_d_secure", NULL);
    field_text(call, "payment_method_options[card][request_three_d_secure]", &asking);
    struct json_writer w = call_writer(call, 256);
    json_open(&w);
    json_key(&w, "card");
    json_open(&w);
    json_null(&w, "mandate_options");
    json_null(&w, "network");
    json_text(&w, "request_three_d_secure", asking.at ? asking : TEXT("automatic"));
    json_close(&w);
    json_close(&w);
    si->payment_method_options = json_writer_text(&w);
}

static bool
take_fields(struct call *call, struct row_setup_intent *si)
{
    field_text(call, "description", &si->description);
    if (!si->payment_method_options.at || params_have_any(call->params, "payment_method_options"))
        take_options(call, si);
    if (params_have_any(call->params, "payment_method_types") ||
        params_have_any(call->params, "allowed_payment_method_types"))
        si->automatic_payment_methods = NO_TEXT;
    return field_metadata(call, "metadata", &si->metadata);
}

static void
take_automatic_methods(struct call *call, struct row_setup_intent *si)
{
    const bool given = params_have_any(call->params, "automatic_payment_methods");
    const bool otherwise = !call->api_version.at ||
                           text_compare(call->api_version, TEXT(AUTOMATIC_METHODS_SINCE)) >= 0;
    si->payment_method_types = TEXT("[\"card\"]");
    if (!(given ? params_flag(call->params, "automatic_payment_methods[enabled]", false)
                : otherwise))
        return;
    si->automatic_payment_methods =
        text_is(field_given(call, "automatic_payment_methods[allow_redirects]"), "never")
            ? TEXT("{\"allow_redirects\":\"never\",\"enabled\":true}")
            : TEXT("{\"allow_redirects\":\"always\",\"enabled\":true}");
}

static bool
combination_is_possible(struct call *call)
{
    if (params_flag(call->params, "automatic_payment_methods[enabled]", false) &&
        params_have_any(call->params, "payment_method_types")) {
        call_refuse_400(call, "parameters_exclusive", "payment_method_types",
                        "You may only specify one of these parameters: automatic_payment_methods, "
                        "payment_method_types.");
        return false;
    }
    if (!choice_is_confirmed(call)) return false;
    if (params_have(call->params, "return_url") && !params_flag(call->params, "confirm", false)) {
        call_refuse_400(call, NULL, "return_url",
                        "A return_url is of use only when you set confirm to true.");
        return false;
    }
    return true;
}

/* --- the handlers ---------------------------------------------------------------------------- */

void
setup_intent_create(struct call *call)
{
    struct row_setup_intent *si = call_new_row(call, ROW_setup_intent);
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct method_use use;
    si->id = call_new_id(call, "seti_");
    si->merchant = call->merchant;
    si->created = call->now_s;
    si->status = text_of(si_state_name(SI_NEEDS_METHOD));
    si->usage = TEXT("off_session");
    field_text(call, "usage", &si->usage);
    field_text(call, "customer", &si->customer);
    const struct text secret = call_random_text(call, SECRET_SIZE);
    si->client_secret = arena_format(call->arena, "%.*s_secret_%.*s", (int)si->id.size, si->id.at,
                                     (int)secret.size, secret.at);

    if (!combination_is_possible(call)) return;
    if (si->customer.at && !get_customer(call, si->customer, "customer", customer)) return;
    take_automatic_methods(call, si);
    if (!take_fields(call, si)) return;
    if (!method_of_request(call, "payment_method_data", &use)) return;
    setup_take_choice(si, &use);
    if (use.row && !method_may_pay(call, use.row, si->customer)) return;
    if (use.row) {
        const bool attached = setup_step(si, SI_ON_ATTACH);
        assert(attached);
        (void)attached;
        si->payment_method = use.row->id;
    }
    if (params_flag(call->params, "confirm", false)) {
        setup_confirm(call, si, false, &use);
        return;
    }
    /* After this point it must succeed. */
    if (use.fresh) method_stage(call, &use);
    call_insert(call, ROW_setup_intent, si);
    tell(call, "setup_intent.created", ROW_setup_intent, si, NULL);
    answer_with_method(call, ROW_setup_intent, si, use.row);
}

static bool
setup_secret_fits(struct call *call, const struct row_setup_intent *si)
{
    return client_secret_fits(call, si->client_secret, "setup_intent_invalid_parameter",
                              "SetupIntent");
}

void
setup_intent_retrieve(struct call *call)
{
    struct row_setup_intent *si = call_new_row(call, ROW_setup_intent);
    if (!call_get(call, ROW_setup_intent, call->object, si)) return;
    if (!setup_secret_fits(call, si)) return;
    answer_row(call, ROW_setup_intent, si, NULL);
}

/* What may no longer be changed once it is done or given up. */
static const char *const fixed_at_the_end[] = {
    "customer",
    "payment_method",
    "payment_method_data",
    "payment_method_types",
    "allowed_payment_method_types",
    "payment_method_options",
};

static bool
change_is_possible(struct call *call, const struct row_setup_intent *si)
{
    const enum si_state state = si_state_named(si->status);
    if (state == SI_NEEDS_METHOD || state == SI_NEEDS_CONFIRM || state == SI_NEEDS_ACTION)
        return true;
    for (size_t i = 0; i < sizeof fixed_at_the_end / sizeof fixed_at_the_end[0]; i++) {
        if (!params_have_any(call->params, fixed_at_the_end[i])) continue;
        refuse_state(call, ROW_setup_intent, si,
                     "This SetupIntent's %s could not be updated because it has a status of "
                     "%s. You may only update the %s of a SetupIntent with one of the "
                     "following statuses: requires_payment_method, requires_confirmation, "
                     "requires_action.",
                     fixed_at_the_end[i], si_state_name(state), fixed_at_the_end[i]);
        return false;
    }
    return true;
}

void
setup_intent_update(struct call *call)
{
    struct row_setup_intent *si = call_new_row(call, ROW_setup_intent);
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct row_payment_method *former = call_new_row(call, ROW_payment_method);
    struct method_use use;
    bool possible = true;
    if (!call_lock(call, call->object)) return;
    if (!call_get(call, ROW_setup_intent, call->object, si)) return;
    if (!change_is_possible(call, si)) return;
    field_text(call, "customer", &si->customer);
    if (params_have(call->params, "customer") &&
        !get_customer(call, si->customer, "customer", customer))
        return;
    if (!take_fields(call, si)) return;
    if (!method_of_request(call, "payment_method_data", &use)) return;
    if (use.row) {
        si->payment_method = use.row->id;
        possible = setup_step(si, SI_ON_ATTACH);
    } else if (params_have(call->params, "payment_method") && si->payment_method.at) {
        si->payment_method = NO_TEXT;
        possible = setup_step(si, SI_ON_DETACH);
    } else if (params_have(call->params, "customer") && si->payment_method.at) {
        if (!call_get(call, ROW_payment_method, si->payment_method, former)) return;
        use.row = former;
    }
    if (use.row && !method_may_pay(call, use.row, si->customer)) return;
    assert(possible); /* change_is_possible has said so */
    (void)possible;
    /* After this point it must succeed. */
    if (use.fresh) method_stage(call, &use);
    call_update(call, ROW_setup_intent, si);
    answer_with_method(call, ROW_setup_intent, si, use.row);
}

void
setup_intent_list(struct call *call)
{
    struct store_page page;
    if (!list_page(call, ROW_setup_intent, &page)) return;
    list_filter(&page, "customer", field_given(call, "customer"));
    list_filter(&page, "payment_method", field_given(call, "payment_method"));
    list_answer(call, ROW_setup_intent, &page);
}

void
setup_intent_confirm(struct call *call)
{
    struct row_setup_intent *si = call_new_row(call, ROW_setup_intent);
    struct method_use use;
    if (!call_lock(call, call->object)) return;
    if (!call_get(call, ROW_setup_intent, call->object, si)) return;
    if (!setup_secret_fits(call, si)) return;
    if (si->attempt.at) {
        refuse_busy(call, ROW_setup_intent, si);
        return;
    }
    const enum si_state state = si_state_named(si->status);
    if (state == SI_SUCCEEDED || state == SI_CANCELED) {
        refuse_state(
            call, ROW_setup_intent, si,
            state == SI_SUCCEEDED
                ? "You cannot confirm this SetupIntent because it has already succeeded."
                : "You cannot confirm this SetupIntent because it has a status of canceled. Only a "
                  "SetupIntent with one of the following statuses may be confirmed: "
                  "requires_payment_method, requires_confirmation, requires_action.");
        return;
    }
    if (!take_fields(call, si)) return;
    if (!method_of_request(call, "payment_method_data", &use)) return;
    setup_take_choice(si, &use);
    if (use.row) {
        const bool attached = setup_step(si, SI_ON_ATTACH);
        assert(attached);
        (void)attached;
        si->payment_method = use.row->id;
    }
    setup_confirm(call, si, true, &use);
}

void
setup_intent_cancel(struct call *call)
{
    struct row_setup_intent *si = call_new_row(call, ROW_setup_intent);
    if (!call_lock(call, call->object)) return;
    if (!call_get(call, ROW_setup_intent, call->object, si)) return;
    if (si->attempt.at) {
        refuse_busy(call, ROW_setup_intent, si);
        return;
    }
    const struct text before = si->status;
    if (!setup_step(si, SI_ON_CANCEL)) {
        refuse_state(call, ROW_setup_intent, si,
                     "You cannot cancel this SetupIntent because it has a status of %.*s. "
                     "Only a SetupIntent with one of the following statuses may be canceled: "
                     "requires_payment_method, requires_confirmation, requires_action.",
                     (int)before.size, before.at);
        return;
    }
    if (si->checkout_session.at) {
        call_refuse_400(call, "setup_intent_unexpected_state", NULL,
                        "You cannot cancel a SetupIntent that was created by a Checkout Session. "
                        "Expire the Checkout Session instead.");
        return;
    }
    if (!setup_abandon(call, si)) return;
    si->cancellation_reason = field_given(call, "cancellation_reason");
    si->challenge = NO_TEXT;
    call_update(call, ROW_setup_intent, si);
    tell(call, "setup_intent.canceled", ROW_setup_intent, si, NULL);
    answer_row(call, ROW_setup_intent, si, NULL);
}

void
setup_intent_verify_microdeposits(struct call *call)
{
    struct row_setup_intent *si = call_new_row(call, ROW_setup_intent);
    if (!call_get(call, ROW_setup_intent, call->object, si)) return;
    if (!setup_secret_fits(call, si)) return;
    refuse_state(call, ROW_setup_intent, si,
                 "You cannot verify micro-deposits for this SetupIntent: they are for bank "
                 "accounts, and its payment method is a card.");
}

void
setup_attempt_list(struct call *call)
{
    struct row_setup_intent *si = call_new_row(call, ROW_setup_intent);
    struct store_page page;
    const struct text id = field_given(call, "setup_intent");
    if (!call_get_param(call, ROW_setup_intent, id, "setup_intent", si)) return;
    if (!list_page(call, ROW_setup_attempt, &page)) return;
    list_filter(&page, "setup_intent", id);
    list_answer(call, ROW_setup_attempt, &page);
}
