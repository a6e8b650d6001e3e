/* sim-replay: says to a real Postgres what a run of the simulation said to the one in memory, and
 * compares every answer and, at the end, every row.
 *
 *     florin-sim --seed 7 --statements FILE && sim-replay FILE
 *
 * Words and hexadecimal, a line each, as recorder.c writes them. Rows are compared as sets: where
 * an order matters a statement says so, and the actors' own tests hold it. */
#include "postgres_for_test.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSIONS_MAX = 4096, WORDS_MAX = 65536, ROWS_MAX = 20000 };

static PGconn *sessions[SESSIONS_MAX];
static char *words[WORDS_MAX];
static int word_count;
static long line_number;
static unsigned long statements_said, rows_compared, differences;
static char *expected[ROWS_MAX];
static size_t expected_count;

static void
differ(const char *what, const char *ours, const char *theirs)
{
    if (++differences <= 10)
        printf("line %ld: %s: %.300s in memory, %.300s in Postgres\n", line_number, what, ours,
               theirs);
}

static PGconn *
session(int number, const char *role)
{
    if (number <= 0 || number >= SESSIONS_MAX) abort();
    if (!sessions[number]) sessions[number] = postgres_connect(role);
    return sessions[number];
}

static int
nibble(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* In place, behind the x; ends with a NUL. Returns the size. */
static int
unhex(char *at)
{
    int size = 0;
    for (at++; at[2 * size]; size++)
        at[size] = (char)(nibble(at[2 * size]) << 4 | nibble(at[2 * size + 1]));
    at[size] = 0;
    return size;
}

static void
split(char *line)
{
    word_count = 0;
    for (char *at = strtok(line, " \n"); at; at = strtok(NULL, " \n")) {
        if (word_count == WORDS_MAX) abort();
        words[word_count++] = at;
    }
}

/* --- answers ---------------------------------------------------------------------------------- */

static int64_t
big_number(const unsigned char *at, int size)
{
    int64_t value = size && at[0] & 0x80 ? -1 : 0;
    for (int i = 0; i < size; i++)
        value = (int64_t)((uint64_t)value << 8 | at[i]);
    return value;
}

/* Numbers have eight bytes in memory, and as many as their column has in Postgres. */
static char *
show_cell(const PGresult *r, int row, int column, bool binary, int wide)
{
    if (PQgetisnull(r, row, column)) return strdup("-");
    const unsigned char *at = (const unsigned char *)PQgetvalue(r, row, column);
    int size = PQgetlength(r, row, column);
    unsigned char eight[8];
    if (binary && wide && size < 8) {
        const int64_t value = big_number(at, size);
        for (int i = 0; i < 8; i++)
            eight[i] = (unsigned char)((uint64_t)value >> (56 - 8 * i));
        at = eight, size = 8;
    }
    char *const out = malloc((size_t)size * 2 + 2);
    out[0] = 'x';
    for (int i = 0; i < size; i++)
        sprintf(out + 1 + 2 * i, "%02x", at[i]);
    out[1 + 2 * size] = 0;
    return out;
}

static int
compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
append(char **line, const char *word)
{
    const size_t before = *line ? strlen(*line) : 0;
    *line = realloc(*line, before + strlen(word) + 2);
    sprintf(*line + before, " %s", word);
}

static bool
is_small(Oid type)
{
    return type == 21 || type == 23; /* smallint, integer */
}

static void
compare_rows(const char *what, PGresult *r, int rows, int columns, char **cells, bool binary)
{
    char count[2][24];
    if (PQntuples(r) != rows) {
        snprintf(count[0], sizeof count[0], "%d rows", rows);
        snprintf(count[1], sizeof count[1], "%d rows", PQntuples(r));
        differ(what, count[0], count[1]);
        return;
    }
    char **const ours = calloc((size_t)rows + 1, sizeof *ours);
    char **const theirs = calloc((size_t)rows + 1, sizeof *theirs);
    for (int row = 0; row < rows; row++)
        for (int column = 0; column < columns; column++) {
            const char *const cell = cells[row * columns + column];
            const bool name = strcmp(cell, "x73696d756c61746564") == 0; /* the cluster's */
            char *const their = show_cell(r, row, column, binary, is_small(PQftype(r, column)));
            append(&ours[row], cell);
            append(&theirs[row], name ? cell : their);
            free(their);
        }
    qsort(ours, (size_t)rows, sizeof *ours, compare_lines);
    qsort(theirs, (size_t)rows, sizeof *theirs, compare_lines);
    for (int row = 0; row < rows; row++) {
        rows_compared++;
        if (strcmp(ours[row], theirs[row]) != 0) differ(what, ours[row], theirs[row]);
        free(ours[row]);
        free(theirs[row]);
    }
    free(ours);
    free(theirs);
}

/* --- lines ------------------------------------------------------------------------------------ */

static PGresult *pending;
static char pending_name[64];
static bool pending_binary;

static void
say_statement(void)
{
    const char *values[256];
    int lengths[256], formats[256];
    PGconn *conn = session(atoi(words[1]), words[2]);
    const int count = atoi(words[5]);
    if (count > 256 || word_count != 6 + count) abort();
    for (int i = 0; i < count; i++) {
        char *const word = words[6 + i];
        values[i] = NULL;
        lengths[i] = formats[i] = 0;
        if (word[0] == '-') continue;
        formats[i] = word[0] == 'b';
        lengths[i] = unhex(word + 1);
        values[i] = word + 2;
    }
    snprintf(pending_name, sizeof pending_name, "%s", words[3]);
    pending_binary = atoi(words[4]) == 1;
    pending = PQexecPrepared(conn, words[3], count, values, lengths, formats, pending_binary);
    statements_said++;
}

static void
compare_answer(void)
{
    const ExecStatusType status = PQresultStatus(pending);
    const bool fine = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    const char *const state = fine ? "OK" : PQresultErrorField(pending, PG_DIAG_SQLSTATE);
    if (strcmp(words[1], state ? state : "?") != 0)
        differ(pending_name, words[1], fine ? "OK" : PQresultErrorMessage(pending));
    else if (fine && atoi(words[3]))
        compare_rows(pending_name, pending, atoi(words[2]), atoi(words[3]), words + 4,
                     pending_binary);
    PQclear(pending);
    pending = NULL;
}

static void
put_row(void)
{
    char sql[4096];
    const char *values[256];
    PGconn *const conn = session(SESSIONS_MAX - 1, "ledger");
    int size = snprintf(sql, sizeof sql, "INSERT INTO \"%s\" VALUES (", words[2]);
    for (int i = 3; i < word_count; i++) {
        values[i - 3] = words[i][0] == '-' ? NULL : (unhex(words[i]), words[i] + 1);
        size += snprintf(sql + size, sizeof sql - (size_t)size, i > 3 ? ", $%d" : "$%d", i - 2);
    }
    snprintf(sql + size, sizeof sql - (size_t)size, ")");
    PGresult *r = PQexecParams(conn, sql, word_count - 3, NULL, values, NULL, NULL, 0);
    if (PQresultStatus(r) != PGRES_COMMAND_OK) differ("a row at first", "", PQerrorMessage(conn));
    PQclear(r);
}

static void
expect_row(void)
{
    char *line = NULL;
    for (int i = 1; i < word_count; i++)
        append(&line, words[i]);
    if (expected_count == ROWS_MAX) abort();
    expected[expected_count++] = line;
}

/* What differs by name: columns of their own order, or of clocks. */
static const char *
columns_of(const char *table)
{
    static const char *const own[][2] = {
        {"idempotency", "merchant, key, request_hash, path, command, request, status, body, told"},
        {"event", "sequence, id, merchant, type, object, packed, created, api_version,"
                  " request, key, nth, first"},
        {"ledger_transaction", "id, merchant, kind, source, created"},
        {"entry", "transaction, line, account, merchant, currency, amount"},
        {"balance", "merchant, account, currency, amount"},
        {"slot", "slot, epoch, owner, incarnation"},
        {"ledger_leader", "epoch, holder, last_batch, event_head, transaction_head, open_until"},
    };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcmp(own[i][0], table) == 0) return own[i][1];
    return "*";
}

