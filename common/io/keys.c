#include "keys.h"

#include "files.h"
#include "log.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

bool
name_split(const char *name, char role[static NODE_NAME_MAX + 1], int *instance)
{
    static const char *const roles[] = {
#define ROLE(word, doc) #word,
#include "roles.def"
#undef ROLE
    };
    const char *hyphen = strrchr(name, '-');
    if (!hyphen || strlen(name) > NODE_NAME_MAX) return false;
    const size_t digits = strspn(hyphen + 1, "0123456789");
    if (digits == 0 || digits > 4 || hyphen[1 + digits] || hyphen[1] == '0') return false;
    snprintf(role, NODE_NAME_MAX + 1, "%.*s", (int)(hyphen - name), name);
    *instance = atoi(hyphen + 1);
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (strcmp(roles[i], role) == 0) return true;
    return false;
}

/* The keys of zmq_curve(7), public and secret, of the client and of the server there. */
static bool
everybody_knows(const uint8_t key[static KEY_BYTES])
{
    static const char *const published[] = {
        "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs",
        "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"};
    uint8_t known[KEY_BYTES];
    if (sodium_is_zero(key, KEY_BYTES)) return true;
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++)
        if (zmq_z85_decode(known, published[i]) && memcmp(key, known, KEY_BYTES) == 0) return true;
    return false;
}

/* Takes one line of 40 characters off `*at`. */
static bool
take_key(const char **at, uint8_t key[static KEY_BYTES])
{
    char z85[KEY_Z85_BYTES + 1];
    const size_t size = strcspn(*at, "\n");
    if (size != KEY_Z85_BYTES || (*at)[size] != '\n') return false;
    memcpy(z85, *at, size);
    z85[size] = 0;
    *at += size + 1;
    const bool good = zmq_z85_decode(key, z85) != NULL;
    sodium_memzero(z85, sizeof z85);
    return good;
}

static bool
is_pair(const uint8_t public_key[static KEY_BYTES], const uint8_t secret_key[static KEY_BYTES])
{
    uint8_t made[KEY_BYTES];
    return crypto_scalarmult_base(made, secret_key) == 0 &&
           memcmp(made, public_key, KEY_BYTES) == 0;
}

void
keys_read_own(const char *home, const char *name, uint8_t public_key[static KEY_BYTES],
              uint8_t secret_key[static KEY_BYTES])
{
    char path[PATH_MAX], file[2 * (KEY_Z85_BYTES + 1) + 2];
    struct stat status;
    snprintf(path, sizeof path, "%s/keys/%s.key", home, name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ELOOP)
        die("The key file %s is a symbolic link: put the file there.", path);
    if (fd < 0) die("The key file %s cannot be read: %s.", path, strerror(errno));
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        die("The key file %s is not a regular file.", path);
    if (status.st_uid != geteuid()) die("The key file %s belongs to another user.", path);
    if (status.st_mode & 0177)
        die("The key file %s may be read by others: its mode must be 0600.", path);
    const ssize_t size = read(fd, file, sizeof file - 1);
    close(fd);
    file[size < 0 ? 0 : size] = 0;

    const char *at = file;
    const bool good = take_key(&at, public_key) && take_key(&at, secret_key) && *at == 0;
    sodium_memzero(file, sizeof file);
    if (!good) die("The key file %s does not hold a public and a secret key in Z85.", path);
    if (everybody_knows(public_key) || everybody_knows(secret_key))
        die("The key file %s holds a key that everybody knows: delete it, and a new one is made.",
            path);
    if (!is_pair(public_key, secret_key)) die("The two keys in %s do not belong together.", path);
}

bool
keys_read_public(const char *home, const char *name, uint8_t key[static KEY_BYTES], char *error,
                 unsigned long error_size)
{
    char path[PATH_MAX], file[KEY_Z85_BYTES + 3];
    struct stat status;
    snprintf(path, sizeof path, "%s/keys/public/%s.pub", home, name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        snprintf(error, error_size, "The key file %s cannot be read: %s.", path, strerror(errno));
        return false;
    }
    const bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    const bool ours = regular && !(status.st_mode & (S_IWGRP | S_IWOTH)) &&
                      (status.st_uid == geteuid() || status.st_uid == 0);
    const ssize_t size = ours ? read(fd, file, sizeof file - 1) : 0;
    close(fd);
    if (!ours) {
        snprintf(error, error_size, "The key file %s could have been written by others.", path);
        return false;
    }
    file[size < 0 ? 0 : size] = 0;
    const char *at = file;
    if (!take_key(&at, key) || *at) {
        snprintf(error, error_size, "The key file %s does not hold a public key in Z85.", path);
        return false;
    }
    if (everybody_knows(key)) {
        snprintf(error, error_size, "The key file %s holds a key that everybody knows.", path);
        return false;
    }
    return true;
}

