/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "db/db.h"
#include "db/internal.h"

static const struct qs_db_column columns[] = {
    QS_DB_COLUMN(qs_db_model, digest, TEXT),    QS_DB_COLUMN(qs_db_model, path, TEXT),
    QS_DB_COLUMN(qs_db_model, format, TEXT),    QS_DB_COLUMN(qs_db_model, bytes, INT64),
    QS_DB_COLUMN(qs_db_model, last_seen, REAL),
};
enum { N = QS_LEN(columns) };

enum qs_err
qs_db_model_put(struct qs_ctx *cx, struct qs_db *db, const struct qs_db_model *model)
{
    sqlite3_stmt *stmt = NULL;
    struct qs_str sql;
    qs_str_init(&sql);
    qs_str_add(&sql, "INSERT INTO model (");
    qs_db_names(&sql, columns, N);
    qs_str_add(&sql, ") VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (digest) DO UPDATE SET"
                     " path = excluded.path, bytes = excluded.bytes,"
                     " format = iif(excluded.format = '', format, excluded.format),"
                     " last_seen = max(last_seen, excluded.last_seen)");
    enum qs_err err = qs_db_prepare(cx, db, sql.s, &stmt);
    if (!err) {
        qs_db_bind(stmt, 1, columns, N, model);
        err = qs_db_step(cx, db, stmt, NULL);
    }
    sqlite3_finalize(stmt);
    qs_str_release(&sql);
    return err;
}

enum qs_err
qs_db_model_seen(struct qs_ctx *cx, struct qs_db *db, const struct qs_db_model *model)
{
    const enum qs_err err = qs_db_begin(cx, db, true);
    return err ? err : qs_db_finish(cx, db, qs_db_model_put(cx, db, model));
}

static void
release(struct qs_db_model *model)
{
    free(model->path);
    free(model->digest);
    free(model->format);
}

void
qs_db_models_free(struct qs_db_model *model, int n)
{
    for (int i = 0; i < n; i++)
        release(&model[i]);
    free(model);
}

static int
latest_first(const void *a, const void *b)
{
    const struct qs_db_model *x = a, *y = b;
    if (x->last_seen != y->last_seen)
        return x->last_seen < y->last_seen ? 1 : -1;
    return strcmp(x->digest, y->digest);
}

/* Rows come by digest; one that does not follow the last comes from a damaged tree. */
static enum qs_err
read_model(struct qs_ctx *cx, struct qs_db *db, sqlite3_stmt *stmt, const struct qs_db_model *last,
           struct qs_db_model *out)
{
    *out = (struct qs_db_model){0};
    const char *bad = qs_db_read(db, stmt, 0, columns, N, out);
    const int64_t runs = sqlite3_column_int64(stmt, N);
    out->n_runs = runs < 0 || runs > INT_MAX ? 0 : (int)runs;
    if (!bad && last && strcmp(last->digest, out->digest) >= 0)
        bad = "digest";
    const enum qs_err err =
        bad ? qs_db_damaged(cx, db, "a model cannot be read") : qs_db_check_cost(cx, db);
    if (err)
        release(out);
    return err;
}

static enum qs_err
read_models(struct qs_ctx *cx, struct qs_db *db, sqlite3_stmt *stmt, struct qs_db_model **out,
            int *n)
{
    int cap = 0;
    bool row = false;
    enum qs_err err;
    while (!(err = qs_db_step(cx, db, stmt, &row)) && row) {
        if (*n == cap)
            *out = qs_xrealloc(*out, (size_t)(cap = cap ? 2 * cap : 16) * sizeof(**out));
        err = read_model(cx, db, stmt, *n ? &(*out)[*n - 1] : NULL, &(*out)[*n]);
        if (err)
            break;
        ++*n;
    }
    return err;
}

enum qs_err
qs_db_models(struct qs_ctx *cx, struct qs_db *db, struct qs_db_model **out, int *n)
{
    sqlite3_stmt *stmt = NULL;
    struct qs_str sql;
    *out = NULL;
    *n = 0;
    enum qs_err err = qs_db_begin(cx, db, false);
    if (err)
        return err;
    qs_str_init(&sql);
    qs_str_add(&sql, "SELECT ");
    qs_db_names(&sql, columns, N);
    qs_str_add(&sql, ", (SELECT count(*) FROM run WHERE model_digest = digest)"
                     " FROM model ORDER BY digest");
    err = qs_db_prepare(cx, db, sql.s, &stmt);
    if (!err)
        err = read_models(cx, db, stmt, out, n);
    sqlite3_finalize(stmt);
    qs_str_release(&sql);
    err = qs_db_finish(cx, db, err);
    if (err) {
        qs_db_models_free(*out, *n);
        *out = NULL;
        *n = 0;
    } else if (*n) {
        qsort(*out, (size_t)*n, sizeof(**out), latest_first);
    }
    return err;
}
