/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "db/db.h"
#include "db/internal.h"

#define RUN(field, kind) QS_DB_COLUMN(qs_run, field, kind)
static const struct qs_db_column run_column[] = {
    RUN(parent, REF),
    RUN(kind, TEXT),
    RUN(state, TEXT),
    RUN(model_path, TEXT),
    RUN(model_digest, OPTIONAL),
    RUN(model_bytes, INT64),
    RUN(plan, TEXT),
    RUN(method, TEXT),
    RUN(bits, INT),
    RUN(version, TEXT),
    RUN(machine, TEXT),
    RUN(isa, TEXT),
    RUN(threads, INT),
    RUN(started, REAL),
    RUN(seconds, REAL),
    RUN(bytes_before, INT64),
    RUN(bytes_after, INT64),
    RUN(output, TEXT),
    RUN(tag, TEXT),
    RUN(message, TEXT),
    RUN(output_digest, TEXT),
};
#define LAYER(field, kind) QS_DB_COLUMN(qs_run_layer, field, kind)
static const struct qs_db_column layer_column[] = {
    LAYER(weight, TEXT),       LAYER(op_type, TEXT),       LAYER(action, TEXT),
    LAYER(reason, TEXT),       LAYER(bits, INT),           LAYER(scale_count, INT),
    LAYER(sqnr_db, MAYBE),     LAYER(bytes_before, INT64), LAYER(bytes_after, INT64),
    LAYER(scale_bytes, INT64),
};
#define METRIC(field, kind) QS_DB_COLUMN(qs_run_metric, field, kind)
static const struct qs_db_column metric_column[] = {
    METRIC(name, TEXT),
    METRIC(value, MAYBE),
    METRIC(low, MAYBE),
    METRIC(high, MAYBE),
};
#define FILE_(field, kind) QS_DB_COLUMN(qs_file_info, field, kind)
static const struct qs_db_column file_column[] = {
    FILE_(path, TEXT),
    FILE_(bytes, INT64),
    FILE_(sha256, SHA256),
};

#define SENSE(field, kind) QS_DB_COLUMN(qs_run_sensitivity, field, kind)
static const struct qs_db_column sensitivity_column[] = {
    SENSE(weight, TEXT),
    SENSE(op_type, TEXT),
    SENSE(mode, TEXT),
    SENSE(bits, INT),
    SENSE(metric, MAYBE),
    QS_DB_NAMED(qs_run_sensitivity, metric_drop, drop, MAYBE),
    SENSE(others_metric, MAYBE),
    SENSE(others_drop, MAYBE),
    SENSE(cosine, MAYBE),
    SENSE(sqnr_db, MAYBE),
    SENSE(accumulated_db, MAYBE),
    SENSE(weight_db, MAYBE),
    SENSE(bytes_float, INT64),
    SENSE(bytes_quant, INT64),
};
#define SEEN(field, kind) QS_DB_COLUMN(qs_run_activation, field, kind)
static const struct qs_db_column activation_column[] = {
    SEEN(var, TEXT),
    SEEN(op_type, TEXT),
    SEEN(min, MAYBE),
    SEEN(max, MAYBE),
    SEEN(n_samples, INT64),
    SEEN(n_bad, INT64),
    SEEN(algo, TEXT),
    SEEN(threshold, MAYBE),
    SEEN(sqnr_db, MAYBE),
    SEEN(width, MAYBE),
    QS_DB_LIST(qs_run_activation, count, n_bin),
    SEEN(thresholds, TEXT),
};

