/* SPDX-License-Identifier: Apache-2.0 */
/* A run that is being recorded: what every kind of run notes, and its row in the store. Trouble
 * with the store is a warning: it never costs the user the result. */
#ifndef QS_APP_RECORD_H
#define QS_APP_RECORD_H

#include "app/app.h"

struct qs_db;

struct qs_record {
    struct qs_run *run; /* owned by the caller */
    const struct qs_opened *opened;
    struct qs_db *db; /* NULL: not stored */
    double begun;     /* monotonic seconds */
    bool warned;      /* that a checkpoint could not be stored */
};

/* Fills the run: kind, model with its digest, machine, start; everything else is empty text or
 * zero, for the caller to set before it is stored. */
enum qs_err qs_record_begin(struct qs_ctx *cx, struct qs_record *r, struct qs_run *run,
                            const char *kind, const struct qs_opened *o) QS_MUST_CHECK;
/* Takes up run `id` of that kind and model from the store: fills *run as it is stored, without its
 * rows. Here trouble with the store is an error. */
enum qs_err qs_record_resume(struct qs_ctx *cx, struct qs_record *r, struct qs_run *run,
                             const char *kind, const struct qs_opened *o, const char *path,
                             int64_t id) QS_MUST_CHECK;
/* Keeps what the run can go on from, when it is stored. */
void qs_record_checkpoint(struct qs_ctx *cx, struct qs_record *r, const void *data, size_t n);
/* malloc; NULL: none. */
enum qs_err qs_record_last_checkpoint(struct qs_ctx *cx, struct qs_record *r, uint8_t **data,
                                      size_t *n) QS_MUST_CHECK;
/* Begins the run in the store at `path` (NULL: the default). */
void qs_record_store(struct qs_ctx *cx, struct qs_record *r, const char *path);
/* Ends the run with the state that `err` (recorded in cx, and still so afterwards) means; sets its
 * seconds. Returns err. */
enum qs_err qs_record_end(struct qs_ctx *cx, struct qs_record *r, enum qs_err err);

/* The digest that qs_app_digest gives once a model is opened whose parameters are those of m and
 * whose program is the file. */
enum qs_err qs_digest_model(struct qs_ctx *cx, const struct qs_model *m, const char *program_path,
                            char hex[QS_DIGEST_HEX]) QS_MUST_CHECK;

#endif
