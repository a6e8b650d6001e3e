/* worker: the engine of one payments process, as its own files see it. Handlers see call.h.
 *
 * Everything that goes on is a job: a call of the API, from its packet to its answer; and an
 * attempt, from its beginning until its end is committed, whether the client still waits or not.
 * A job is always in one step, and in every step but STEP_READY it waits for somebody else: for a
 * lock, for the ledger, for the network, or for time to pass. Nobody's memory is needed to finish
 * an attempt: whoever owns the slot begins a job from its row (attempts_engine.c). */
#pragma once

#include "call.h"
#include "change.h"
#include "id.h"
#include "locks.h"
#include "loop.h"
#include "must_use.h"
#include "names.h"
#include "partition.h"
#include "settings.h"
#include "slots.h"
#include "store_keep.h"

#define CLIENT_JOBS_MAX 4096 /* calls in flight; more are refused as busy */
#define JOBS_MAX 8192        /* with attempts that are being recovered */
#define JOB_ARENA_BYTES ((size_t)128 << 20)
#define LOCK_WAIT_MS_MAX 5000
#define DEADLINE_MARGIN_MS 300 /* our answer should be there before the broker's */
#define STALE_MAX 5
#define MERCHANT_SIZE_MAX 63
#define KEY_SIZE_MAX 255
#define BEAT_MS 250
#define LINK_DEAD_MS 1500

enum step { STEP_FREE, STEP_READY, STEP_LOCK, STEP_COMMIT, STEP_NETWORK, STEP_PAUSE };

/* What the commit that is at the ledger is for. */
enum aim { AIM_ANSWER, AIM_BEGIN, AIM_TAKE, AIM_REVERSE, AIM_FINISH, AIM_FOLLOW, AIM_COUNT };

/* How a handler left: call_* only note it, job_proceed does it once the handler has returned. */
enum ending { ENDING_NONE, ENDING_WAIT, ENDING_ANSWER, ENDING_REFUSE, ENDING_BEGIN };

/* What was asked of the network. */
enum asked { ASKED_OPERATION, ASKED_INQUIRY, ASKED_REVERSAL, ASKED_FOLLOW_UP, ASKED_COUNT };

struct job {
    struct call call; /* first, so that the engine finds the job of a handler's call */
    struct worker *worker;
    enum step step;
    uint16_t slot;
    struct job *next; /* on the spare or the ready list */
    struct locker locker;
    int64_t lock_until_ms; /* monotonic; 0: has not waited for a lock yet */

    /* The client, as long as there is one that waits. */
    bool client;
    uint64_t correlation;
    int64_t deadline_ms; /* Unix ms; 0: none */
    handler_fn *handler; /* NULL: there is no call to run, only an attempt */
    const struct msg_merchant_create *merchant_create; /* its handler's parameters */
    const void *by_hand;                               /* the message of a handler in accounts.c */

    /* How the handler left. */
    enum ending ending;
    int status;
    struct text body;
    bool retry;
    bool keep; /* the answer belongs under the key */
    struct row_attempt *begun;
    bool begun_stands; /* in the books as it is here, and nobody has gone on from it yet */
    struct msg_network_request request; /* what the begun attempt asks */

    /* Idempotency. `key_hash` is empty while a recovered attempt holds the key. */
    struct name_node by_key;
    char key_name[MERCHANT_SIZE_MAX + 1 + KEY_SIZE_MAX];

    /* The attempt. */
    struct name_node by_attempt;
    char merchant[MERCHANT_SIZE_MAX + 1], attempt[ID_SIZE_MAX + 1];
    bool finishing; /* attempt_finished is what runs, not the handler */
    enum asked asked;
    struct msg_network_answer answer;
    unsigned tries;               /* of recovery, for its backoff */
    char refund[ID_SIZE_MAX + 1]; /* the one that is followed; `attempt` is what made it */

    /* What is waited for. */
    struct name_node by_wait;
    uint64_t wait;  /* correlation of the commit or of the network's answer */
    int64_t due_ms; /* monotonic: give up the lock, time out, wake up, send again */
    enum aim aim;
    struct msg_commit commit;
    uint8_t commit_id[16];
    unsigned sendings, stale;

    struct change change; /* the last: large, and cleared by its counts alone */
};

/* Which ledger leads, as far as we know. */
struct ledger {
    struct link *link;
    int64_t heard_ms; /* monotonic; 0: never */
    bool leading;
    uint64_t epoch;
};

struct worker {
    struct loop *loop;
    struct settings settings;
    char public_url[320];
    struct link *broker, *network;
    int partition;                                /* whose merchants we serve */
    struct ledger ledgers[LEDGERS_PER_PARTITION]; /* of our partition */
    int leader;                                   /* index into ledgers, -1: none */
    uint64_t leader_epoch;
    struct store *store;
    struct arena *scratch; /* for what is answered at once; emptied after each packet */
    struct slots slots;
    struct locks locks;
    struct names by_key, by_attempt, by_wait;
    struct job *jobs[JOBS_MAX];
    size_t job_count, jobs_busy, clients;
    struct job *spare, *ready_first, *ready_last;
    uint32_t jobs_in_slot[SLOT_COUNT];
    int64_t mono_ms, wall_ms; /* of this turn */
    int64_t tick_ms, beat_ms, sweep_ms, holds_ms, leaving_ms;
    int64_t network_heard_ms;
    uint64_t network_pid;
    bool leaving;
};

/* worker.c: requests and turns. */
struct worker *worker_new(struct loop *loop, const struct settings *settings, const char *home);
void worker_destroy(struct worker **worker_p);
void worker_tell_time(struct worker *worker);