static void
compare_table(const char *table, size_t first, size_t end)
{
    char sql[512];
    PGconn *const conn = session(SESSIONS_MAX - 2, "auditor");
    snprintf(sql, sizeof sql, "SELECT %s FROM \"%s\"", columns_of(table), table);
    PGresult *r = PQexec(conn, sql);
    const int columns = PQnfields(r);
    char **const cells = calloc((end - first) * (size_t)columns + 1, sizeof *cells);
    size_t count = 0;
    for (size_t i = first; i < end; i++) {
        strtok(expected[i], " "); /* the table */
        for (char *cell; (cell = strtok(NULL, " "));)
            if (count < (end - first) * (size_t)columns) cells[count++] = cell;
    }
    if (count != (end - first) * (size_t)columns)
        differ(table, "other columns", PQresultErrorMessage(r));
    else
        compare_rows(table, r, (int)(end - first), columns, cells, false);
    free(cells);
    PQclear(r);
}

static void
compare_tables(void)
{
    qsort(expected, expected_count, sizeof *expected, compare_lines);
    for (size_t first = 0, end; first < expected_count; first = end) {
        char table[64];
        sscanf(expected[first], " %63s", table);
        const size_t size = strlen(table) + 1;
        for (end = first; end < expected_count &&
                          strncmp(expected[end] + 1, table, size - 1) == 0 &&
                          expected[end][size] == ' ';)
            end++;
        compare_table(table, first, end);
    }
}

