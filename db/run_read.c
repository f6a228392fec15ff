/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "db/db.h"
#include "db/run_tables.h"

static int *
count_of(struct qs_run *run, const struct qs_db_part *part)
{
    return (int *)((char *)run + part->at_n);
}

static void **
array_of(struct qs_run *run, const struct qs_db_part *part)
{
    return (void **)((char *)run + part->at);
}

/* Room for element n of an array that starts with `first` and doubles. */
static void *
grow(void *array, int n, int first, size_t size)
{
    if (n == 0)
        return qs_xrealloc(array, (size_t)first * size);
    if (n >= first && (n & (n - 1)) == 0)
        return qs_xrealloc(array, 2 * (size_t)n * size);
    return array;
}

/* One more element, cleared. */
static void *
append(struct qs_run *run, const struct qs_db_part *part)
{
    int *n = count_of(run, part);
    void **array = array_of(run, part);
    *array = grow(*array, *n, 4, part->size);
    void *element = (char *)*array + (size_t)*n * part->size;
    memset(element, 0, part->size);
    ++*n;
    return element;
}

static enum qs_err
damaged_run(struct qs_ctx *cx, struct qs_db *db, int64_t id, const char *table, const char *column)
{
    return qs_fail(cx, QS_ERR_DB, _("run store '%s' is damaged: run %lld: bad '%s' in table '%s'"),
                   db->path, (long long)id, column, table);
}

/* A statement "SELECT <keys>, <columns> FROM <table> <rest>". */
static enum qs_err
prepare_select(struct qs_ctx *cx, struct qs_db *db, const char *keys, const char *table,
               const struct qs_db_column *column, int n, const char *rest, sqlite3_stmt **out)
{
    struct qs_str sql;
    qs_str_init(&sql);
    qs_str_printf(&sql, "SELECT %s, ", keys);
    qs_db_names(&sql, column, n);
    qs_str_printf(&sql, " FROM %s %s", table, rest);
    const enum qs_err err = qs_db_prepare(cx, db, sql.s, out);
    qs_str_release(&sql);
    return err;
}

static enum qs_err
prepare_runs(struct qs_ctx *cx, struct qs_db *db, const char *rest, sqlite3_stmt **out)
{
    return prepare_select(cx, db, "id", "run", qs_db_run_column, QS_DB_N_RUN, rest, out);
}

/* Reads the row of a run; *bad names the column that cannot be read, NULL: none. */
static enum qs_err
read_run_row(struct qs_ctx *cx, struct qs_db *db, sqlite3_stmt *stmt, struct qs_run *run,
             const char **bad)
{
    *run = (struct qs_run){.id = sqlite3_column_int64(stmt, 0)};
    *bad = qs_db_read(db, stmt, 1, qs_db_run_column, QS_DB_N_RUN, run);
    return qs_db_check_cost(cx, db);
}

/* All rows of one part of one run; they must be numbered 0, 1, ... */
static enum qs_err
load_part(struct qs_ctx *cx, struct qs_db *db, const struct qs_db_part *part, struct qs_run *run)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum qs_err err = prepare_select(cx, db, "position", part->table, part->column, part->n_column,
                                     "WHERE run = ?1 ORDER BY position", &stmt);
    if (!err)
        sqlite3_bind_int64(stmt, 1, run->id);
    while (!err && !(err = qs_db_step(cx, db, stmt, &row)) && row) {
        const char *bad =
            sqlite3_column_int64(stmt, 0) != *count_of(run, part)
                ? "position"
                : qs_db_read(db, stmt, 1, part->column, part->n_column, append(run, part));
        err = bad ? damaged_run(cx, db, run->id, part->table, bad) : qs_db_check_cost(cx, db);
    }
    sqlite3_finalize(stmt);
    return err;
}

