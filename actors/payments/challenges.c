/* challenges: a payer is asked to prove who they are (3-D Secure), on a page that the gateway makes
 * of what is answered here.
 *
 *     attempt challenged ──► challenge open, next_action shows its URL
 *                              │ approve            │ fail, or later than its time
 *                              ▼                    ▼
 *                            passed               failed ──► the payment waits for another method
 *                              │ a second attempt names the challenged one as its original
 *                              ▼
 *                            as any authorization ends
 *
 * A challenge is bound to one merchant, one payment or set-up, one card and one amount, and
 * answered once: what is asked again is told what came of it. When nobody answers in time the
 * engine ends it (due.c). It counts only while its payment still waits for it; a payment that was
 * changed, canceled or confirmed again does not. Whoever has not the secret of its URL learns
 * nothing, not even that there is such a challenge. */
#include "amount_words.h"
#include "answer.h"
#include "authentication.h"
#include "fields.h"
#include "handlers.h"
#include "id.h"
#include "json_reader.h"
#include "mutant.h"
#include "payment.h"
#include "return_url.h"

#define CHALLENGE_SECRET_SIZE 32

/* --- what a request says of it --------------------------------------------------------------- */

bool
action_notes(struct call *call, struct text options, struct attempt_notes *notes)
{
    const struct text wish =
        field_in(call, json_find(options, "card"), "request_three_d_secure", NULL);
    notes->off_session =
        params_have(call->params, "off_session") && params_flag(call->params, "off_session", true);
    notes->no_action = params_flag(call->params, "error_on_requires_action", false);
    notes->use_sdk = params_flag(call->params, "use_stripe_sdk", false);
    notes->return_url = field_given(call, "return_url");
    if (wish.at && !text_is(wish, "automatic")) notes->three_d_secure = wish;
    if (!notes->return_url.at || return_url_is_good(notes->return_url)) return true;
    call_refuse_400(call, "url_invalid", "return_url", "Not a valid URL");
    return false;
}

/* A client library that shows everything itself (use_stripe_sdk) needs no way back. */
bool
way_back_is_known(struct call *call, struct text automatic_methods, const char *what)
{
    const struct text redirects = json_find(automatic_methods, "allow_redirects");
    if (!automatic_methods.at || text_is(redirects, "\"never\"")) return true;
    if (params_have(call->params, "return_url")) return true;
    if (params_flag(call->params, "use_stripe_sdk", false)) return true;
    call_refuse_400(call, NULL, "return_url",
                    "This %s is configured to accept payment methods enabled in your "
                    "Dashboard. Because some of these payment methods might redirect your customer "
                    "off of your page, you must provide a `return_url`. If you do not want such "
                    "payment methods, create it with `automatic_payment_methods[enabled]=true` and "
                    "`automatic_payment_methods[allow_redirects]=never`.",
                    what);
    return false;
}

/* --- beginning ------------------------------------------------------------------------------- */

static struct text
action_of(struct call *call, const struct row_challenge *challenge, bool use_sdk)
{
    const struct text url = arena_format(
        call->arena, "%s/3ds/%.*s?merchant=%.*s&secret=%.*s", worker_public_url(call->worker),
        (int)challenge->id.size, challenge->id.at, (int)challenge->merchant.size,
        challenge->merchant.at, (int)challenge->secret.size, challenge->secret.at);
    struct json_writer w = call_writer(call, 512 + 6 * (challenge->return_url.size + url.size));
    json_open(&w);
    if (challenge->return_url.at && !use_sdk) {
        json_key(&w, "redirect_to_url");
        json_open(&w);
        json_text(&w, "return_url", challenge->return_url);
        json_text(&w, "url", url);
        json_close(&w);
        json_string(&w, "type", "redirect_to_url");
    } else {
        json_string(&w, "type", "use_stripe_sdk");
        json_key(&w, "use_stripe_sdk");
        json_open(&w);
        json_text(&w, "source", challenge->id);
        json_text(&w, "stripe_js", url);
        json_string(&w, "type", "three_d_secure_redirect");
        json_close(&w);
    }
    json_close(&w);
    return json_writer_text(&w);
}

