/* SPDX-License-Identifier: Apache-2.0 */
/* Stores with contents of someone else's making. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_fixture.h"

static void
triggers_of_others_do_nothing(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    (void)state;
    qs_ctx_init(&cx);
    make_store(at("runs.db"), 1);
    raw(at("runs.db"),
        "CREATE TABLE seen (x);"
        "CREATE TRIGGER t1 AFTER INSERT ON run BEGIN INSERT INTO seen VALUES (1); "
        "DELETE FROM run; END;"
        "CREATE TRIGGER t2 BEFORE UPDATE ON run BEGIN SELECT raise(ABORT, 'no'); END;"
        "CREATE TRIGGER t3 BEFORE DELETE ON run BEGIN SELECT raise(IGNORE); END;");
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
    const int64_t id = store_run(&cx, db);
    assert_done(&cx, qs_db_run_remove(&cx, db, 1));
    qs_db_close(db);
    assert_int_equal(id, 2);
    assert_text(at("runs.db"), "SELECT (SELECT count(*) FROM seen), (SELECT count(*) FROM run)",
                "0|1\n");
}

static void
a_view_or_other_columns_in_place_of_a_table_are_reported(void **state)
{
    static const char *const instead[] = {
        "DROP TABLE run; CREATE VIEW run AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT "
        "id + 1 FROM n) SELECT * FROM n",
        "DROP TABLE run; CREATE TABLE run (id INTEGER PRIMARY KEY)",
        "DROP TABLE run",
        "DROP TABLE metric",
    };
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_runs list;
    (void)state;
    for (size_t i = 0; i < QS_LEN(instead); i++) {
        remove_store(at("runs.db"));
        make_store(at("runs.db"), 1);
        raw(at("runs.db"), instead[i]);
        db = open_store(&cx, at("runs.db"));
        assert_int_equal(qs_db_runs(&cx, db, NULL, &list), QS_ERR_DB);
        assert_int_equal(list.n, 0);
        qs_db_close(db);
    }
}

static char warning[1024];

static void
keep_warning(void *arg, const struct qs_event *ev)
{
    (void)arg;
    snprintf(warning, sizeof(warning), "%s", ev->text);
}

/* Takes the rules out of the schema, so that rows can be anything. */
static const char without_rules[] =
    "PRAGMA writable_schema = ON;"
    "UPDATE sqlite_schema SET sql = replace(replace(replace(sql, 'TEXT NOT NULL', 'TEXT'),"
    " 'INTEGER NOT NULL', 'INTEGER'), 'STRICT', 'WITHOUT ROWID')"
    " WHERE name = 'layer' OR name = 'metric' OR name = 'file';"
    "UPDATE sqlite_schema SET sql = replace(replace(replace(sql, ') STRICT', ')'), 'TEXT NOT NULL',"
    " 'BLOB'), 'INTEGER NOT NULL', 'BLOB') WHERE name = 'run';"
    "UPDATE sqlite_schema SET sql = replace(replace(sql, ') STRICT, WITHOUT ROWID', ') WITHOUT"
    " ROWID'), ') STRICT', ')') WHERE name IN ('sensitivity', 'activation');"
    "UPDATE sqlite_schema SET sql = replace(sql, 'WITHOUT ROWID, WITHOUT ROWID', 'WITHOUT ROWID')"
    " WHERE name IN ('layer', 'metric', 'file');"
    "PRAGMA writable_schema = RESET; PRAGMA ignore_check_constraints = ON;";

