/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the run store share: a folder for each test, runs to store, and eyes that look
 * at the file past our code. */
#ifndef QS_TESTS_DB_FIXTURE_H
#define QS_TESTS_DB_FIXTURE_H

#include <sys/types.h>

#include "base/mem.h"
#include "db/db.h"
#include "db/internal.h"

#define DB_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#define assert_done(cx, call)                          \
    do {                                               \
        if ((call) != QS_OK)                           \
            fail_msg("%s: %s", #call, qs_message(cx)); \
    } while (0)

extern char folder[128]; /* of the running test */
int setup(void **state);
int teardown(void **state);
/* Path in the folder of the test; static, a few at a time. */
const char *at(const char *name);

/* Starts the context, too. */
struct qs_db *open_store(struct qs_ctx *cx, const char *path);
/* Opens, stores some runs, closes. */
void make_store(const char *path, int n_runs);
void remove_store(const char *path);
void assert_refused(struct qs_ctx *cx, const char *path, const char *words);
/* ... and the file is as it was. */
void assert_refused_unchanged(const char *path, const char *words);
/* Whatever happened: the store opens, and a run that looks finished is whole. */
void assert_sound(const char *path, int most);

/* Whole files, up to 1 MiB; malloc. */
void copy_bytes(const char *path, char **out, size_t *n);
void write_bytes(const char *path, const char *p, size_t n);

/* A connection of someone else. */
sqlite3 *raw_open(const char *path);
void raw_exec(sqlite3 *sql, const char *text);
void raw(const char *path, const char *text);
/* All rows and columns as text, one row a line; malloc. */
char *raw_text(const char *path, const char *query);
void assert_text(const char *path, const char *query, const char *expected);

/* Runs `work` in a child. Returns its exit status, or -1 when it was killed by SIGKILL. Children
 * leave with _exit: they report by status, and cmocka belongs to the parent. */
int in_child(int (*work)(void));
enum { FINE = 0, REPORTED = 3, WRONG = 4 };
/* Whether the store said in a sentence what is wrong. */
int report(struct qs_ctx *cx);
/* Stores a run in runs.db. */
int store_in_child(void);

/* db_records.c: a run without anything owned, only for the writing functions; how it ends, with
 * some of everything. */
enum { N_LAYER = 5 };
struct qs_run some_run(void);
void finish_run(struct qs_run *run);
/* Both at once; its number. */
int64_t store_run(struct qs_ctx *cx, struct qs_db *db);
/* The run alone; a list of its parts; all. */
void assert_same_run(const struct qs_run *a, const struct qs_run *b);
void assert_same_metrics(const struct qs_run *a, const struct qs_run *b);
void assert_same_sensitivity(const struct qs_run *a, const struct qs_run *b);
void assert_same_whole_run(const struct qs_run *a, const struct qs_run *b);

#endif