/* The first `n_parts` of qs_db_parts[] and the row itself, inside a transaction. */
static enum qs_err
load_run(struct qs_ctx *cx, struct qs_db *db, int64_t id, int n_parts, struct qs_run *run)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    const char *bad = NULL;
    enum qs_err err = prepare_runs(cx, db, "WHERE id = ?1", &stmt);
    if (!err) {
        sqlite3_bind_int64(stmt, 1, id);
        err = qs_db_step(cx, db, stmt, &row);
    }
    if (!err)
        err = row ? read_run_row(cx, db, stmt, run, &bad) : qs_db_no_run(cx, db, id);
    if (!err && bad)
        err = damaged_run(cx, db, id, "run", bad);
    sqlite3_finalize(stmt);
    for (int i = 0; i < n_parts && !err; i++)
        err = load_part(cx, db, &qs_db_parts[i], run);
    return err;
}

static enum qs_err
load_run_alone(struct qs_ctx *cx, struct qs_db *db, int64_t id, int n_parts, struct qs_run *run)
{
    *run = (struct qs_run){0};
    enum qs_err err = qs_db_begin(cx, db, false);
    if (!err)
        err = qs_db_finish(cx, db, load_run(cx, db, id, n_parts, run));
    if (err)
        qs_run_release(run);
    return err;
}

static bool
is_running(const struct qs_run *run)
{
    return strcmp(run->state, "running") == 0;
}

/* For a run read as running whose process was found gone since. The process may have ended the
 * run in between, so the row read now decides: a final state is there before the lock goes. */
static enum qs_err
settle(struct qs_ctx *cx, struct qs_db *db, int n_parts, struct qs_run *run)
{
    struct qs_run now;
    struct qs_ctx quiet;
    qs_ctx_init_child(&quiet, cx);
    const enum qs_err err = load_run_alone(&quiet, db, run->id, n_parts, &now);
    if (err && err != QS_ERR_NOT_FOUND)
        return qs_fail(cx, err, "%s", qs_message(&quiet));
    if (!err) {
        qs_run_release(run);
        *run = now;
    }
    if (is_running(run)) {
        free(run->state);
        run->state = qs_xstrdup(N_("interrupted"));
    }
    return QS_OK;
}

enum qs_err
qs_db_run(struct qs_ctx *cx, struct qs_db *db, int64_t id, struct qs_run *out)
{
    enum qs_err err = load_run_alone(cx, db, id, QS_DB_N_PARTS, out);
    if (!err && is_running(out) && qs_db_is_dead(db, id))
        err = settle(cx, db, QS_DB_N_PARTS, out);
    if (err)
        qs_run_release(out);
    return err;
}

enum qs_err
qs_db_run_calibrated(struct qs_ctx *cx, struct qs_db *db, const char *model_digest,
                     struct qs_run *out)
{
    static const char newest[] =
        "SELECT id FROM run WHERE model_digest = ?1 AND state = 'done' AND EXISTS "
        "(SELECT 1 FROM activation WHERE activation.run = run.id) ORDER BY id DESC LIMIT 1";
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    *out = (struct qs_run){0};
    enum qs_err err = qs_db_prepare(cx, db, newest, &stmt);
    if (!err) {
        sqlite3_bind_text(stmt, 1, model_digest, -1, SQLITE_STATIC);
        err = qs_db_step(cx, db, stmt, &row);
    }
    const int64_t id = !err && row ? sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    return err || !row ? err : qs_db_run(cx, db, id, out);
}

static enum qs_err
list_runs(struct qs_ctx *cx, struct qs_db *db, const char *digest, struct qs_runs *out,
          int *n_damaged)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    int64_t last = INT64_MAX;
    enum qs_err err = prepare_runs(
        cx, db, digest ? "WHERE model_digest = ?1 ORDER BY id DESC" : "ORDER BY id DESC", &stmt);
    if (!err && digest)
        sqlite3_bind_text(stmt, 1, digest, -1, SQLITE_STATIC);
    while (!err && !(err = qs_db_step(cx, db, stmt, &row)) && row) {
        const char *bad = NULL;
        out->run = grow(out->run, out->n, 64, sizeof(*out->run));
        struct qs_run *run = &out->run[out->n];
        err = read_run_row(cx, db, stmt, run, &bad);
        if (!err && run->id >= last && last != INT64_MAX)
            err = qs_db_damaged(cx, db, "runs are out of order");
        last = run->id;
        if (err || bad)
            qs_run_release(run);
        else
            out->n++;
        *n_damaged += bad != NULL;
    }
    sqlite3_finalize(stmt);
    return err;
}

