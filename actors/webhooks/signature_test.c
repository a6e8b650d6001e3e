#include "signature.h"

#include <criterion/criterion.h>
#include <string.h>

/* Digests by another implementation (Python's hmac): key the whole secret, text "t.body". */
Test(signature, is_the_known_one_of_a_known_body)
{
    char out[SIGNATURE_SIZE];
    signature_make(out, TEXT("whsec_test_secret"), 1492774577,
                   TEXT("{\"id\":\"evt_1\",\"object\":\"event\"}"));
    cr_assert_str_eq(out, "t=1492774577,v1="
                          "654b43d3508ecadb3f8cefc4bc7d3d2bdc5ba9e03bf2c89b2d0657a8e24e4543");
}

Test(signature, takes_keys_longer_than_a_block_and_empty_bodies)
{
    char out[SIGNATURE_SIZE], secret[107] = "whsec_";
    memset(secret + 6, 'k', 100);
    signature_make(out, text_of(secret), 0, TEXT(""));
    cr_assert_str_eq(out,
                     "t=0,v1=2e6995075ce6b1d55cbf901049969922c6c429360c9ec90521aa3edcf47f8e63");
}

Test(signature, changes_with_the_time_the_body_and_the_secret)
{
    char a[SIGNATURE_SIZE], b[SIGNATURE_SIZE];
    signature_make(a, TEXT("whsec_a"), 1, TEXT("{}"));
    signature_make(b, TEXT("whsec_a"), 2, TEXT("{}"));
    cr_assert_str_neq(strchr(a, 'v'), strchr(b, 'v'));
    signature_make(b, TEXT("whsec_a"), 1, TEXT("{ }"));
    cr_assert_str_neq(a, b);
    signature_make(b, TEXT("whsec_b"), 1, TEXT("{}"));
    cr_assert_str_neq(a, b);
}

Test(signature, fits_with_the_latest_time_there_is)
{
    char out[SIGNATURE_SIZE];
    signature_make(out, TEXT("whsec_a"), INT64_MAX, TEXT("{}"));
    cr_assert_eq(strlen(out), strlen("t=9223372036854775807,v1=") + 64);
}