struct row_challenge *
challenge_begin(struct call *call, const struct row_attempt *attempt, struct text *next_action)
{
    struct row_challenge *challenge = call_new_row(call, ROW_challenge);
    challenge->id = call_new_id(call, "tds_");
    challenge->merchant = call->merchant;
    challenge->created = call->now_s;
    challenge->state = TEXT("open");
    challenge->secret = call_random_text(call, CHALLENGE_SECRET_SIZE);
    challenge->expires_at = call->now_s + worker_challenge_expiry_s(call->worker);
    challenge->payment_intent = attempt->payment_intent;
    challenge->setup_intent = attempt->setup_intent;
    challenge->attempt = attempt->id;
    challenge->payment_method = attempt->payment_method;
    challenge->amount = attempt->amount;
    challenge->currency = attempt->currency;
    challenge->return_url = field_in(call, attempt->params, "return_url", NULL);
    challenge->livemode = call->livemode;
    challenge->slot = slot_of(call->merchant);
    call_insert(call, ROW_challenge, challenge);
    *next_action =
        action_of(call, challenge, text_is(json_find(attempt->params, "use_sdk"), "true"));
    return challenge;
}

struct text
challenge_passed(struct call *call, struct text id, int64_t amount, struct text currency,
                 struct text method)
{
    struct row_challenge *challenge = call_new_row(call, ROW_challenge);
    if (!id.at || store_get(call->store, ROW_challenge, call->merchant, id, call->arena,
                            challenge) != STORE_FOUND)
        return NO_TEXT; /* at worst the payer is asked again */
    const bool fits = text_is(challenge->state, "passed") && challenge->amount == amount &&
                      text_equal(challenge->currency, currency) &&
                      text_equal(challenge->payment_method, method) &&
                      call->now_s < challenge->expires_at;
    return fits ? challenge->attempt : NO_TEXT;
}

void
write_three_d_secure(struct json_writer *w, uint64_t number, struct text id, struct text brand,
                     bool exemption)
{
    const struct authentication *authentication = authentication_numbered(number);
    json_key(w, "three_d_secure");
    if (!authentication) {
        json_value_null(w);
        return;
    }
    json_open(w);
    json_string(w, "authentication_flow", authentication->flow);
    json_string(w, "electronic_commerce_indicator", authentication_eci(authentication, brand));
    if (exemption) json_null(w, "exemption_indicator");
    json_string(w, "result", authentication->result);
    json_string(w, "result_reason", authentication->reason);
    json_text(w, "transaction_id", id.size ? id : NO_TEXT);
    json_string(w, "version", AUTHENTICATION_VERSION);
    json_close(w);
}

/* --- what it is for -------------------------------------------------------------------------- */

/* A payment or a set-up, as far as its challenges are concerned. */
struct subject {
    const char *noun; /* payment_intent or setup_intent */
    struct text id, client_secret, status, attempt, challenge;
};

static struct subject
subject_of(const struct row_payment_intent *pi, const struct row_setup_intent *si)
{
    if (pi)
        return (struct subject){"payment_intent", pi->id,      pi->client_secret,
                                pi->status,       pi->attempt, pi->challenge};
    return (struct subject){"setup_intent", si->id,      si->client_secret,
                            si->status,     si->attempt, si->challenge};
}

/* open, passed, failed, expired, void (it counts no more), busy (what follows is under way). */
static const char *
standing_of(const struct call *call, const struct row_challenge *challenge,
            const struct subject *subject)
{
    const bool newest = text_equal(subject->challenge, challenge->id);
    if (newest && subject->attempt.at) return "busy";
    if (text_is(challenge->state, "passed")) return "passed";
    if (text_is(challenge->state, "failed")) return "failed";
    if (!newest || !text_is(subject->status, "requires_action")) return "void";
    return call->now_s < challenge->expires_at ? "open" : "expired";
}

