#include "event_type.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

Test(event_type, what_happens_here_can_be_asked_for)
{
    static const char *const ours[] = {
        "payment_intent.created",  "payment_intent.succeeded", "payment_intent.payment_failed",
        "payment_intent.canceled", "charge.succeeded",         "charge.failed",
        "charge.captured",         "charge.refunded",          "refund.created",
        "refund.failed",           "customer.created",         "customer.updated",
        "customer.deleted",        "payment_method.attached",  "payment_method.detached",
    };
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        cr_expect(event_type_known(text_of(ours[i])), "%s", ours[i]);
}

Test(event_type, what_does_not_exist_cannot)
{
    cr_expect(not(event_type_known(TEXT("*"))));
    cr_expect(not(event_type_known(TEXT("charge.succeede"))));
    cr_expect(not(event_type_known(TEXT(""))));
    cr_expect(not(event_type_known(NO_TEXT)));
}