/* Reads a row of the metric table into the run; one that cannot be read is left out. */
static enum qs_err
read_metric(struct qs_ctx *cx, struct qs_db *db, sqlite3_stmt *stmt, struct qs_run *run,
            int *n_damaged)
{
    const struct qs_db_part *part = &qs_db_parts[QS_DB_METRICS];
    struct qs_run_metric *metric = append(run, part);
    if (qs_db_read(db, stmt, 2, part->column, part->n_column, metric)) {
        free(metric->name);
        run->n_metric--;
        ++*n_damaged;
    }
    return qs_db_check_cost(cx, db);
}

/* Deals the rows of the metric table, which come by run upwards, to the runs, listed downwards. */
static enum qs_err
deal_metrics(struct qs_ctx *cx, struct qs_db *db, sqlite3_stmt *stmt, struct qs_runs *out,
             int *n_damaged)
{
    int at = out->n - 1;
    int64_t last_run = INT64_MIN, last_position = 0;
    bool row = false;
    enum qs_err err;
    while (!(err = qs_db_step(cx, db, stmt, &row)) && row) {
        const int64_t run = sqlite3_column_int64(stmt, 0), position = sqlite3_column_int64(stmt, 1);
        if (run < last_run || (run == last_run && position <= last_position))
            return qs_db_damaged(cx, db, "metrics are out of order");
        last_run = run;
        last_position = position;
        while (at >= 0 && out->run[at].id < run)
            at--;
        if (at >= 0 && out->run[at].id == run)
            err = read_metric(cx, db, stmt, &out->run[at], n_damaged);
        if (err)
            return err;
    }
    return err;
}

static enum qs_err
list_metrics(struct qs_ctx *cx, struct qs_db *db, const char *digest, struct qs_runs *out,
             int *n_damaged)
{
    const struct qs_db_part *part = &qs_db_parts[QS_DB_METRICS];
    sqlite3_stmt *stmt = NULL;
    enum qs_err err = prepare_select(
        cx, db, "run, position", part->table, part->column, part->n_column,
        digest ? "WHERE run IN (SELECT id FROM run WHERE model_digest = ?1) ORDER BY run, position"
               : "ORDER BY run, position",
        &stmt);
    if (!err && digest)
        sqlite3_bind_text(stmt, 1, digest, -1, SQLITE_STATIC);
    if (!err)
        err = deal_metrics(cx, db, stmt, out, n_damaged);
    sqlite3_finalize(stmt);
    return err;
}

static enum qs_err
settle_list(struct qs_ctx *cx, struct qs_db *db, struct qs_runs *out)
{
    enum qs_err err = QS_OK;
    for (int i = 0; i < out->n && !err; i++)
        if (is_running(&out->run[i]) && qs_db_is_dead(db, out->run[i].id))
            err = settle(cx, db, QS_DB_METRICS + 1, &out->run[i]);
    return err;
}

enum qs_err
qs_db_runs(struct qs_ctx *cx, struct qs_db *db, const char *model_digest, struct qs_runs *out)
{
    int n_damaged = 0;
    *out = (struct qs_runs){0};
    enum qs_err err = qs_db_begin(cx, db, false);
    if (err)
        return err;
    err = list_runs(cx, db, model_digest, out, &n_damaged);
    if (!err)
        err = list_metrics(cx, db, model_digest, out, &n_damaged);
    err = qs_db_finish(cx, db, err);
    if (!err)
        err = settle_list(cx, db, out);
    if (!err && n_damaged)
        qs_warn(cx, _("run store '%s': %d damaged rows are left out"), db->path, n_damaged);
    if (err)
        qs_runs_release(out);
    return err;
}
