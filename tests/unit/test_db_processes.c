/* SPDX-License-Identifier: Apache-2.0 */
/* A store that several connections and processes use at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db_fixture.h"

enum { WRITERS = 3, EACH = 15 };

static int
write_many(void)
{
    for (int i = 0; i < EACH; i++)
        if (store_in_child() != FINE)
            return WRONG;
    return FINE;
}

static void
programs_that_write_at_once_all_get_their_runs_stored(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_runs list;
    pid_t pid[WRITERS];
    int status;
    (void)state;
    fflush(NULL);
    for (int i = 0; i < WRITERS; i++)
        if ((pid[i] = fork()) == 0)
            _exit(write_many());
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), FINE);
    }
    db = open_store(&cx, at("runs.db"));
    assert_done(&cx, qs_db_runs(&cx, db, NULL, &list));
    assert_int_equal(list.n, WRITERS * EACH);
    for (int i = 0; i < list.n; i++)
        assert_string_equal(list.run[i].state, "done");
    qs_runs_release(&list);
    qs_db_close(db);
    assert_text(at("runs.db"), "SELECT count(*) FROM layer", "225\n");
    assert_int_equal(WRITERS * EACH * N_LAYER, 225);
}

/* A child that begins a run, says so on a pipe and then sits there. */
static pid_t
start_runner(void)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        struct qs_ctx cx;
        struct qs_db *db;
        struct qs_run run = some_run();
        qs_ctx_init(&cx);
        const bool ok = !qs_db_open(&cx, at("runs.db"), &db) && !qs_db_run_begin(&cx, db, &run);
        (void)!write(ready[1], ok ? "+" : "-", 1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, '+');
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void
assert_state(struct qs_db *db, int64_t id, const char *expected)
{
    struct qs_ctx cx;
    struct qs_run run;
    struct qs_runs list;
    qs_ctx_init(&cx);
    assert_done(&cx, qs_db_run(&cx, db, id, &run));
    assert_string_equal(run.state, expected);
    qs_run_release(&run);
    assert_done(&cx, qs_db_runs(&cx, db, NULL, &list));
    for (int i = 0; i < list.n; i++)
        if (list.run[i].id == id)
            assert_string_equal(list.run[i].state, expected);
    qs_runs_release(&list);
}

static void
a_run_of_another_process_is_running_until_that_dies(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    int status;
    (void)state;
    qs_ctx_init(&cx);
    const pid_t pid = start_runner();
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
    assert_state(db, 1, "running");
    store_run(&cx, db); /* looks through the runs of the dead */
    assert_state(db, 1, "running");
    assert_int_equal(qs_db_run_remove(&cx, db, 1), QS_ERR_DB);
    qs_ctx_init(&cx);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_state(db, 1, "interrupted");
    assert_text(at("runs.db"), "SELECT state FROM run WHERE id = 1", "running\n");
    store_run(&cx, db);
    assert_text(at("runs.db"), "SELECT state FROM run WHERE id = 1", "interrupted\n");
    assert_done(&cx, qs_db_run_remove(&cx, db, 1));
    qs_db_close(db);
}

static void
a_run_of_this_process_is_running_in_every_connection(void **state)
{
    struct qs_ctx cx;
    struct qs_db *mine, *other;
    struct qs_run run = some_run();
    (void)state;
    mine = open_store(&cx, at("runs.db"));
    assert_done(&cx, qs_db_run_begin(&cx, mine, &run));
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &other));
    assert_state(mine, run.id, "running");
    assert_state(other, run.id, "running");
    store_run(&cx, other);
    qs_db_close(other); /* must not take the lock along */
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &other));
    assert_state(other, run.id, "running");
    finish_run(&run);
    assert_done(&cx, qs_db_run_end(&cx, mine, &run));
    assert_state(other, run.id, "done");
    qs_db_close(mine);
    qs_db_close(other);
}

static void
a_run_can_be_ended_through_another_connection(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_run run = some_run();
    (void)state;
    db = open_store(&cx, at("runs.db"));
    assert_done(&cx, qs_db_run_begin(&cx, db, &run));
    qs_db_close(db);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
    assert_state(db, run.id, "interrupted");
    store_run(&cx, db);
    finish_run(&run);
    assert_done(&cx, qs_db_run_end(&cx, db, &run));
    assert_state(db, run.id, "done");
    qs_db_close(db);
}

static void
a_store_through_a_link_is_the_same_store(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    (void)state;
    qs_ctx_init(&cx);
    const pid_t pid = start_runner();
    assert_int_equal(symlink(at("runs.db"), at("link.db")), 0);
    assert_done(&cx, qs_db_open(&cx, at("link.db"), &db));
    assert_state(db, 1, "running");
    qs_db_close(db);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(programs_that_write_at_once_all_get_their_runs_stored),
        DB_TEST(a_run_of_another_process_is_running_until_that_dies),
        DB_TEST(a_run_of_this_process_is_running_in_every_connection),
        DB_TEST(a_run_can_be_ended_through_another_connection),
        DB_TEST(a_store_through_a_link_is_the_same_store),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
