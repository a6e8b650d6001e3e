/* find_digits: whether card numbers stand in files, in any of the forms that programs give them.
 *
 *   find_digits FILE NUMBER… < names of files, a line each (FILE "-"), or in FILE alone
 *
 * The numbers are to share their first ten digits, which nobody else in the files has: then a part
 * of one is found too. Looked for are the ten digits as ASCII, in groups, as hex (both cases), in
 * base64 at each of its three offsets, as UTF-16 and UTF-32 in both orders, percent-encoded, and in
 * binary coded decimals; and each whole number as a 64-bit integer in both orders. MessagePack's
 * texts and bytes are ASCII inside, its integers big-endian. Prints file, offset and form of the
 * first finding of each form in each file; exit code 1 when there was one, 2 when a file cannot be
 * read. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX 10
#define FORMS_MAX 64

static struct form {
    const char *name;
    uint8_t bytes[64];
    size_t size;
} forms[FORMS_MAX];
static size_t form_count;

static void
add(const char *name, const void *bytes, size_t size)
{
    if (form_count == FORMS_MAX || size > sizeof forms[0].bytes) abort();
    forms[form_count].name = name;
    forms[form_count].size = size;
    memcpy(forms[form_count++].bytes, bytes, size);
}

/* Each digit in `width` bytes, the digit at `at` of them. */
static void
add_wide(const char *name, const char *digits, size_t width, size_t at)
{
    uint8_t out[4 * PREFIX] = {0};
    for (size_t i = 0; i < PREFIX; i++)
        out[i * width + at] = (uint8_t)digits[i];
    /* Its zeros at the ends may be somebody else's; those in between are not. */
    add(name, out + at, (PREFIX - 1) * width + 1);
}

/* What all base64 of texts with these digits at this offset has in common. */
static void
add_base64(const char *name, const char *digits, size_t offset)
{
    char text[2 + PREFIX + 1] = "xx", out[64];
    memcpy(text + offset, digits, PREFIX);
    const size_t size = offset + PREFIX;
    sodium_bin2base64(out, sizeof out, (const uint8_t *)text, size,
                      sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    /* The first characters have bits of what stands before, the last of what stands behind. */
    const size_t first = offset ? offset + 1 : 0, last = size * 8 / 6;
    add(name, out + first, last - first);
}

static void
add_forms(const char *digits)
{
    char out[64];
    uint8_t packed[PREFIX / 2];
    add("ASCII", digits, PREFIX);
    for (const char *between = " -."; *between; between++) {
        snprintf(out, sizeof out, "%.4s%c%.4s%c%.2s", digits, *between, digits + 4, *between,
                 digits + 8);
        add("ASCII in groups", out, strlen(out));
    }
    for (size_t i = 0; i < PREFIX; i++)
        snprintf(out + 2 * i, 3, "%02x", (unsigned)digits[i]);
    add("hex", out, 2 * PREFIX); /* digits are 30 to 39: there are no letters */
    for (size_t i = 0; i < PREFIX; i++)
        snprintf(out + 3 * i, 4, "%%%02x", (unsigned)digits[i]);
    add("percent-encoded", out, 3 * PREFIX);
    for (size_t offset = 0; offset < 3; offset++)
        add_base64("base64", digits, offset);
    add_wide("UTF-16", digits, 2, 0);
    add_wide("UTF-32", digits, 4, 0);
    for (size_t i = 0; i < PREFIX; i += 2)
        packed[i / 2] = (uint8_t)((digits[i] - '0') << 4 | (digits[i + 1] - '0'));
    add("binary coded decimals", packed, sizeof packed);
}

static void
add_integers(const char *number)
{
    const uint64_t value = strtoull(number, NULL, 10);
    uint8_t big[8], little[8];
    for (size_t i = 0; i < 8; i++) {
        big[7 - i] = (uint8_t)(value >> 8 * i);
        little[i] = (uint8_t)(value >> 8 * i);
    }
    add("a big-endian integer", big, sizeof big);
    add("a little-endian integer", little, sizeof little);
}

static int
search(const char *path, unsigned *found)
{
    struct stat status;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        if (fd >= 0) close(fd);
        fprintf(stderr, "%s cannot be read: %s.\n", path, strerror(errno));
        return 2;
    }
    const size_t size = (size_t)status.st_size;
    uint8_t *bytes = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    close(fd);
    if (!size) return 0;
    if (bytes == MAP_FAILED) {
        fprintf(stderr, "%s cannot be read: %s.\n", path, strerror(errno));
        return 2;
    }
    for (size_t i = 0; i < form_count; i++) {
        const uint8_t *at = memmem(bytes, size, forms[i].bytes, forms[i].size);
        if (!at) continue;
        printf("%s: byte %zu: %s\n", path, (size_t)(at - bytes), forms[i].name);
        ++*found;
    }
    munmap(bytes, size);
    return 0;
}

int
main(int argc, char **argv)
{
    unsigned found = 0;
    int bad = 0;
    char line[4096];
    if (argc < 3) {
        fputs("find_digits FILE NUMBER…, or find_digits - NUMBER… < names of files.\n", stderr);
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        if (strlen(argv[i]) < 12 || strspn(argv[i], "0123456789") != strlen(argv[i]) ||
            strncmp(argv[i], argv[2], PREFIX) != 0) {
            fprintf(stderr, "%s is no card number that begins as the others do.\n", argv[i]);
            return 2;
        }
        if (i == 2) add_forms(argv[i]);
        add_integers(argv[i]);
    }
    if (strcmp(argv[1], "-") != 0) {
        bad = search(argv[1], &found);
    } else {
        while (fgets(line, sizeof line, stdin)) {
            line[strcspn(line, "\n")] = 0;
            bad |= search(line, &found);
        }
    }
    return bad ? bad : found > 0;
}
