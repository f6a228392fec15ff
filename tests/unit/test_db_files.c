/* SPDX-License-Identifier: Apache-2.0 */
/* Where a store may lie, and what stands there instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db_fixture.h"

static void
what_is_not_a_database_is_refused_in_one_sentence(void **state)
{
    struct qs_ctx cx;
    char garbage[8192], name[600];
    (void)state;
    assert_refused(&cx, folder, "it is a folder");
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    assert_refused(&cx, at("fifo"), "not a regular file");
    assert_int_equal(symlink(at("fifo"), at("link")), 0);
    assert_refused(&cx, at("link"), "not a regular file");
    assert_refused(&cx, "/dev/null", "not a regular file");
    assert_int_equal(symlink(at("loop"), at("loop")), 0);
    assert_refused(&cx, at("loop"), "run store");
    for (size_t i = 0; i < sizeof(garbage); i++)
        garbage[i] = (char)(i * 2654435761u >> 13);
    write_bytes(at("garbage"), garbage, sizeof(garbage));
    assert_refused(&cx, at("garbage"), "not a database");
    write_bytes(at("short"), "x", 1);
    assert_refused(&cx, at("short"), "not a database");
    write_bytes(at("header"), "SQLite format 3", 16);
    assert_refused(&cx, at("header"), "not a database");
    assert_refused(&cx, at("garbage/below"), "run store");
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_refused(&cx, name, "run store");
    assert_refused(&cx, "", "run store");
}

static void
a_journal_that_is_a_fifo_is_not_waited_for(void **state)
{
    struct qs_ctx cx;
    (void)state;
    make_store(at("runs.db"), 1);
    assert_int_equal(mkfifo(at("runs.db-journal"), 0600), 0);
    assert_refused(&cx, at("runs.db"), "not a regular file");
}

static void
a_lock_file_that_is_a_fifo_is_reported(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_run run = some_run();
    (void)state;
    qs_ctx_init(&cx);
    assert_int_equal(mkfifo(at("runs.db-lock"), 0600), 0);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
    assert_int_equal(qs_db_run_begin(&cx, db, &run), QS_ERR_DB);
    qs_db_close(db);
    assert_text(at("runs.db"), "SELECT count(*) FROM run", "0\n");
}

static void
an_empty_file_is_a_new_store(void **state)
{
    (void)state;
    write_bytes(at("runs.db"), "", 0);
    make_store(at("runs.db"), 1);
    assert_sound(at("runs.db"), 1);
}

static void
folders_are_made_and_odd_names_are_names(void **state)
{
    static const char *const odd[] = {"a/b/c/runs.db", "file:x?mode=memory", ":memory:", "x#%41?y"};
    char *here = getcwd(NULL, 0);
    (void)state;
    assert_int_equal(chdir(folder), 0);
    for (size_t i = 0; i < QS_LEN(odd); i++) {
        make_store(odd[i], 1);
        assert_int_equal(access(at(odd[i]), F_OK), 0);
        make_store(odd[i], 1);
    }
    assert_int_equal(chdir(here), 0);
    free(here);
}

static void
the_default_path_follows_the_environment(void **state)
{
    static const struct {
        const char *db, *data, *home, *path;
    } row[] = {
        {"/x/my.db", "/data", "/u", "/x/my.db"},
        {"", "/data", "/u", "/data/qslim/runs.db"},
        {NULL, "/data", "/u", "/data/qslim/runs.db"},
        {NULL, "relative", "/u", "/u/.local/share/qslim/runs.db"},
        {NULL, NULL, "/u", "/u/.local/share/qslim/runs.db"},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        const char *const pair[][2] = {
            {"QSLIM_DB", row[i].db}, {"XDG_DATA_HOME", row[i].data}, {"HOME", row[i].home}};
        for (size_t k = 0; k < QS_LEN(pair); k++)
            if (pair[k][1])
                setenv(pair[k][0], pair[k][1], 1);
            else
                unsetenv(pair[k][0]);
        char *path = qs_db_default_path();
        assert_string_equal(path, row[i].path);
        free(path);
    }
}

/* Read-only */

/* Permissions do not hold for root. */
static void
drop_root(void)
{
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        _exit(WRONG);
}