/* The way back to the merchant, with what came of it. NO_TEXT when there is none. */
static struct text
way_back(struct call *call, const struct row_challenge *challenge, const struct subject *subject)
{
    static const char *const good[] = {"succeeded", "requires_capture", "requires_confirmation",
                                       "processing"};
    bool succeeded = false;
    if (!challenge->return_url.at) return NO_TEXT;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        succeeded |= text_is(subject->status, good[i]) && text_is(challenge->state, "passed");
    const struct text query = arena_format(
        call->arena, "%s=%.*s&%s_client_secret=%.*s&redirect_status=%s", subject->noun,
        (int)subject->id.size, subject->id.at, subject->noun, (int)subject->client_secret.size,
        subject->client_secret.at, succeeded ? "succeeded" : "failed");
    return return_url_with(challenge->return_url, query,
                           arena_take(call->arena, challenge->return_url.size + query.size + 1));
}

static struct text
amount_of(struct call *call, const struct row_challenge *challenge)
{
    const struct currency *currency = currency_find(challenge->currency);
    char words[80];
    if (!currency) return NO_TEXT;
    const size_t size = amount_words(currency, challenge->amount, words, sizeof words);
    return arena_copy(call->arena, (struct text){words, size});
}

static void
answer_with(struct call *call, const struct row_challenge *challenge, const struct subject *subject)
{
    struct row_merchant *merchant = call_new_row(call, ROW_merchant);
    struct row_payment_method *method = call_new_row(call, ROW_payment_method);
    const char *standing = standing_of(call, challenge, subject);
    const bool ended = strcmp(standing, "open") != 0 && strcmp(standing, "busy") != 0;
    /* For the eyes alone: a page without them is better than none. */
    if (store_get(call->store, ROW_merchant, call->merchant, call->merchant, call->arena,
                  merchant) != STORE_FOUND)
        merchant->name = NO_TEXT;
    if (store_get(call->store, ROW_payment_method, call->merchant, challenge->payment_method,
                  call->arena, method) != STORE_FOUND)
        method->brand = method->last4 = NO_TEXT;
    const struct text back = ended ? way_back(call, challenge, subject) : NO_TEXT;
    struct json_writer w = call_writer(
        call, 1024 + 6 * (merchant->name.size + challenge->return_url.size + back.size));
    json_open(&w);
    json_text(&w, "id", challenge->id);
    json_string(&w, "object", "challenge");
    json_text(&w, "amount", amount_of(call, challenge));
    json_text(&w, "brand", method->brand);
    json_integer(&w, "expires_at", challenge->expires_at);
    json_text(&w, "last4", method->last4);
    json_flag(&w, "livemode", challenge->livemode);
    json_text(&w, "merchant", merchant->name);
    json_string(&w, "purpose", challenge->payment_intent.at ? "payment" : "setup");
    json_text(&w, "return_to", back);
    json_text(&w, "return_url", challenge->return_url);
    json_string(&w, "state", standing);
    json_close(&w);
    call_answer(call, 200, json_writer_text(&w));
}

void
challenge_answer(struct call *call, const struct row_challenge *challenge,
                 const struct row_payment_intent *pi, const struct row_setup_intent *si)
{
    const struct subject subject = subject_of(pi, si);
    answer_with(call, challenge, &subject);
}

/* --- the page's two questions ---------------------------------------------------------------- */

/* The challenge of the path, when its secret was given. A wrong secret and a wrong name are refused
 * alike. */
static bool
get_challenge(struct call *call, struct row_challenge *challenge)
{
    if (!call_get(call, ROW_challenge, call->object, challenge)) return false;
    if (secret_is(params_find(call->params, "secret"), challenge->secret)) return true;
    refuse_missing(call, "challenge", call->object, NULL);
    return false;
}

