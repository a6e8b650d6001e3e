#include "address.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>
#include <sys/un.h>

static const char *
refused(const char *text, enum address_policy policy)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
    } else {
        cr_assert_eq(inet_pton(AF_INET6, text, &v6->sin6_addr), 1, "%s", text);
        v6->sin6_family = AF_INET6;
    }
    return address_refused((const struct sockaddr *)&storage, policy);
}

// clang-format off
enum { NEVER, PRIVATE, PUBLIC };
static const struct { const char *address; int reach; } rows[] = {
    {"0.0.0.0", NEVER},                  {"0.1.2.3", NEVER},
    {"1.0.0.0", PUBLIC},                 {"8.8.8.8", PUBLIC},
    {"9.255.255.255", PUBLIC},           {"10.0.0.0", PRIVATE},
    {"10.255.255.255", PRIVATE},         {"11.0.0.0", PUBLIC},
    {"100.63.255.255", PUBLIC},          {"100.64.0.0", PRIVATE},
    {"100.127.255.255", PRIVATE},        {"100.128.0.0", PUBLIC},
    {"126.255.255.255", PUBLIC},         {"127.0.0.1", PRIVATE},
    {"127.255.255.255", PRIVATE},        {"128.0.0.0", PUBLIC},
    {"169.253.255.255", PUBLIC},         {"169.254.0.0", NEVER},
    {"169.254.169.254", NEVER},          {"169.255.0.0", PUBLIC},
    {"172.15.255.255", PUBLIC},          {"172.16.0.0", PRIVATE},
    {"172.31.255.255", PRIVATE},         {"172.32.0.0", PUBLIC},
    {"192.0.0.1", NEVER},                {"192.0.0.170", NEVER},
    {"192.0.1.0", PUBLIC},               {"192.0.2.1", NEVER},
    {"192.31.196.1", NEVER},             {"192.52.193.1", NEVER},
    {"192.88.99.1", NEVER},              {"192.167.255.255", PUBLIC},
    {"192.168.0.0", PRIVATE},            {"192.168.255.255", PRIVATE},
    {"192.169.0.0", PUBLIC},             {"192.175.48.1", NEVER},
    {"198.17.255.255", PUBLIC},          {"198.18.0.0", NEVER},
    {"198.19.255.255", NEVER},           {"198.20.0.0", PUBLIC},
    {"198.51.100.7", NEVER},             {"203.0.113.7", NEVER},
    {"223.255.255.255", PUBLIC},         {"224.0.0.1", NEVER},
    {"239.255.255.255", NEVER},          {"240.0.0.1", NEVER},
    {"255.255.255.255", NEVER},
    {"::", NEVER},                       {"::1", PRIVATE},
    {"::2", NEVER},                      {"::127.0.0.1", NEVER},
    {"::8.8.8.8", NEVER},                {"::ffff:127.0.0.1", NEVER},
    {"::ffff:10.0.0.1", NEVER},          {"::ffff:8.8.8.8", NEVER},
    {"::ffff:0:8.8.8.8", NEVER},         {"64:ff9b::8.8.8.8", NEVER},
    {"64:ff9b::10.0.0.1", NEVER},        {"64:ff9b:1::1", NEVER},
    {"100::1", NEVER},                   {"1fff::1", NEVER},
    {"2001::1", NEVER},                  {"2001:0:4136:e378::1", NEVER},
    {"2001:2::1", NEVER},                {"2001:10::1", NEVER},
    {"2001:20::1", NEVER},               {"2001:1ff::1", NEVER},
    {"2001:200::1", PUBLIC},             {"2001:4860:4860::8888", PUBLIC},
    {"2001:db8::1", NEVER},              {"2002:0a00:0001::1", NEVER},
    {"2002:0808:0808::1", NEVER},        {"2003::1", PUBLIC},
    {"2606:4700::1111", PUBLIC},         {"2620:4f:8000::1", NEVER},
    {"2a00:1450::1", PUBLIC},            {"3fff::1", NEVER},
    {"3fff:fff::1", NEVER},              {"3fff:1000::1", PUBLIC},
    {"4000::1", NEVER},                  {"5f00::1", NEVER},
    {"fc00::1", PRIVATE},                {"fdff::1", PRIVATE},
    {"fe00::1", NEVER},                  {"fe80::1", NEVER},
    {"febf::1", NEVER},                  {"fec0::1", NEVER},
    {"ff02::1", NEVER},                  {"ffff::1", NEVER},
};
// clang-format on

#define COUNT(array) (sizeof(array) / sizeof *(array))

Test(address, that_is_not_public_is_refused_from_outside)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        cr_expect_eq(refused(rows[i].address, ADDRESS_PUBLIC_ONLY) == NULL, rows[i].reach == PUBLIC,
                     "%s", rows[i].address);
}

Test(address, of_a_developers_machine_may_be_allowed_but_nothing_stranger)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        cr_expect_eq(refused(rows[i].address, ADDRESS_PRIVATE_TOO) == NULL, rows[i].reach != NEVER,
                     "%s", rows[i].address);
}

Test(address, that_is_refused_is_named_in_words)
{
    cr_assert_str_eq(refused("127.0.0.1", ADDRESS_PUBLIC_ONLY), "loopback");
    cr_assert_str_eq(refused("169.254.169.254", ADDRESS_PRIVATE_TOO), "link-local");
    cr_assert_str_eq(refused("2001::1", ADDRESS_PUBLIC_ONLY), "Teredo");
    cr_assert_str_eq(refused("2002::1", ADDRESS_PUBLIC_ONLY), "6to4");
    cr_assert_str_eq(refused("64:ff9b::1", ADDRESS_PUBLIC_ONLY), "NAT64");
}

Test(address, that_is_not_of_the_internet_is_refused)
{
    const struct sockaddr_un here = {.sun_family = AF_UNIX, .sun_path = "/run/x"};
    cr_assert_not_null(address_refused((const struct sockaddr *)&here, ADDRESS_PRIVATE_TOO));
}

Test(address, of_this_machine_is_known)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    cr_assert(address_is_own((const struct sockaddr *)&own));
    own.sin_addr.s_addr = htonl(0x08080808);
    cr_assert_not(address_is_own((const struct sockaddr *)&own));
}

Test(port, of_mail_shells_databases_and_caches_is_refused)
{
    static const uint16_t bad[] = {0,   1,   21,   22,   23,   25,   53,   110,  143,   445,  465,
                                   587, 993, 2049, 3306, 5432, 6379, 6667, 9200, 11211, 27017};
    for (size_t i = 0; i < COUNT(bad); i++)
        cr_expect(port_refused(bad[i]), "%d", bad[i]);
}

Test(port, of_web_servers_is_not)
{
    static const uint16_t good[] = {80, 443, 3000, 4242, 5000, 8000, 8080, 8420, 8443, 65535};
    for (size_t i = 0; i < COUNT(good); i++)
        cr_expect_not(port_refused(good[i]), "%d", good[i]);
}
