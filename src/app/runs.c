/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/str.h"
#include "db/db.h"

static enum qs_err
open_store(struct qs_ctx *cx, const char *path, struct qs_db **db)
{
    char *p = path ? qs_xstrdup(path) : qs_db_default_path();
    const enum qs_err err = qs_db_open(cx, p, db);
    free(p);
    return err;
}

enum qs_err
qs_app_runs(struct qs_ctx *cx, const char *path, struct qs_runs *out)
{
    struct qs_db *db = NULL;
    enum qs_err err = open_store(cx, path, &db);
    if (!err)
        err = qs_db_runs(cx, db, NULL, out);
    qs_db_close(db);
    return err;
}

enum qs_err
qs_app_run(struct qs_ctx *cx, const char *path, int64_t id, struct qs_run *out)
{
    struct qs_db *db = NULL;
    enum qs_err err = open_store(cx, path, &db);
    if (!err)
        err = qs_db_run(cx, db, id, out);
    qs_db_close(db);
    return err;
}

/* The digest reads every byte of the model: only when there is a store to ask. */
enum qs_err
qs_app_seen(struct qs_ctx *cx, const char *path, const struct qs_opened *o, struct qs_run *out)
{
    char hex[QS_DIGEST_HEX], *p = path ? qs_xstrdup(path) : qs_db_default_path();
    struct qs_db *db = NULL;
    *out = (struct qs_run){0};
    enum qs_err err = qs_exists(p) ? qs_app_digest(cx, o, hex) : QS_OK;
    if (!err && qs_exists(p))
        err = qs_db_open(cx, p, &db);
    if (!err && db)
        err = qs_db_run_calibrated(cx, db, hex, out);
    qs_db_close(db);
    free(p);
    return err;
}

enum qs_err
qs_app_run_tag(struct qs_ctx *cx, const char *path, int64_t id, const char *tag)
{
    struct qs_db *db = NULL;
    enum qs_err err = open_store(cx, path, &db);
    if (!err)
        err = qs_db_run_tag(cx, db, id, tag);
    qs_db_close(db);
    return err;
}

enum qs_err
qs_app_run_remove(struct qs_ctx *cx, const char *path, int64_t id)
{
    struct qs_db *db = NULL;
    enum qs_err err = open_store(cx, path, &db);
    if (!err)
        err = qs_db_run_remove(cx, db, id);
    qs_db_close(db);
    return err;
}

/* Plans differ in the values of their options; rules are compared as one list. */
static void
add_difference(const struct qs_opt *opt, const struct qs_plan *a, const struct qs_plan *b,
               struct qs_str *out)
{
    struct qs_str x, y;
    qs_str_init(&x);
    qs_str_init(&y);
    qs_opt_print(opt, a, &x);
    qs_opt_print(opt, b, &y);
    if (strcmp(x.s, y.s) != 0)
        qs_str_printf(out, "%s: %s -> %s\n", opt->name, *x.s ? x.s : "-", *y.s ? y.s : "-");
    qs_str_release(&x);
    qs_str_release(&y);
}

char *
qs_app_plan_diff(const char *a, const char *b)
{
    struct qs_plan x, y;
    struct qs_ctx cx;
    struct qs_str out;
    qs_ctx_init(&cx);
    qs_str_init(&out);
    qs_plan_init(&x);
    qs_plan_init(&y);
    if (qs_plan_parse(&cx, a, "a", &x) != QS_OK || qs_plan_parse(&cx, b, "b", &y) != QS_OK)
        qs_str_printf(&out, "%s\n", qs_message(&cx));
    else
        for (int i = 0; i < qs_n_plan_opts; i++)
            add_difference(&qs_plan_opts[i], &x, &y, &out);
    qs_plan_release(&x);
    qs_plan_release(&y);
    return qs_str_take(&out);
}
