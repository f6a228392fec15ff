/* SPDX-License-Identifier: Apache-2.0 */
#include "app/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "config.h"
#include "db/db.h"
#include "kernels/cpu.h"

static void
describe(const struct qs_ctx *cx, struct qs_run *run, const char *kind, const struct qs_opened *o,
         const char *digest)
{
    const int64_t bytes = o->model->program_bytes + o->model->params_bytes;
    *run = (struct qs_run){
        .kind = qs_xstrdup(kind),
        .state = qs_xstrdup("running"),
        .model_path = qs_xstrdup(o->path),
        .model_digest = qs_xstrdup(digest),
        .model_bytes = bytes,
        .plan = qs_xstrdup(""),
        .method = qs_xstrdup(kind),
        .version = qs_xstrdup(PACKAGE_VERSION),
        .machine = qs_xstrdup(qk_cpu_model()),
        .isa = qs_xstrdup(qk_cpu_name()),
        .threads = cx->threads,
        .started = qs_clock_seconds(CLOCK_REALTIME),
        .bytes_before = bytes,
        .bytes_after = bytes,
        .output = qs_xstrdup(""),
        .tag = qs_xstrdup(""),
        .message = qs_xstrdup(""),
        .output_digest = qs_xstrdup(""),
    };
}

static void
give_up_store(struct qs_ctx *cx, struct qs_record *r)
{
    qs_warn(cx, _("this run is not stored: %s"), qs_message(cx));
    qs_clear(cx);
    qs_db_close(r->db);
    r->db = NULL;
    r->run->id = 0;
}

enum qs_err
qs_record_begin(struct qs_ctx *cx, struct qs_record *r, struct qs_run *run, const char *kind,
                const struct qs_opened *o)
{
    char hex[QS_DIGEST_HEX];
    *r = (struct qs_record){.run = run, .opened = o, .begun = qs_seconds_now()};
    const enum qs_err err = qs_app_digest(cx, o, hex);
    if (!err)
        describe(cx, run, kind, o, hex);
    return err;
}

/* The run alone does not tell the format of its model. */
static enum qs_err
note_model(struct qs_ctx *cx, const struct qs_record *r)
{
    const struct qs_db_model model = {.path = r->run->model_path,
                                      .digest = r->run->model_digest,
                                      .format = (char *)r->opened->model->format,
                                      .bytes = r->run->model_bytes,
                                      .last_seen = r->run->started};
    return qs_db_model_seen(cx, r->db, &model);
}

void
qs_record_store(struct qs_ctx *cx, struct qs_record *r, const char *path)
{
    char *where = path ? qs_xstrdup(path) : qs_db_default_path();
    if (qs_db_open(cx, where, &r->db) != QS_OK || qs_db_run_begin(cx, r->db, r->run) != QS_OK ||
        note_model(cx, r) != QS_OK)
        give_up_store(cx, r);
    free(where);
}

/* The parts of a run that are made anew. */
static void
drop_rows(struct qs_run *run)
{
    struct qs_run rows = {.layer = run->layer,
                          .n_layer = run->n_layer,
                          .metric = run->metric,
                          .n_metric = run->n_metric,
                          .file = run->file,
                          .n_file = run->n_file,
                          .sensitivity = run->sensitivity,
                          .n_sensitivity = run->n_sensitivity,
                          .activation = run->activation,
                          .n_activation = run->n_activation};
    qs_run_release(&rows);
    run->layer = NULL;
    run->metric = NULL;
    run->file = NULL;
    run->sensitivity = NULL;
    run->activation = NULL;
    run->n_layer = run->n_metric = run->n_file = run->n_sensitivity = run->n_activation = 0;
}

static enum qs_err
check_same(struct qs_ctx *cx, const struct qs_run *run, const char *kind, const char *digest,
           const struct qs_opened *o)
{
    if (strcmp(run->kind, kind) != 0)
        return qs_fail(cx, QS_ERR_USAGE, _("run %lld is of kind %s, not %s"), (long long)run->id,
                       run->kind, kind);
    if (strcmp(run->model_digest, digest) != 0)
        return qs_fail(cx, QS_ERR_USAGE, _("run %lld is of '%s', and '%s' is not that model"),
                       (long long)run->id, run->model_path, o->path);
    return QS_OK;
}

enum qs_err
qs_record_resume(struct qs_ctx *cx, struct qs_record *r, struct qs_run *run, const char *kind,
                 const struct qs_opened *o, const char *path, int64_t id)
{
    char hex[QS_DIGEST_HEX];
    char *where = path ? qs_xstrdup(path) : qs_db_default_path();
    *r = (struct qs_record){.run = run, .opened = o, .begun = qs_seconds_now()};
    *run = (struct qs_run){0};
    enum qs_err err = qs_app_digest(cx, o, hex);
    if (!err)
        err = qs_db_open(cx, where, &r->db);
    if (!err)
        err = qs_db_run(cx, r->db, id, run);
    if (!err)
        err = check_same(cx, run, kind, hex, o);
    if (!err)
        err = qs_db_run_resume(cx, r->db, id);
    free(where);
    if (err) {
        qs_db_close(r->db);
        r->db = NULL;
        qs_run_release(run);
        return err;
    }
    drop_rows(run);
    return QS_OK;
}

void
qs_record_checkpoint(struct qs_ctx *cx, struct qs_record *r, const void *data, size_t n)
{
    struct qs_ctx quiet;
    qs_ctx_init_child(&quiet, cx);
    if (r->db && qs_db_checkpoint_put(&quiet, r->db, r->run->id, 0, data, n) != QS_OK && !r->warned)
        qs_warn(cx, _("the state of this run is not stored: %s"), qs_message(&quiet));
    r->warned = r->warned || quiet.err;
}

enum qs_err
qs_record_last_checkpoint(struct qs_ctx *cx, struct qs_record *r, uint8_t **data, size_t *n)
{
    const enum qs_err err = qs_db_checkpoint_get(cx, r->db, r->run->id, 0, data, n);
    if (err != QS_ERR_NOT_FOUND)
        return err;
    qs_clear(cx);
    return QS_OK;
}

enum qs_err
qs_record_end(struct qs_ctx *cx, struct qs_record *r, enum qs_err err)
{
    char message[sizeof(cx->message)];
    snprintf(message, sizeof(message), "%s", err ? qs_message(cx) : "");
    free(r->run->state);
    free(r->run->message);
    r->run->state = qs_xstrdup(!err ? "done" : err == QS_ERR_CANCELLED ? "cancelled" : "failed");
    r->run->message = qs_xstrdup(message);
    r->run->seconds = qs_seconds_now() - r->begun;
    if (r->db) {
        qs_clear(cx);
        if (qs_db_run_end(cx, r->db, r->run) != QS_OK)
            give_up_store(cx, r);
        if (err)
            (void)qs_fail(cx, err, "%s", message);
        qs_db_close(r->db);
        r->db = NULL;
    }
    return err;
}
