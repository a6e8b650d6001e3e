/* An internal service in thirty lines: makes a payment intent for a merchant, over ZeroMQ.
 *
 *   florin-example HOME MERCHANT [AMOUNT [CURRENCY]]
 *   florin-example var acct_1… 2000 usd */
#include "florin_client.h"

#include <stdio.h>
#include <string.h>

int
main(int argc, char **argv)
{
    char form[128];
    struct msg_api_answer answer;
    struct msg_refused refused;
    if (argc < 3 || strcmp(argv[1], "--help") == 0) {
        fputs("florin-example HOME MERCHANT [AMOUNT [CURRENCY]]: makes a payment intent.\n"
              "For example: florin-example var acct_1… 2000 usd\n",
              stderr);
        return argc < 3;
    }
    snprintf(form, sizeof form, "amount=%s&currency=%s&payment_method_types[]=card",
             argc > 3 ? argv[3] : "2000", argc > 4 ? argv[4] : "usd");

    struct florin_client *client = florin_client_open(argv[1], "client-1");
    const struct florin_call call = {
        .merchant = argv[2], .route = "payment_intent_create", .form = form};
    const enum florin_result result = florin_client_call(client, &call, 10000, &answer, &refused);
    switch (result) {
    case FLORIN_ANSWERED:
        printf("%d %.*s\n", (int)answer.status, (int)answer.body.size, answer.body.at);
        break;
    case FLORIN_REFUSED:
        fprintf(stderr, "refused: %.*s\n", (int)refused.reason.size, refused.reason.at);
        break;
    case FLORIN_ABSENT: fputs("Florin is not running there.\n", stderr); break;
    case FLORIN_SILENT: fputs("There was no answer in time.\n", stderr); break;
    }
    const bool made = result == FLORIN_ANSWERED && answer.status == 200;
    florin_client_close(&client);
    return made ? 0 : 1;
}