static void
damaged_rows_are_reported_and_the_others_shown(void **state)
{
    static const char *const damage[] = {
        "UPDATE run SET kind = NULL WHERE id = 2",
        "UPDATE run SET bits = -1 WHERE id = 2",
        "UPDATE run SET bits = 1 << 40 WHERE id = 2",
        "UPDATE run SET threads = 'x' WHERE id = 2",
        "UPDATE run SET bytes_before = -9223372036854775808 WHERE id = 2",
        "UPDATE run SET plan = x'00ff' WHERE id = 2",
    };
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_runs list;
    struct qs_run run;
    (void)state;
    for (size_t i = 0; i < QS_LEN(damage); i++) {
        remove_store(at("runs.db"));
        make_store(at("runs.db"), 3);
        sqlite3 *sql = raw_open(at("runs.db"));
        raw_exec(sql, without_rules);
        raw_exec(sql, damage[i]);
        sqlite3_close(sql);
        qs_ctx_init(&cx);
        warning[0] = '\0';
        cx.sink = keep_warning;
        assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
        assert_done(&cx, qs_db_runs(&cx, db, NULL, &list));
        assert_int_equal(list.n, 2);
        assert_non_null(strstr(warning, "damaged"));
        qs_runs_release(&list);
        assert_int_equal(qs_db_run(&cx, db, 2, &run), QS_ERR_DB);
        assert_non_null(strstr(qs_message(&cx), "run 2"));
        qs_db_close(db);
    }
}

static void
damaged_parts_of_a_run_are_reported(void **state)
{
    static const char *const damage[] = {
        "UPDATE layer SET weight = NULL WHERE run = 1 AND position = 1",
        "UPDATE layer SET scale_count = -5 WHERE run = 1 AND position = 1",
        "UPDATE layer SET position = 77 WHERE run = 1 AND position = 1",
        "DELETE FROM layer WHERE run = 1 AND position = 0",
        "UPDATE metric SET name = NULL WHERE run = 1 AND position = 0",
        "UPDATE file SET bytes = -1 WHERE run = 1",
        "UPDATE file SET sha256 = printf('%099d', 1) WHERE run = 1",
        "UPDATE sensitivity SET bits = -1 WHERE run = 1",
        "UPDATE sensitivity SET metric_drop = 'much' WHERE run = 1",
        "UPDATE activation SET count = x'010203' WHERE run = 1",
        "UPDATE activation SET count = 'text' WHERE run = 1",
    };
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_runs list;
    struct qs_run run;
    (void)state;
    for (size_t i = 0; i < QS_LEN(damage); i++) {
        remove_store(at("runs.db"));
        make_store(at("runs.db"), 1);
        sqlite3 *sql = raw_open(at("runs.db"));
        raw_exec(sql, without_rules);
        raw_exec(sql, damage[i]);
        sqlite3_close(sql);
        db = open_store(&cx, at("runs.db"));
        assert_done(&cx, qs_db_runs(&cx, db, NULL, &list));
        assert_int_equal(list.n, 1);
        qs_runs_release(&list);
        assert_int_equal(qs_db_run(&cx, db, 1, &run), QS_ERR_DB);
        assert_non_null(strstr(qs_message(&cx), "is damaged"));
        qs_db_close(db);
    }
}

/* Every 7th byte changed in turn, each page header too: no crash, and a sentence or an answer. */
static void
a_file_with_any_byte_changed_does_no_harm(void **state)
{
    char *bytes;
    size_t n;
    (void)state;
    make_store(at("runs.db"), 2);
    copy_bytes(at("runs.db"), &bytes, &n);
    for (size_t i = 0; i < n; i += i % 4096 < 112 ? 3 : 211) {
        struct qs_ctx cx;
        struct qs_db *db;
        struct qs_runs list;
        struct qs_run run;
        const char was = bytes[i];
        bytes[i] = (char)(was ^ 0x85);
        remove_store(at("runs.db"));
        write_bytes(at("runs.db"), bytes, n);
        bytes[i] = was;
        qs_ctx_init(&cx);
        if (qs_db_open(&cx, at("runs.db"), &db) == QS_OK) {
            if (qs_db_runs(&cx, db, NULL, &list) == QS_OK)
                qs_runs_release(&list);
            if (qs_db_run(&cx, db, 1, &run) == QS_OK)
                qs_run_release(&run);
            if (qs_db_run_remove(&cx, db, 1) == QS_OK)
                store_in_child();
            qs_db_close(db);
        }
        assert_true(cx.err == QS_OK || cx.message[0]);
    }
    free(bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(triggers_of_others_do_nothing),
        DB_TEST(a_view_or_other_columns_in_place_of_a_table_are_reported),
        DB_TEST(damaged_rows_are_reported_and_the_others_shown),
        DB_TEST(damaged_parts_of_a_run_are_reported),
        DB_TEST(a_file_with_any_byte_changed_does_no_harm),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
