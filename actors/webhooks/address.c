#include "address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

enum reach { NEVER, PRIVATE };

// clang-format off

/* IANA's special-purpose registry. What is not in it is public. */
static const struct { uint8_t at[4]; uint8_t bits; enum reach reach; const char *words; } ipv4[] = {
    {{  0,   0,   0, 0},  8, NEVER,   "this network"},
    {{ 10,   0,   0, 0},  8, PRIVATE, "private"},
    {{100,  64,   0, 0}, 10, PRIVATE, "shared between carriers (CGNAT)"},
    {{127,   0,   0, 0},  8, PRIVATE, "loopback"},
    {{169, 254,   0, 0}, 16, NEVER,   "link-local"}, /* clouds' metadata services */
    {{172,  16,   0, 0}, 12, PRIVATE, "private"},
    {{192,   0,   0, 0}, 24, NEVER,   "set aside for protocols"},
    {{192,   0,   2, 0}, 24, NEVER,   "for documentation"},
    {{192,  31, 196, 0}, 24, NEVER,   "AS112"},
    {{192,  52, 193, 0}, 24, NEVER,   "AMT"},
    {{192,  88,  99, 0}, 24, NEVER,   "a 6to4 relay"},
    {{192, 168,   0, 0}, 16, PRIVATE, "private"},
    {{192, 175,  48, 0}, 24, NEVER,   "AS112"},
    {{198,  18,   0, 0}, 15, NEVER,   "for benchmarks"},
    {{198,  51, 100, 0}, 24, NEVER,   "for documentation"},
    {{203,   0, 113, 0}, 24, NEVER,   "for documentation"},
    {{224,   0,   0, 0},  4, NEVER,   "multicast"},
    {{240,   0,   0, 0},  4, NEVER,   "reserved"}, /* and broadcast */
};

/* The first row that fits counts. What fits none is not global unicast and is refused. */
static const struct { uint8_t at[8]; uint8_t bits; enum reach reach; const char *words; } ipv6[] = {
    {{0x20, 0x01, 0x00, 0x00},             32, NEVER,   "Teredo"},
    {{0x20, 0x01, 0x00, 0x00},             23, NEVER,   "set aside for protocols"},
    {{0x20, 0x01, 0x0d, 0xb8},             32, NEVER,   "for documentation"},
    {{0x20, 0x02},                         16, NEVER,   "6to4"},
    {{0x26, 0x20, 0x00, 0x4f, 0x80, 0x00}, 48, NEVER,   "AS112"},
    {{0x3f, 0xff, 0x00},                   20, NEVER,   "for documentation"},
    {{0x20},                                3, NEVER,   NULL}, /* public */
    {{0xfc},                                7, PRIVATE, "private"},
    {{0xfe, 0x80},                         10, NEVER,   "link-local"},
    {{0xfe, 0xc0},                         10, NEVER,   "site-local"},
    {{0xff},                                8, NEVER,   "multicast"},
    {{0x00, 0x64, 0xff, 0x9b},             32, NEVER,   "NAT64"},
    {{0x01, 0x00},                         64, NEVER,   "a black hole"},
};

/* In rising order. Browsers' list of bad ports, and the databases and caches of today. */
static const uint16_t ports[] = {
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    445, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989,
    990, 993, 995, 1433, 1521, 1719, 1720, 1723, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389,
    3659, 4045, 4190, 5060, 5061, 5432, 5672, 5900, 5984, 6000, 6379, 6380, 6443, 6566, 6665, 6666,
    6667, 6668, 6669, 6679, 6697, 9042, 9092, 9200, 9300, 10080, 10250, 11211, 26379, 27017, 27018,
};

// clang-format on

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool
begins_with(const uint8_t *address, const uint8_t *prefix, unsigned bits)
{
    const unsigned bytes = bits / 8, rest = bits % 8;
    if (memcmp(address, prefix, bytes) != 0) return false;
    if (!rest) return true;
    const uint8_t mask = (uint8_t)(0xff << (8 - rest));
    return (address[bytes] & mask) == (prefix[bytes] & mask);
}

static const char *
ipv4_refused(const uint8_t address[static 4], enum address_policy policy)
{
    for (size_t i = 0; i < COUNT(ipv4); i++)
        if (begins_with(address, ipv4[i].at, ipv4[i].bits))
            return ipv4[i].reach == PRIVATE && policy == ADDRESS_PRIVATE_TOO ? NULL : ipv4[i].words;
    return NULL;
}

static const char *
ipv6_refused(const uint8_t address[static 16], enum address_policy policy)
{
    static const uint8_t zeros[16];
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (memcmp(address, zeros, 15) == 0 && address[15] == 1)
        return policy == ADDRESS_PRIVATE_TOO ? NULL : "loopback";
    /* ::ffff:a.b.c.d and ::a.b.c.d go where a.b.c.d goes; who means that may say that. */
    if (memcmp(address, mapped, 12) == 0) return "an IPv4 address in disguise";
    for (size_t i = 0; i < COUNT(ipv6); i++)
        if (begins_with(address, ipv6[i].at, ipv6[i].bits))
            return ipv6[i].reach == PRIVATE && policy == ADDRESS_PRIVATE_TOO ? NULL : ipv6[i].words;
    return "not a public address";
}

const char *
address_refused(const struct sockaddr *address, enum address_policy policy)
{
    if (address->sa_family == AF_INET) {
        uint8_t bytes[4];
        memcpy(bytes, (const char *)address + offsetof(struct sockaddr_in, sin_addr), sizeof bytes);
        return ipv4_refused(bytes, policy);
    }
    if (address->sa_family == AF_INET6) {
        uint8_t bytes[16];
        memcpy(bytes, (const char *)address + offsetof(struct sockaddr_in6, sin6_addr),
               sizeof bytes);
        return ipv6_refused(bytes, policy);
    }
    return "not an Internet address";
}

static bool
same_host(const struct sockaddr *a, const struct sockaddr *b)
{
    if (a->sa_family != b->sa_family) return false;
    const bool v4 = a->sa_family == AF_INET;
    if (!v4 && a->sa_family != AF_INET6) return false;
    const size_t at =
        v4 ? offsetof(struct sockaddr_in, sin_addr) : offsetof(struct sockaddr_in6, sin6_addr);
    return memcmp((const char *)a + at, (const char *)b + at, v4 ? 4 : 16) == 0;
}

bool
address_is_own(const struct sockaddr *address)
{
    struct ifaddrs *interfaces = NULL;
    if (getifaddrs(&interfaces) == -1) return true; /* who cannot tell refuses */
    bool own = false;
    for (struct ifaddrs *it = interfaces; it && !own; it = it->ifa_next)
        own = it->ifa_addr && same_host(address, it->ifa_addr);
    freeifaddrs(interfaces);
    return own;
}

bool
port_refused(uint16_t port)
{
    for (size_t i = 0; i < COUNT(ports); i++)
        if (ports[i] == port) return true;
    return false;
}
