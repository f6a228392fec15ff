/* SPDX-License-Identifier: Apache-2.0 */
#include "app/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "config.h"
#include "db/db.h"
#include "kernels/cpu.h"

static double
seconds_now(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

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
        .started = seconds_now(CLOCK_REALTIME),
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
    *r = (struct qs_record){.run = run, .opened = o, .begun = seconds_now(CLOCK_MONOTONIC)};
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

enum qs_err
qs_record_end(struct qs_ctx *cx, struct qs_record *r, enum qs_err err)
{
    char message[sizeof(cx->message)];
    snprintf(message, sizeof(message), "%s", err ? qs_message(cx) : "");
    free(r->run->state);
    free(r->run->message);
    r->run->state = qs_xstrdup(!err ? "done" : err == QS_ERR_CANCELLED ? "cancelled" : "failed");
    r->run->message = qs_xstrdup(message);
    r->run->seconds = seconds_now(CLOCK_MONOTONIC) - r->begun;
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
