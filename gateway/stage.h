/* stage: a gateway as a process of its own, with a broker and a vault that only play their parts.
 * For tests. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The keys that the stand-in workers know. */
#define SECRET_KEY "sk_test_abcdefghij"
#define PUBLISHABLE_KEY "pk_test_abcdefghij"
/* The checkout session that they know. */
#define PAGE_SESSION "cs_test_abcdefghij"

struct reply {
    int status;         /* 0: there was none */
    bool closed;        /* the gateway closed the connection after it */
    char text[1 << 18]; /* head and body, NUL-terminated */
    const char *body;
};

/* Starts all of it in a home of its own; `conf` is added to florin.conf. */
void stage_open(const char *conf);
void stage_close(void);
const char *stage_home(void);
int stage_port(void);
pid_t stage_gateway(void);
/* The program that was started. */
const char *stage_program(void);
/* How many requests of the API reached a worker, and how often the vault was asked. */
int stage_executed(void);
int stage_tokenized(void);
/* From now on workers answer after that long. */
void stage_delay(int ms);

int stage_connect(void);
/* False when the gateway no longer takes them. */
bool stage_send(int fd, const void *bytes, size_t size);
/* The next answer on that connection; waits at most `ms`. Looks for the end of the connection only
 * when the answer announces it. */
void stage_read(int fd, int ms, struct reply *reply);
/* Connects, sends, reads, closes. */
void stage_ask(const char *bytes, size_t size, struct reply *reply);
/* The value of a header, in a static buffer; "" when it is not there. */
const char *reply_header(const struct reply *reply, const char *name);
/* A whole request with the secret key, and perhaps more headers, each with its CR LF. */
void stage_call(const char *method, const char *target, const char *headers, const char *body,
                struct reply *reply);
