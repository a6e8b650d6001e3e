/* log: events with keys, a line each, to standard error:
 *
 *   2026-11-22T21:17:00.123Z ledger-1 info batch.committed commands=12 ms=3
 *
 * The supervisor gives each process a file for it. Values are quoted when they need it, and a run
 * of 12 to 19 digits that could be a card number is masked whatever its key (invariant 8). */
#pragma once

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

void log_start(const char *process_name, enum log_level least);
/* `event` is two words with a dot; `format` makes "key=value key=value". */
void log_event(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* One plain sentence on standard error for the operator, then exit(1). */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