/* The tables whose rows belong to a run, and where a run has them. */
struct part {
    const char *table;
    const struct qs_db_column *column;
    int n_column;
    size_t size;     /* of an element */
    size_t at, at_n; /* of array and count in struct qs_run */
};
#define PART(name)                                                                        \
    {                                                                                     \
#name, name##_column, QS_LEN(name##_column), sizeof(*((struct qs_run *)0)->name), \
            offsetof(struct qs_run, name), offsetof(struct qs_run, n_##name)              \
    }
static const struct part parts[] = {PART(metric), PART(layer), PART(file), PART(sensitivity),
                                    PART(activation)};
enum { METRICS = 0 };

static int *
count_of(struct qs_run *run, const struct part *part)
{
    return (int *)((char *)run + part->at_n);
}

static void **
array_of(struct qs_run *run, const struct part *part)
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
append(struct qs_run *run, const struct part *part)
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

static enum qs_err
no_run(struct qs_ctx *cx, struct qs_db *db, int64_t id)
{
    return qs_fail(cx, QS_ERR_NOT_FOUND, _("no run %lld in '%s'"), (long long)id, db->path);
}

/* --- writing --------------------------------------------------------------------------------- */

static enum qs_err
put_model(struct qs_ctx *cx, struct qs_db *db, const struct qs_run *run)
{
    if (!run->model_digest || !*run->model_digest)
        return QS_OK;
    const struct qs_db_model model = {.path = run->model_path,
                                      .digest = run->model_digest,
                                      .format = NULL,
                                      .bytes = run->model_bytes,
                                      .last_seen = run->started};
    return qs_db_model_put(cx, db, &model);
}

static void
add_parameters(struct qs_str *sql, int n)
{
    for (int i = 0; i < n; i++)
        qs_str_add(sql, i ? ", ?" : "?");
}

static enum qs_err
insert_run(struct qs_ctx *cx, struct qs_db *db, const struct qs_run *run)
{
    enum { N = QS_LEN(run_column) };
    sqlite3_stmt *stmt = NULL;
    struct qs_str sql;
    qs_str_init(&sql);
    qs_str_add(&sql, "INSERT INTO run (");
    qs_db_names(&sql, run_column, N);
    /* The first is parent, which may have been removed. */
    qs_str_add(&sql, ") VALUES ((SELECT id FROM run WHERE id = ?), ");
    add_parameters(&sql, N - 1);
    qs_str_add(&sql, ")");
    enum qs_err err = qs_db_prepare(cx, db, sql.s, &stmt);
    if (!err) {
        struct qs_run row = *run;
        row.state = (char[]){"running"};
        qs_db_bind(stmt, 1, run_column, N, &row);
        err = qs_db_step(cx, db, stmt, NULL);
    }
    sqlite3_finalize(stmt);
    qs_str_release(&sql);
    return err;
}

/* Writes down what lists find out each time: which runs nobody works on any more. Inside the
 * writing transaction nobody can end a run between the look at its row and at its lock. */
static enum qs_err
mark_interrupted(struct qs_ctx *cx, struct qs_db *db)
{
    sqlite3_stmt *find = NULL, *mark = NULL;
    bool row = false;
    int64_t last = 0;
    enum qs_err err = qs_db_prepare(
        cx, db, "SELECT id FROM run WHERE state = 'running' AND id > ?1 ORDER BY id LIMIT 1",
        &find);
    if (!err)
        err = qs_db_prepare(cx, db, "UPDATE run SET state = 'interrupted' WHERE id = ?1", &mark);
    while (!err) {
        sqlite3_bind_int64(find, 1, last);
        err = qs_db_step(cx, db, find, &row);
        if (err || !row)
            break;
        const int64_t id = sqlite3_column_int64(find, 0);
        sqlite3_reset(find);
        if (id <= last)
            err = qs_db_damaged(cx, db, "an index does not end");
        last = id;
        sqlite3_bind_int64(mark, 1, id);
        if (!err && qs_db_is_dead(db, id))
            err = qs_db_once(cx, db, mark);
    }
    sqlite3_finalize(find);
    sqlite3_finalize(mark);
    return err;
}

enum qs_err
qs_db_run_begin(struct qs_ctx *cx, struct qs_db *db, struct qs_run *run)
{
    int64_t id = 0;
    run->id = 0;
    enum qs_err err = qs_db_begin(cx, db, true);
    if (err)
        return err;
    err = mark_interrupted(cx, db);
    if (!err)
        err = put_model(cx, db, run);
    if (!err)
        err = insert_run(cx, db, run);
    if (!err) {
        id = sqlite3_last_insert_rowid(db->sql);
        err = qs_db_alive_hold(cx, db, id); /* before anyone can see the row */
    }
    err = qs_db_finish(cx, db, err);
    if (err && id)
        qs_db_alive_drop(db, id);
    if (!err)
        run->id = id;
    return err;
}

static enum qs_err
insert_part(struct qs_ctx *cx, struct qs_db *db, const struct qs_run *run, const struct part *part)
{
    const int n = *(const int *)((const char *)run + part->at_n);
    const char *array = *(char *const *)((const char *)run + part->at);
    sqlite3_stmt *stmt = NULL;
    struct qs_str sql;
    if (n == 0)
        return QS_OK;
    qs_str_init(&sql);
    qs_str_printf(&sql, "INSERT INTO %s (run, position, ", part->table);
    qs_db_names(&sql, part->column, part->n_column);
    qs_str_add(&sql, ") VALUES (");
    add_parameters(&sql, part->n_column + 2);
    qs_str_add(&sql, ")");
    enum qs_err err = qs_db_prepare(cx, db, sql.s, &stmt);
    for (int i = 0; i < n && !err; i++) {
        sqlite3_bind_int64(stmt, 1, run->id);
        sqlite3_bind_int(stmt, 2, i);
        qs_db_bind(stmt, 3, part->column, part->n_column, array + (size_t)i * part->size);
        err = qs_db_once(cx, db, stmt);
    }
    sqlite3_finalize(stmt);
    qs_str_release(&sql);
    return err;
}

/* Every column but parent, which was settled at the begin, and tag, when the run has none. */
static enum qs_err
update_run(struct qs_ctx *cx, struct qs_db *db, const struct qs_run *run)
{
    enum { N = QS_LEN(run_column) };
    sqlite3_stmt *stmt = NULL;
    struct qs_str sql;
    qs_str_init(&sql);
    qs_str_add(&sql, "UPDATE run SET ");
    for (int i = 1; i < N; i++)
        qs_str_printf(&sql,
                      strcmp(run_column[i].name, "tag") == 0 ? "%s%s = iif(?%d = '', tag, ?%d)"
                                                             : "%s%s = ?%d",
                      i > 1 ? ", " : "", run_column[i].name, i, i);
    qs_str_printf(&sql, " WHERE id = ?%d AND state IN ('running', 'interrupted')", N);
    enum qs_err err = qs_db_prepare(cx, db, sql.s, &stmt);
    if (!err) {
        qs_db_bind(stmt, 1, run_column + 1, N - 1, run);
        sqlite3_bind_int64(stmt, N, run->id);
        err = qs_db_step(cx, db, stmt, NULL);
    }
    if (!err && sqlite3_changes(db->sql) == 0)
        err = no_run(cx, db, run->id);
    sqlite3_finalize(stmt);
    qs_str_release(&sql);
    return err;
}

enum qs_err
qs_db_run_end(struct qs_ctx *cx, struct qs_db *db, const struct qs_run *run)
{
    enum qs_err err = qs_db_begin(cx, db, true);
    if (err)
        return err;
    err = put_model(cx, db, run);
    if (!err)
        err = update_run(cx, db, run);
    for (size_t i = 0; i < QS_LEN(parts) && !err; i++)
        err = insert_part(cx, db, run, &parts[i]);
    if (!err && run->state && strcmp(run->state, "done") == 0)
        err = qs_db_checkpoint_drop(cx, db, run->id);
    err = qs_db_finish(cx, db, err);
    if (!err)
        qs_db_alive_drop(db, run->id); /* only once the final state can be seen */
    return err;
}

/* Runs a statement about run ?1 (and text ?2) that must change a row. */
static enum qs_err
change_run(struct qs_ctx *cx, struct qs_db *db, const char *sql, int64_t id, const char *text)
{
    sqlite3_stmt *stmt = NULL;
    enum qs_err err = qs_db_prepare(cx, db, sql, &stmt);
    if (!err) {
        sqlite3_bind_int64(stmt, 1, id);
        if (text)
            sqlite3_bind_text(stmt, 2, text, -1, SQLITE_STATIC);
        err = qs_db_step(cx, db, stmt, NULL);
    }
    if (!err && sqlite3_changes(db->sql) == 0)
        err = no_run(cx, db, id);
    sqlite3_finalize(stmt);
    return err;
}

static enum qs_err
has_state(struct qs_ctx *cx, struct qs_db *db, int64_t id, const char *state, bool *out)
{
    sqlite3_stmt *stmt = NULL;
    enum qs_err err =
        qs_db_prepare(cx, db, "SELECT 1 FROM run WHERE id = ?1 AND state = ?2", &stmt);
    *out = false;
    if (!err) {
        sqlite3_bind_int64(stmt, 1, id);
        sqlite3_bind_text(stmt, 2, state, -1, SQLITE_STATIC);
        err = qs_db_step(cx, db, stmt, out);
    }
    sqlite3_finalize(stmt);
    return err;
}

static enum qs_err
drop_part(struct qs_ctx *cx, struct qs_db *db, int64_t id, const struct part *part)
{
    sqlite3_stmt *stmt = NULL;
    char *sql = qs_xasprintf("DELETE FROM %s WHERE run = ?1", part->table);
    enum qs_err err = qs_db_prepare(cx, db, sql, &stmt);
    if (!err) {
        sqlite3_bind_int64(stmt, 1, id);
        err = qs_db_step(cx, db, stmt, NULL);
    }
    sqlite3_finalize(stmt);
    free(sql);
    return err;
}

/* Inside a transaction, which nobody can end or take up the run beside. */
static enum qs_err
resume(struct qs_ctx *cx, struct qs_db *db, int64_t id)
{
    bool running = false;
    enum qs_err err = has_state(cx, db, id, "running", &running);
    if (!err && running && !qs_db_is_dead(db, id))
        err = qs_fail(cx, QS_ERR_DB, _("cannot resume run %lld: it is running"), (long long)id);
    bool done = false;
    if (!err)
        err = has_state(cx, db, id, "done", &done);
    if (!err && done)
        err = qs_fail(cx, QS_ERR_DB, _("cannot resume run %lld: it is done"), (long long)id);
    if (!err)
        err = change_run(cx, db, "UPDATE run SET state = 'running', message = '' WHERE id = ?1", id,
                         NULL);
    for (size_t i = 0; i < QS_LEN(parts) && !err; i++)
        err = drop_part(cx, db, id, &parts[i]);
    return err ? err : qs_db_alive_hold(cx, db, id);
}

enum qs_err
qs_db_run_resume(struct qs_ctx *cx, struct qs_db *db, int64_t id)
{
    enum qs_err err = qs_db_begin(cx, db, true);
    if (err)
        return err;
    err = resume(cx, db, id);
    const bool held = !err;
    err = qs_db_finish(cx, db, err);
    if (err && held)
        qs_db_alive_drop(db, id);
    return err;
}

enum qs_err
qs_db_run_tag(struct qs_ctx *cx, struct qs_db *db, int64_t id, const char *tag)
{
    enum qs_err err = qs_db_begin(cx, db, true);
    if (err)
        return err;
    err = change_run(cx, db, "UPDATE run SET tag = ?2 WHERE id = ?1", id, tag ? tag : "");
    return qs_db_finish(cx, db, err);
}

enum qs_err
qs_db_run_remove(struct qs_ctx *cx, struct qs_db *db, int64_t id)
{
    bool running = false;
    enum qs_err err = qs_db_begin(cx, db, true);
    if (err)
        return err;
    err = has_state(cx, db, id, "running", &running);
    if (!err && running && !qs_db_is_dead(db, id))
        err = qs_fail(cx, QS_ERR_DB, _("cannot remove run %lld: it is running"), (long long)id);
    if (!err)
        err = change_run(cx, db, "DELETE FROM run WHERE id = ?1", id, NULL);
    return qs_db_finish(cx, db, err);
}

/* --- reading --------------------------------------------------------------------------------- */

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
    return prepare_select(cx, db, "id", "run", run_column, QS_LEN(run_column), rest, out);
}