static bool
get_subject(struct call *call, const struct row_challenge *challenge,
            struct row_payment_intent **pi, struct row_setup_intent **si)
{
    *pi = NULL;
    *si = NULL;
    if (challenge->payment_intent.at) {
        *pi = call_new_row(call, ROW_payment_intent);
        return call_get(call, ROW_payment_intent, challenge->payment_intent, *pi);
    }
    *si = call_new_row(call, ROW_setup_intent);
    return call_get(call, ROW_setup_intent, challenge->setup_intent, *si);
}

void
challenge_show(struct call *call)
{
    struct row_challenge *challenge = call_new_row(call, ROW_challenge);
    struct row_payment_intent *pi;
    struct row_setup_intent *si;
    if (!get_challenge(call, challenge)) return;
    if (!get_subject(call, challenge, &pi, &si)) return;
    challenge_answer(call, challenge, pi, si);
}

/* The payer's answer, or that there was none in time; the challenge is locked with what it is for.
 */
static void
end(struct call *call, struct row_challenge *challenge, struct row_payment_intent *pi,
    struct row_setup_intent *si, bool passed, bool late)
{
    call->livemode = challenge->livemode;
    challenge->state = passed ? TEXT("passed") : TEXT("failed");
    challenge->ended_at = call->now_s;
    call_update(call, ROW_challenge, challenge);
    if (pi)
        payment_answered(call, pi, challenge, passed);
    else
        setup_answered(call, si, challenge, passed, late);
}

static bool
lock_subject(struct call *call, const struct row_challenge *challenge)
{
    return call_lock(call, challenge->payment_intent.at ? challenge->payment_intent
                                                        : challenge->setup_intent);
}

void
challenge_complete(struct call *call)
{
    struct row_challenge *challenge = call_new_row(call, ROW_challenge);
    struct row_payment_intent *pi;
    struct row_setup_intent *si;
    if (!get_challenge(call, challenge)) return;
    if (!lock_subject(call, challenge)) return;
    if (!get_subject(call, challenge, &pi, &si)) return;
    const struct subject subject = subject_of(pi, si);
    const char *standing = standing_of(call, challenge, &subject);
    const bool late = strcmp(standing, "expired") == 0;
    if (!late && strcmp(standing, "open") != 0 && !FLORIN_MUTANT(challenge_counts_again)) {
        answer_with(call, challenge, &subject); /* a second answer is no answer */
        return;
    }
    end(call, challenge, pi, si, !late && text_is(field_given(call, "decision"), "approve"), late);
}

/* --- nobody answers -------------------------------------------------------------------------- */

void
challenge_expire_due(struct call *call)
{
    struct row_challenge *challenge = call_new_row(call, ROW_challenge);
    struct row_payment_intent *pi;
    struct row_setup_intent *si;
    if (!call_get(call, ROW_challenge, call->object, challenge)) return;
    if (!lock_subject(call, challenge)) return;
    if (!call_get(call, ROW_challenge, call->object, challenge)) return;
    if (!get_subject(call, challenge, &pi, &si)) return;
    const struct subject subject = subject_of(pi, si);
    const char *standing = standing_of(call, challenge, &subject);
    if (strcmp(standing, "busy") == 0) {
        /* the next sweep looks again */
        refuse_busy(call, pi ? ROW_payment_intent : ROW_setup_intent, pi ? (const void *)pi : si);
    } else if (strcmp(standing, "expired") == 0) {
        end(call, challenge, pi, si, false, true);
    } else {
        if (strcmp(standing, "void") == 0) { /* what it was for went on without it */
            challenge->state = TEXT("failed");
            challenge->ended_at = call->now_s;
            call_update(call, ROW_challenge, challenge);
        }
        call_answer(call, 200, TEXT("{}"));
    }
}
