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

/* Opens and migrates; makes file and folders when missing. A newer schema, the database of another
 * program and what is not a regular file are refused and left as they are. Where nothing can be
 * written the store is opened for reading. */
enum qs_err qs_db_open(struct qs_ctx *cx, const char *path, struct qs_db **out) QS_MUST_CHECK;
void qs_db_close(struct qs_db *db); /* NULL is fine */

/* Inserts a run in state "running" (without layers, metrics, files) and sets run->id; run->state is
 * not looked at, the digest of the model may still be missing. A run left in that state by a
 * process that died, or that closed the store, is read as "interrupted". */
enum qs_err qs_db_run_begin(struct qs_ctx *cx, struct qs_db *db, struct qs_run *run) QS_MUST_CHECK;
/* Everything else of the run, and its final state, in one transaction; a run that is done loses its
 * checkpoints. A tag given to the run in
 * the meantime stays unless run->tag says another. QS_ERR_NOT_FOUND: it was removed or ended. */
enum qs_err qs_db_run_end(struct qs_ctx *cx, struct qs_db *db,
                          const struct qs_run *run) QS_MUST_CHECK;

/* Takes up a run that was cancelled, failed or was interrupted: it is "running" again, without the
 * layers, metrics and other rows it had. QS_ERR_NOT_FOUND; QS_ERR_DB when it is done or really
 * running. */
enum qs_err qs_db_run_resume(struct qs_ctx *cx, struct qs_db *db, int64_t id) QS_MUST_CHECK;

/* What a run goes on from when it is taken up: any bytes under a number. A run that is done loses
 * them. */
enum qs_err qs_db_checkpoint_put(struct qs_ctx *cx, struct qs_db *db, int64_t run, int position,
                                 const void *data, size_t n) QS_MUST_CHECK;
/* malloc; QS_ERR_NOT_FOUND when there is none. */
enum qs_err qs_db_checkpoint_get(struct qs_ctx *cx, struct qs_db *db, int64_t run, int position,
                                 uint8_t **data, size_t *n) QS_MUST_CHECK;

/* All runs, newest first, with metrics; `model_digest` NULL: of all models. Strings read from the
 * store are never NULL. A damaged row is left out, with a warning. */
enum qs_err qs_db_runs(struct qs_ctx *cx, struct qs_db *db, const char *model_digest,
                       struct qs_runs *out) QS_MUST_CHECK;
/* One run with layers, metrics, files and the rest; QS_ERR_NOT_FOUND. */
enum qs_err qs_db_run(struct qs_ctx *cx, struct qs_db *db, int64_t id,
                      struct qs_run *out) QS_MUST_CHECK;
/* The newest run of a model that is done and has activations, like qs_db_run; id 0: there is none.
 */
enum qs_err qs_db_run_calibrated(struct qs_ctx *cx, struct qs_db *db, const char *model_digest,
                                 struct qs_run *out) QS_MUST_CHECK;
/* NULL or "" takes the tag away. */
enum qs_err qs_db_run_tag(struct qs_ctx *cx, struct qs_db *db, int64_t id,
                          const char *tag) QS_MUST_CHECK;
/* A run that is really running is not removed. */
enum qs_err qs_db_run_remove(struct qs_ctx *cx, struct qs_db *db, int64_t id) QS_MUST_CHECK;

/* Models the store has seen. */
struct qs_db_model {
    char *path, *digest, *format;
    int64_t bytes;
    int n_runs;
    double last_seen; /* seconds since 1970 */
};
/* Notes a model by its digest; n_runs is not looked at. Runs note theirs, without the format. */
enum qs_err qs_db_model_seen(struct qs_ctx *cx, struct qs_db *db,
                             const struct qs_db_model *model) QS_MUST_CHECK;
/* Latest first. */
enum qs_err qs_db_models(struct qs_ctx *cx, struct qs_db *db, struct qs_db_model **out,
                         int *n) QS_MUST_CHECK;
void qs_db_models_free(struct qs_db_model *model, int n);

#endif