/* Reads the row of a run; *bad names the column that cannot be read, NULL: none. */
static enum qs_err
read_run_row(struct qs_ctx *cx, struct qs_db *db, sqlite3_stmt *stmt, struct qs_run *run,
             const char **bad)
{
    *run = (struct qs_run){.id = sqlite3_column_int64(stmt, 0)};
    *bad = qs_db_read(db, stmt, 1, run_column, QS_LEN(run_column), run);
    return qs_db_check_cost(cx, db);
}

/* All rows of one part of one run; they must be numbered 0, 1, ... */
static enum qs_err
load_part(struct qs_ctx *cx, struct qs_db *db, const struct part *part, struct qs_run *run)
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

/* The first `n_parts` of parts[] and the row itself, inside a transaction. */
static enum qs_err
load_run(struct qs_ctx *cx, struct qs_db *db, int64_t id, size_t n_parts, struct qs_run *run)
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
        err = row ? read_run_row(cx, db, stmt, run, &bad) : no_run(cx, db, id);
    if (!err && bad)
        err = damaged_run(cx, db, id, "run", bad);
    sqlite3_finalize(stmt);
    for (size_t i = 0; i < n_parts && !err; i++)
        err = load_part(cx, db, &parts[i], run);
    return err;
}

static enum qs_err
load_run_alone(struct qs_ctx *cx, struct qs_db *db, int64_t id, size_t n_parts, struct qs_run *run)
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
settle(struct qs_ctx *cx, struct qs_db *db, size_t n_parts, struct qs_run *run)
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
    enum qs_err err = load_run_alone(cx, db, id, QS_LEN(parts), out);
    if (!err && is_running(out) && qs_db_is_dead(db, id))
        err = settle(cx, db, QS_LEN(parts), out);
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
    const struct part *part = &parts[METRICS];
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
    const struct part *part = &parts[METRICS];
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
            err = settle(cx, db, METRICS + 1, &out->run[i]);
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