/* A session that ends lets go of its locks when its backend does, some moments after its client:
 * the one in memory does so at once. */
static void
end_session(int number)
{
    char question[80];
    snprintf(question, sizeof question, "SELECT 1 FROM pg_stat_activity WHERE pid = %d",
             PQbackendPID(sessions[number]));
    PQfinish(sessions[number]);
    sessions[number] = NULL;
    for (bool there = true; there;) {
        PGresult *result = PQexec(session(SESSIONS_MAX - 2, "auditor"), question);
        there = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0;
        PQclear(result);
    }
}

static void
replay(FILE *in)
{
    char *line = NULL;
    size_t cap = 0;
    line_number = 0;
    while (getline(&line, &cap, in) > 0) {
        line_number++;
        split(line);
        switch (words[0][0]) {
        case 'B': put_row(); break;
        case 'P':
            unhex(words[4]);
            PQclear(PQprepare(session(atoi(words[1]), words[2]), words[3], words[4] + 1, 0, NULL));
            break;
        case 'X':
            unhex(words[3]);
            PQclear(PQexec(session(atoi(words[1]), words[2]), words[3] + 1));
            break;
        case 'E': say_statement(); break;
        case 'R': compare_answer(); break;
        case 'C': end_session(atoi(words[1])); break;
        case 'T': expect_row(); break;
        default: abort();
        }
    }
    compare_tables();
    free(line);
    for (; expected_count; expected_count--)
        free(expected[expected_count - 1]);
    for (int i = 0; i < SESSIONS_MAX; i++) {
        PQfinish(sessions[i]);
        sessions[i] = NULL;
    }
}

int
main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr,
                "sim-replay FILE…: what florin-sim --seed S --statements FILE has written.\n");
        return 2;
    }
    postgres_start();
    for (int i = 1; i < argc; i++) {
        FILE *const in = fopen(argv[i], "r");
        if (!in) {
            fprintf(stderr, "sim-replay: %s cannot be read.\n", argv[i]);
            return 2;
        }
        const unsigned long before = differences;
        postgres_fresh();
        replay(in);
        fclose(in);
        if (differences > before) printf("%s: %lu differences\n", argv[i], differences - before);
    }
    printf("%lu statements, %lu rows compared, %lu differences\n", statements_said, rows_compared,
           differences);
    postgres_stop();
    return differences ? 1 : 0;
}