/* jobs.c. NULL when all are taken. The job is in no list and waits for nothing. */
struct job *job_new(struct worker *worker, uint16_t slot);
/* A job for whoever sent the packet. NULL: it has been refused (late, not our slot, too many). */
struct job *job_for_client(struct worker *worker, const struct packet *packet, uint16_t slot);
/* Decodes a copy of the packet that lives as long as the job. False: the job is over. */
MUST_USE bool job_own_packet(struct job *job, struct link *from, const struct packet *packet,
                             enum message_number number, void *body);
/* Its locks go to whoever waits for them; its memory is used again. */
void job_end(struct job *job);
void job_make_ready(struct job *job);
/* Waits for the answer that will bear this correlation. */
void job_wait(struct job *job, enum step step, uint64_t correlation, int64_t due_ms);
/* All that have become ready, until none is. */
void jobs_run_ready(struct worker *worker);
/* Runs the handler, or attempt_finished, and does what it asked for. */
void job_run(struct job *job);
/* Says it to the client, if there still is one. */
void job_tell(struct job *job, int status, struct text body, bool retry, bool stored,
              struct text original_request);
void job_tell_refusal(struct job *job, const struct api_refusal *refusal);
/* Nobody waits any more. */
void job_forget_client(struct job *job);
/* Without a job: what is wrong with a packet at first sight. */
void packet_refuse(struct worker *worker, const struct packet *packet, const char *code,
                   const char *reason);
void packet_tell_refusal(struct worker *worker, const struct packet *packet,
                         const struct api_refusal *refusal);
/* `refused` instead of an answer: the broker's words. */
void job_tell_unroutable(struct job *job);
/* The slot is no longer ours: what is not at the ledger ends here. */
void jobs_leave_slots(struct worker *worker, const uint8_t slots[static SLOT_BYTES]);
extern const struct api_refusal refusal_lock_timeout, refusal_busy, refusal_late, refusal_failed,
    refusal_unavailable;
/* The key's first request still goes on, or it was another request. */
struct api_refusal refusal_in_use(struct arena *arena, struct text key);
struct api_refusal refusal_mismatch(struct arena *arena, struct text key);

/* commits.c: the ledger's client. */
void ledgers_beat(struct worker *worker);
void ledger_said(void *state, struct link *from, const struct packet *packet);
/* Packs what is staged and sends it; the answer comes to commit_answered (commits.c). */
void commit_send(struct job *job, enum aim aim, unsigned claim);
void commit_repeat(struct job *job);
struct ledger *ledger_leading(struct worker *worker); /* NULL: none */

/* attempts_engine.c */
void attempt_ask(struct job *job);
/* The objects that nobody else may change while the attempt is open. False when another call has
 * one of them. */
bool attempt_lock_objects(struct job *job, const struct row_attempt *attempt);
void attempt_resume(struct job *job);
void attempt_pause(struct job *job);
void attempt_committed(struct job *job);
void attempt_timed_out(struct job *job);
void network_said(void *state, struct link *from, const struct packet *packet);
void network_beat(struct worker *worker);
bool network_is_there(const struct worker *worker);
/* Jobs for all open attempts of these slots that have none. False when Postgres could not be asked.
 */
MUST_USE bool attempts_recover(struct worker *worker, const uint8_t slots[static SLOT_BYTES]);

/* holds_engine.c: jobs for the holds in our slots that have run out. */
void holds_expire(struct worker *worker);

/* due.c. A job for whatever in these slots ends by itself and whose time has come. */
void due_end(struct worker *worker, const uint8_t slots[static SLOT_BYTES]);

/* follow_ups.c: refunds that the network wants to be asked about again. */
/* Jobs for those of these slots that are due. False when Postgres could not be asked. */
MUST_USE bool follow_ups_begin(struct worker *worker, const uint8_t slots[static SLOT_BYTES]);
void follow_up_answered(struct job *job);

/* What a commit's verdict means for its job: a table (commits.c). */
enum after {
    AFTER_NOTHING, /* no verdict of ours: dropped */
    AFTER_GO_ON,
    AFTER_LOST,     /* the slot is another's */
    AFTER_BUSY,     /* nothing was written: 503 */
    AFTER_REPEAT,   /* the same again, in a while */
    AFTER_REPLAY,   /* the answer of long ago */
    AFTER_IN_USE,   /* 409 */
    AFTER_MISMATCH, /* 400 */
    AFTER_RERUN,    /* what was read is old: decide again */
    AFTER_RESUME,   /* look where the attempt stands */
    AFTER_PAUSE,    /* likewise, in a while */
    AFTER_FAIL,     /* 500 */
    AFTER_DROP,     /* whoever looks next sees to it */
};
/* `repeated`: the commit was sent more than once; `as_repeated`: the verdict is of a sending that said
 * so (committed.repeated). */
enum after commit_after(enum aim aim, uint64_t verdict, bool repeated, bool as_repeated);

/* What the network's answer means for an attempt: a table (attempts_engine.c). */
enum next { NEXT_AGAIN, NEXT_FINISH, NEXT_RECOVER, NEXT_REVERSE };
enum next attempt_next(enum asked asked, uint64_t outcome);
int64_t recovery_pause_ms(unsigned tries);

/* keys.c: what the broker sends that is not a call. */
void key_asked(struct worker *worker, struct link *from, const struct packet *packet);
void page_asked(struct worker *worker, struct link *from, const struct packet *packet);
void merchant_asked(struct worker *worker, struct link *from, const struct packet *packet);
/* accounts.c: likewise, what operators do by hand. */
void account_asked(struct worker *worker, struct link *from, const struct packet *packet);
void health_asked(struct worker *worker, struct link *from, const struct packet *packet);
