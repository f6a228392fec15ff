/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "db/db.h"
#include "db/run_tables.h"

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
    enum { N = QS_DB_N_RUN };
    sqlite3_stmt *stmt = NULL;
    struct qs_str sql;
    qs_str_init(&sql);
    qs_str_add(&sql, "INSERT INTO run (");
    qs_db_names(&sql, qs_db_run_column, N);
    /* The first is parent, which may have been removed. */
    qs_str_add(&sql, ") VALUES ((SELECT id FROM run WHERE id = ?), ");
    add_parameters(&sql, N - 1);
    qs_str_add(&sql, ")");
    enum qs_err err = qs_db_prepare(cx, db, sql.s, &stmt);
    if (!err) {
        struct qs_run row = *run;
        row.state = (char[]){"running"};
        qs_db_bind(stmt, 1, qs_db_run_column, N, &row);
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
insert_part(struct qs_ctx *cx, struct qs_db *db, const struct qs_run *run,
            const struct qs_db_part *part)
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
    enum { N = QS_DB_N_RUN };
    sqlite3_stmt *stmt = NULL;
    struct qs_str sql;
    qs_str_init(&sql);
    qs_str_add(&sql, "UPDATE run SET ");
    for (int i = 1; i < N; i++)
        qs_str_printf(&sql,
                      strcmp(qs_db_run_column[i].name, "tag") == 0
                          ? "%s%s = iif(?%d = '', tag, ?%d)"
                          : "%s%s = ?%d",
                      i > 1 ? ", " : "", qs_db_run_column[i].name, i, i);
    qs_str_printf(&sql, " WHERE id = ?%d AND state IN ('running', 'interrupted')", N);
    enum qs_err err = qs_db_prepare(cx, db, sql.s, &stmt);
    if (!err) {
        qs_db_bind(stmt, 1, qs_db_run_column + 1, N - 1, run);
        sqlite3_bind_int64(stmt, N, run->id);
        err = qs_db_step(cx, db, stmt, NULL);
    }
    if (!err && sqlite3_changes(db->sql) == 0)
        err = qs_db_no_run(cx, db, run->id);
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
    for (int i = 0; i < QS_DB_N_PARTS && !err; i++)
        err = insert_part(cx, db, run, &qs_db_parts[i]);
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
        err = qs_db_no_run(cx, db, id);
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
drop_part(struct qs_ctx *cx, struct qs_db *db, int64_t id, const struct qs_db_part *part)
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
    for (int i = 0; i < QS_DB_N_PARTS && !err; i++)
        err = drop_part(cx, db, id, &qs_db_parts[i]);
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