static int
read_but_not_write(void)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_runs list;
    struct qs_run run = some_run();
    drop_root();
    qs_ctx_init(&cx);
    if (qs_db_open(&cx, at("runs.db"), &db))
        return WRONG;
    if (qs_db_runs(&cx, db, NULL, &list) || list.n != 2 || strcmp(list.run[0].state, "done") != 0)
        return WRONG;
    qs_runs_release(&list);
    if (qs_db_run_begin(&cx, db, &run) != QS_ERR_DB || run.id != 0)
        return WRONG;
    if (!strstr(qs_message(&cx), "read-only"))
        return WRONG;
    qs_db_close(db);
    return FINE;
}

static void
a_read_only_store_is_read_and_a_run_reported_as_not_stored(void **state)
{
    (void)state;
    make_store(at("runs.db"), 2);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(chmod(at("runs.db"), 0444), 0);
    assert_int_equal(in_child(read_but_not_write), FINE); /* the file */
    remove_store(at("runs.db"));
    make_store(at("runs.db"), 2);
    assert_int_equal(chmod(at("runs.db"), 0666), 0);
    unlink(at("runs.db-lock"));
    assert_int_equal(chmod(folder, 0555), 0);
    assert_int_equal(in_child(read_but_not_write), FINE); /* the folder */
    assert_int_equal(chmod(at("runs.db"), 0444), 0);
    assert_int_equal(in_child(read_but_not_write), FINE); /* both */
}

static int
open_new_as_nobody(void)
{
    struct qs_ctx cx;
    struct qs_db *db;
    drop_root();
    qs_ctx_init(&cx);
    if (qs_db_open(&cx, at("new.db"), &db) != QS_ERR_DB || !strstr(qs_message(&cx), "denied"))
        return WRONG;
    qs_ctx_init(&cx);
    if (qs_db_open(&cx, at("new/new.db"), &db) != QS_ERR_DB || !strstr(qs_message(&cx), "denied"))
        return WRONG;
    qs_ctx_init(&cx);
    return qs_db_open(&cx, at("secret.db"), &db) == QS_ERR_DB ? FINE : WRONG;
}

static void
a_folder_or_file_without_permission_is_reported(void **state)
{
    (void)state;
    make_store(at("secret.db"), 1);
    assert_int_equal(chmod(at("secret.db"), 0), 0);
    assert_int_equal(chmod(folder, 0555), 0);
    assert_int_equal(in_child(open_new_as_nobody), FINE);
}

/* Network file systems */

/* Like a network file system: the file can be locked, but there is no shared memory. */
static int
store_without_shared_memory(void)
{
    if (sqlite3_vfs_register(sqlite3_vfs_find("unix-dotfile"), 1) != SQLITE_OK)
        return WRONG;
    return store_in_child();
}

static void
a_wal_store_is_used_where_there_is_no_shared_memory(void **state)
{
    (void)state;
    make_store(at("runs.db"), 1);
    assert_text(at("runs.db"), "PRAGMA journal_mode", "wal\n");
    assert_int_equal(in_child(store_without_shared_memory), FINE);
    assert_sound(at("runs.db"), 2);
    assert_text(at("runs.db"), "PRAGMA journal_mode", "wal\n"); /* back where it can be had */
    assert_text(at("runs.db"), "SELECT count(*) FROM run", "3\n");
}

static void
a_new_store_is_made_where_there_is_no_shared_memory(void **state)
{
    (void)state;
    assert_int_equal(in_child(store_without_shared_memory), FINE);
    assert_sound(at("runs.db"), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(what_is_not_a_database_is_refused_in_one_sentence),
        DB_TEST(a_journal_that_is_a_fifo_is_not_waited_for),
        DB_TEST(a_lock_file_that_is_a_fifo_is_reported),
        DB_TEST(an_empty_file_is_a_new_store),
        DB_TEST(folders_are_made_and_odd_names_are_names),
        DB_TEST(a_read_only_store_is_read_and_a_run_reported_as_not_stored),
        DB_TEST(a_folder_or_file_without_permission_is_reported),
        DB_TEST(a_wal_store_is_used_where_there_is_no_shared_memory),
        DB_TEST(a_new_store_is_made_where_there_is_no_shared_memory),
        DB_TEST(the_default_path_follows_the_environment),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
