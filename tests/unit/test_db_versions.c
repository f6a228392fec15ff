/* SPDX-License-Identifier: Apache-2.0 */
/* Stores of older and newer versions, and of other programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "db_fixture.h"

static const char schema_query[] =
    "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";

static char *
version_text(int version)
{
    struct qs_ctx cx;
    const char *src = getenv("srcdir");
    char *path = qs_xasprintf("%s/tests/db/v%d.sql", src ? src : ".", version), *text;
    size_t n;
    qs_ctx_init(&cx);
    assert_done(&cx, qs_read_text(&cx, path, "old store", 1 << 20, &text, &n));
    free(path);
    return text;
}

static void
a_store_of_every_old_version_becomes_what_a_fresh_one_is(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_runs list;
    (void)state;
    qs_ctx_init(&cx);
    make_store(at("fresh.db"), 0);
    char *expected = raw_text(at("fresh.db"), schema_query);
    for (int v = 1; v <= qs_db_n_steps; v++) {
        char *text = version_text(v);
        unlink(at("old.db"));
        raw(at("old.db"), text);
        free(text);
        assert_done(&cx, qs_db_open(&cx, at("old.db"), &db));
        assert_done(&cx, qs_db_runs(&cx, db, NULL, &list));
        assert_int_equal(list.n, 3);
        qs_runs_release(&list);
        qs_db_close(db);
        assert_text(at("old.db"), schema_query, expected);
        assert_text(at("old.db"),
                    "SELECT user_version = (SELECT count(*) FROM pragma_integrity_check WHERE "
                    "integrity_check = 'ok') * user_version FROM pragma_user_version",
                    "1\n");
    }
    free(expected);
}

/* What a version cannot say is absent. */
static void
assert_old_store(int version)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_run got, run = some_run();
    qs_ctx_init(&cx);
    char *text = version_text(version);
    unlink(at("old.db"));
    raw(at("old.db"), text);
    free(text);
    assert_done(&cx, qs_db_open(&cx, at("old.db"), &db));
    assert_done(&cx, qs_db_run(&cx, db, 1, &got));
    run.id = 1;
    finish_run(&run);
    run.tag = "kept";
    if (version < 2) {
        run.output_digest = "";
        run.n_sensitivity = run.n_activation = 0;
    }
    assert_same_whole_run(&got, &run);
    qs_run_release(&got);
    assert_done(&cx, qs_db_run(&cx, db, 3, &got));
    assert_string_equal(got.state, "interrupted"); /* "running" in the text */
    qs_run_release(&got);
    qs_db_close(db);
}

static void
the_text_of_an_old_store_is_read_in_every_field(void **state)
{
    (void)state;
    for (int v = 1; v <= qs_db_n_steps; v++)
        assert_old_store(v);
}

static void
a_newer_store_is_refused_and_left_alone(void **state)
{
    (void)state;
    make_store(at("runs.db"), 1);
    char *pragma = qs_xasprintf("PRAGMA user_version = %d", qs_db_n_steps + 1);
    raw(at("runs.db"), pragma);
    free(pragma);
    assert_refused_unchanged(at("runs.db"), "knows versions up to");
    raw(at("runs.db"), "PRAGMA user_version = 2147483647; PRAGMA journal_mode = DELETE");
    assert_refused_unchanged(at("runs.db"), "has version 2147483647");
}

static void
the_database_of_another_program_is_refused_and_left_alone(void **state)
{
    static const char *const other[] = {
        "CREATE TABLE run (id INTEGER)",
        "CREATE TABLE bookmarks (url TEXT); PRAGMA user_version = 1",
        "PRAGMA user_version = 75",
        "PRAGMA application_id = 7",
        "PRAGMA application_id = 0x51534C4D",
        "CREATE TABLE t (x); PRAGMA application_id = 0x51534C4D; PRAGMA user_version = -1",
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(other); i++) {
        unlink(at("other.db"));
        raw(at("other.db"), other[i]);
        assert_refused_unchanged(at("other.db"), "is not a run store");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(a_store_of_every_old_version_becomes_what_a_fresh_one_is),
        DB_TEST(the_text_of_an_old_store_is_read_in_every_field),
        DB_TEST(a_newer_store_is_refused_and_left_alone),
        DB_TEST(the_database_of_another_program_is_refused_and_left_alone),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
