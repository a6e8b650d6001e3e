#include "target.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <string.h>

Test(target, takes_a_url_apart)
{
    static const struct {
        const char *url, *host;
        uint16_t port;
        bool literal_ipv6;
    } rows[] = {
        {"https://hooks.example.com/stripe?a=b", "hooks.example.com", 443, false},
        {"http://hooks.example.com", "hooks.example.com", 80, false},
        {"http://localhost:4242/hook", "localhost", 4242, false},
        {"HTTP://Example.COM:8080/", "Example.COM", 8080, false},
        {"http://127.0.0.1:3000/", "127.0.0.1", 3000, false},
        {"http://[2001:db8::1]:8080/", "2001:db8::1", 8080, true},
        /* Other ways to write an IPv4 address end as one, and are checked as one. */
        {"http://2130706433/", "127.0.0.1", 80, false},
        {"http://0x7f.1/", "127.0.0.1", 80, false},
        {"http://0177.0.0.1/", "127.0.0.1", 80, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct target target;
        const char *refused = target_read(rows[i].url, &target);
        cr_expect_null(refused, "%s: %s", rows[i].url, refused);
        cr_expect_str_eq(target.host, rows[i].host);
        cr_expect_eq(target.port, rows[i].port, "%s", rows[i].url);
        cr_expect_eq(target.literal_ipv6, rows[i].literal_ipv6, "%s", rows[i].url);
    }
}

Test(target, that_is_no_plain_web_address_is_refused)
{
    static const char *const bad[] = {
        "",
        "hooks.example.com",
        "/hook",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/_x",
        "ldap://example.com/",
        "javascript:alert(1)",
        "http://",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://:password@example.com/",
        "http://[fe80::1%25eth0]/",
        "http://example.com:22/",
        "http://example.com:25/",
        "http://example.com:6379/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:http/",
        "http://exa mple.com/",
        "http://example.com\r\nX: y/",
        "http://[::1/",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct target target;
        cr_expect_not_null(target_read(bad[i], &target), "%s", bad[i]);
    }
}

Test(target, with_a_host_of_other_letters_is_looked_up_in_ascii)
{
    struct target target;
    cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8")); /* as the process does */
    cr_assert_null(target_read("https://b\xc3\xbc"
                               "cher.example/",
                               &target));
    cr_assert_str_eq(target.host, "xn--bcher-kva.example");
}

Test(target, with_an_endless_host_is_refused)
{
    char url[600] = "http://";
    memset(url + 7, 'a', 500);
    memcpy(url + 507, "/", 2);
    struct target target;
    cr_assert_not_null(target_read(url, &target));
}