/* Whether one key stands there for two roles. */
static bool
roles_share_a_key(const struct public_key *keys, size_t count, const struct public_key *latest,
                  char *error, unsigned long error_size)
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(keys[i].key, latest->key, KEY_BYTES) || !strcmp(keys[i].role, latest->role))
            continue;
        snprintf(error, error_size, "%s and %s have the same key: each role must have its own.",
                 keys[i].name, latest->name);
        return true;
    }
    return false;
}

/* `file` without .pub, as a name; false when it is another kind of file. */
static bool
name_of_file(const char *file, struct public_key *out)
{
    int instance;
    const size_t size = strlen(file);
    if (size <= 4 || size > NODE_NAME_MAX + 4 || strcmp(file + size - 4, ".pub")) return false;
    memcpy(out->name, file, size - 4);
    out->name[size - 4] = 0;
    return name_split(out->name, out->role, &instance);
}

bool
keys_read_all(const char *home, struct public_key **keys, unsigned long *count, char *error,
              unsigned long error_size)
{
    char path[PATH_MAX];
    struct stat status;
    struct dirent *entry;
    *keys = NULL;
    *count = 0;
    snprintf(path, sizeof path, "%s/keys/public", home);
    DIR *folder = opendir(path);
    if (!folder || fstat(dirfd(folder), &status) != 0) {
        snprintf(error, error_size, "The folder %s cannot be read: %s.", path, strerror(errno));
        if (folder) closedir(folder);
        return false;
    }
    if (status.st_mode & (S_IWGRP | S_IWOTH) ||
        (status.st_uid != geteuid() && status.st_uid != 0)) {
        snprintf(error, error_size, "The folder %s may be written by others.", path);
        closedir(folder);
        return false;
    }
    struct public_key *const found = calloc(PUBLIC_KEYS_MAX, sizeof *found);
    size_t found_count = 0;
    bool good = found != NULL;
    if (!found) snprintf(error, error_size, "There is no memory for the public keys.");
    while (good && found_count < PUBLIC_KEYS_MAX && (entry = readdir(folder))) {
        struct public_key *latest = &found[found_count];
        char why[PATH_MAX + 128];
        if (!name_of_file(entry->d_name, latest)) continue;
        if (!keys_read_public(home, latest->name, latest->key, why, sizeof why)) {
            log_event(LOG_WARNING, "key.ignored", "name=%s reason=%s", latest->name, why);
            continue;
        }
        if (roles_share_a_key(found, found_count, latest, error, error_size)) good = false;
        found_count++;
    }
    closedir(folder);
    if (!good) {
        free(found);
        return false;
    }
    *keys = found;
    *count = found_count;
    return true;
}

static void
make_folder(const char *home, const char *name, mode_t mode)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", home, name);
    if (mkdir(path, mode) != 0 && errno != EEXIST)
        die("The folder %s cannot be made: %s.", path, strerror(errno));
}

void
node_make_keys(const char *home, const char *name)
{
    char path[PATH_MAX], role[NODE_NAME_MAX + 1], file[2 * (KEY_Z85_BYTES + 1) + 1];
    char public_z85[KEY_Z85_BYTES + 1], secret_z85[KEY_Z85_BYTES + 1];
    uint8_t public_key[KEY_BYTES], secret_key[KEY_BYTES];
    int instance;
    if (!name_split(name, role, &instance)) die("%s is not the name of a process.", name);
    make_folder(home, "keys", 0755);
    make_folder(home, "keys/public", 0755);

    snprintf(path, sizeof path, "%s/keys/%s.key", home, name);
    if (access(path, F_OK) != 0) {
        if (zmq_curve_keypair(public_z85, secret_z85) != 0) die("libzmq cannot make CURVE keys.");
        snprintf(file, sizeof file, "%s\n%s\n", public_z85, secret_z85);
        const bool written = file_write(path, file, strlen(file), 0600);
        sodium_memzero(secret_z85, sizeof secret_z85);
        sodium_memzero(file, sizeof file);
        if (!written) die("The key file %s cannot be written: %s.", path, strerror(errno));
    }
    keys_read_own(home, name, public_key, secret_key);
    sodium_memzero(secret_key, sizeof secret_key);
    zmq_z85_encode(public_z85, public_key, KEY_BYTES);

    /* rewritten only when it differs: the folder's time tells the others to read it again */
    snprintf(path, sizeof path, "%s/keys/public/%s.pub", home, name);
    const ssize_t size = file_read(path, file, sizeof file);
    if (size == KEY_Z85_BYTES + 1 && memcmp(file, public_z85, KEY_Z85_BYTES) == 0) return;
    snprintf(file, sizeof file, "%s\n", public_z85);
    if (!file_write(path, file, strlen(file), 0644))
        die("The key file %s cannot be written: %s.", path, strerror(errno));
}
