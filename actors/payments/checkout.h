/* checkout: what the files about checkout sessions share. A session is a page of the gateway's
 * where somebody pays for line items; the payment intent is made when they first try, is named in
 * the session, and names it in turn: so whoever finishes the payment finishes the session with it,
 * in one commit (checkout_pages.c).
 *
 *     checkout_sessions.c  the merchant's side: made, shown, listed, closed
 *     checkout_items.c     what is paid for
 *     checkout_pages.c     the payer's side: what the page shows, and paying on it
 *     due.c                sessions whose time has come; the engine's (worker.h) */
#pragma once

#include "call.h"
#include "must_use.h"
#include "render.h"

#define CHECKOUT_ITEMS_MAX 100

/* --- line items (checkout_items.c) ----------------------------------------------------------- */

/* From the parameters line_items[…] into the session's currency, amount and items. False: the call
 * has been answered. */
MUST_USE bool checkout_take_items(struct call *call, struct row_checkout_session *session);
/* A list object of items, at most `limit` of them: those after or before an id when one is given.
 */
struct checkout_items_asked {
    struct text after, before;
    int limit;
};
void checkout_put_items(struct render *r, const struct row_checkout_session *session,
                        const struct checkout_items_asked *asked, struct text expand);
/* An array of what the payer is shown of them: name, description, quantity and amounts. */
void checkout_put_page_items(struct json_writer *w, const struct row_checkout_session *session);
/* True when the session has an item of that id. */
bool checkout_has_item(const struct row_checkout_session *session, struct text id);

/* --- sessions (checkout_sessions.c) ---------------------------------------------------------- */

/* Open, and its time has not come. */
bool checkout_is_open(const struct call *call, const struct row_checkout_session *session);
/* An address for a browser: http or https, and nothing in it that a browser might read otherwise.
 */
bool checkout_url_is_good(struct text url);
/* customer_details as the API shows them. */
struct text checkout_details(struct call *call, struct text email, struct text name,
                             struct text phone, struct text address);

/* --- the end of a payment or set-up (checkout_pages.c) --------------------------------------- */

/* The session that waits in that status for the end of a payment or set-up; NULL when there is
 * none, or it stands otherwise. False when it cannot be read now. */
MUST_USE bool checkout_waits(struct call *call, struct text id, const char *status,
                             struct row_checkout_session **session_p);
/* Before the charge is made: the payer becomes a customer if the session says so, and the session
 * is complete. Stages rows; `paid` is false when the money is only held. The event is the caller's
 * to tell, after its own. */
void checkout_paid(struct call *call, struct row_checkout_session *session,
                   struct row_payment_intent *pi, bool paid);
/* What was held has been taken. */
void checkout_captured(struct call *call, struct row_checkout_session *session);
/* Likewise, when a card was set up. */
void checkout_set_up(struct call *call, struct row_checkout_session *session,
                     struct row_setup_intent *si);
