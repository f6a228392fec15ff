/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db_fixture.h"

char folder[128];

int
setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof(folder), "%s/qslim-db.XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

int
teardown(void **state)
{
    char *command = qs_xasprintf("chmod -R u+rwx '%s' && rm -rf '%s'", folder, folder);
    (void)state;
    const int rc = system(command);
    free(command);
    return rc;
}

const char *
at(const char *name)
{
    static char path[8][256];
    static int next;
    char *p = path[next++ % 8];
    snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
    return p;
}

struct qs_db *
open_store(struct qs_ctx *cx, const char *path)
{
    struct qs_db *db;
    qs_ctx_init(cx);
    assert_done(cx, qs_db_open(cx, path, &db));
    return db;
}

int64_t
store_run(struct qs_ctx *cx, struct qs_db *db)
{
    struct qs_run run = some_run();
    assert_done(cx, qs_db_run_begin(cx, db, &run));
    finish_run(&run);
    assert_done(cx, qs_db_run_end(cx, db, &run));
    return run.id;
}

void
make_store(const char *path, int n_runs)
{
    struct qs_ctx cx;
    struct qs_db *db;
    db = open_store(&cx, path);
    for (int i = 0; i < n_runs; i++)
        store_run(&cx, db);
    qs_db_close(db);
}

void
remove_store(const char *path)
{
    static const char *const suffix[] = {"", "-wal", "-shm", "-journal", "-lock"};
    for (size_t i = 0; i < QS_LEN(suffix); i++) {
        char *name = qs_xasprintf("%s%s", path, suffix[i]);
        unlink(name);
        free(name);
    }
}

void
assert_refused(struct qs_ctx *cx, const char *path, const char *words)
{
    struct qs_db *db;
    qs_ctx_init(cx);
    if (qs_db_open(cx, path, &db) != QS_ERR_DB)
        fail_msg("'%s' was opened", path);
    assert_null(db);
    if (!strstr(qs_message(cx), words))
        fail_msg("'%s' does not say '%s'", qs_message(cx), words);
    assert_null(strchr(qs_message(cx), '\n'));
}

void
copy_bytes(const char *path, char **out, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    *out = qs_xmalloc(1 << 20);
    *n = fread(*out, 1, 1 << 20, f);
    fclose(f);
}

void
write_bytes(const char *path, const char *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}

void
assert_refused_unchanged(const char *path, const char *words)
{
    struct qs_ctx cx;
    char *before, *after;
    size_t n, m;
    copy_bytes(path, &before, &n);
    assert_refused(&cx, path, words);
    copy_bytes(path, &after, &m);
    assert_int_equal(n, m);
    assert_memory_equal(before, after, n);
    free(before);
    free(after);
}

/* A connection of someone else */

sqlite3 *
raw_open(const char *path)
{
    sqlite3 *sql;
    assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
    sqlite3_busy_timeout(sql, 10000);
    return sql;
}

void
raw_exec(sqlite3 *sql, const char *text)
{
    char *why = NULL;
    if (sqlite3_exec(sql, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", text, why);
}

void
raw(const char *path, const char *text)
{
    sqlite3 *sql = raw_open(path);
    raw_exec(sql, text);
    sqlite3_close(sql);
}

char *
raw_text(const char *path, const char *query)
{
    sqlite3 *sql = raw_open(path);
    sqlite3_stmt *stmt;
    struct qs_str out;
    qs_str_init(&out);
    if (sqlite3_prepare_v2(sql, query, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", query, sqlite3_errmsg(sql));
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(stmt); i++)
            qs_str_printf(&out, "%s%s", i ? "|" : "",
                          sqlite3_column_text(stmt, i) ? (const char *)sqlite3_column_text(stmt, i)
                                                       : "NULL");
        qs_str_add(&out, "\n");
    }
    assert_int_equal(rc, SQLITE_DONE);
    sqlite3_finalize(stmt);
    sqlite3_close(sql);
    return qs_str_take(&out);
}

void
assert_text(const char *path, const char *query, const char *expected)
{
    char *text = raw_text(path, query);
    assert_string_equal(text, expected);
    free(text);
}

/* Children */

int
in_child(int (*work)(void))
{
    int status;
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(work());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return -1;
    }
    return WEXITSTATUS(status);
}

int
report(struct qs_ctx *cx)
{
    return cx->err == QS_ERR_DB && cx->message[0] ? REPORTED : WRONG;
}

int
store_in_child(void)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_run run = some_run();
    qs_ctx_init(&cx);
    if (qs_db_open(&cx, at("runs.db"), &db))
        return report(&cx);
    enum qs_err err = qs_db_run_begin(&cx, db, &run);
    finish_run(&run);
    if (!err)
        err = qs_db_run_end(&cx, db, &run);
    qs_db_close(db);
    return err ? report(&cx) : FINE;
}

void
assert_sound(const char *path, int most)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_runs list;
    struct qs_run run, whole = some_run();
    finish_run(&whole);
    db = open_store(&cx, path);
    assert_done(&cx, qs_db_runs(&cx, db, NULL, &list));
    assert_in_range(list.n, 0, most);
    for (int i = 0; i < list.n; i++) {
        assert_done(&cx, qs_db_run(&cx, db, list.run[i].id, &run));
        const bool done = strcmp(run.state, "done") == 0;
        if (!done)
            assert_string_equal(run.state, "interrupted");
        assert_string_equal(run.state, list.run[i].state);
        assert_int_equal(run.n_layer, done ? whole.n_layer : 0);
        assert_int_equal(run.n_file, done ? whole.n_file : 0);
        assert_int_equal(run.n_metric, done ? whole.n_metric : 0);
        qs_run_release(&run);
    }
    qs_runs_release(&list);
    store_run(&cx, db);
    qs_db_close(db);
    assert_text(path, "PRAGMA integrity_check", "ok\n");
    assert_text(path, "PRAGMA foreign_key_check", "");
}
