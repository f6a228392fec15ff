/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run store: one sqlite file, described in qslim-db(5). STRICT tables, foreign keys, WAL, a
 * busy timeout; the schema version is PRAGMA user_version, raised inside the transaction of each
 * migration step. Errors of the store never end the program: every function returns QS_ERR_DB
 * with one sentence. A store is used from one thread at a time.
 */
#ifndef QS_DB_DB_H
#define QS_DB_DB_H

#include "base/ctx.h"
#include "model/run.h"

struct qs_db;

/* $QSLIM_DB, else $XDG_DATA_HOME/qslim/runs.db, else ~/.local/share/qslim/runs.db; malloc. */
char *qs_db_default_path(void);

/* Opens and migrates; makes file and folders when missing. A newer schema is refused. */
enum qs_err qs_db_open(struct qs_ctx *cx, const char *path, struct qs_db **out) QS_MUST_CHECK;
void qs_db_close(struct qs_db *db); /* NULL is fine */

/* Inserts a run in state "running" (without layers, metrics, files) and sets run->id. A run left
 * in that state by a process that died shows as "interrupted" in lists. */
enum qs_err qs_db_run_begin(struct qs_ctx *cx, struct qs_db *db, struct qs_run *run) QS_MUST_CHECK;
/* Everything else of the run, and its final state, in one transaction. */
enum qs_err qs_db_run_end(struct qs_ctx *cx, struct qs_db *db, const struct qs_run *run) QS_MUST_CHECK;

/* All runs, newest first; `model_digest` NULL: of all models. */
enum qs_err qs_db_runs(struct qs_ctx *cx, struct qs_db *db, const char *model_digest,
                       struct qs_runs *out) QS_MUST_CHECK;
/* One run with layers, metrics and files; QS_ERR_NOT_FOUND. */
enum qs_err qs_db_run(struct qs_ctx *cx, struct qs_db *db, int64_t id,
                      struct qs_run *out) QS_MUST_CHECK;
enum qs_err qs_db_run_tag(struct qs_ctx *cx, struct qs_db *db, int64_t id,
                          const char *tag) QS_MUST_CHECK;
enum qs_err qs_db_run_remove(struct qs_ctx *cx, struct qs_db *db, int64_t id) QS_MUST_CHECK;

/* Models the store has seen. */
struct qs_db_model {
    char *path, *digest, *format;
    int64_t bytes;
    int n_runs;
    double last_seen;
};
enum qs_err qs_db_models(struct qs_ctx *cx, struct qs_db *db, struct qs_db_model **out,
                         int *n) QS_MUST_CHECK;
void qs_db_models_free(struct qs_db_model *model, int n);

#endif
