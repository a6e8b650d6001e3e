/* storage: the private Postgres and Redis of an instance: where they live, as whom they run, how
 * they are configured. Both listen on a unix socket only.
 *
 * Postgres refuses to run as root; as root it, and Redis, run as a user of their own (`postgres`,
 * `redis`), in a folder that is theirs. When that user cannot get to HOME (a checkout below /root),
 * the folder is /var/lib/florin/<hash of HOME>/… and HOME has a symbolic link to it. The sockets
 * stand in those folders, and the run folder has a link to each: nobody but us may write there. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct user {
    bool other; /* another one than ours: to be changed to */
    char name[64];
    uid_t id;
    gid_t group;
};

struct storage {
    struct user postgres_user, redis_user;
    char postgres_folder[PATH_MAX], cluster[PATH_MAX], postgres_program[PATH_MAX];
    char postgres_pid_file[PATH_MAX];
    char redis_folder[PATH_MAX], redis_config[PATH_MAX], redis_program[PATH_MAX];
    char redis_pid_file[PATH_MAX];
    bool elsewhere; /* HOME could not be reached by them */
};

/* Finds programs, users and folders; makes the folders. Dies with a sentence. */
void storage_place(struct storage *s, const char *home);
/* Makes the cluster at the first start, and writes the configurations. Dies with a sentence. */
void storage_prepare(struct storage *s, const char *home);
