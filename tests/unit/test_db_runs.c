/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of the store: written, listed, tagged, removed, taken up again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "db_fixture.h"

static void
every_field_comes_back(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_run run = some_run(), got;
    struct qs_runs list;
    (void)state;
    db = open_store(&cx, at("runs.db"));
    run.parent = store_run(&cx, db);
    assert_done(&cx, qs_db_run_begin(&cx, db, &run));
    finish_run(&run);
    run.tag = "a 'tag'";
    run.message = "of a\nfailure";
    assert_done(&cx, qs_db_run_end(&cx, db, &run));
    qs_db_close(db);

    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
    assert_done(&cx, qs_db_run(&cx, db, run.id, &got));
    assert_same_whole_run(&got, &run);
    qs_run_release(&got);
    assert_done(&cx, qs_db_runs(&cx, db, NULL, &list));
    assert_int_equal(list.n, 2);
    assert_same_run(&list.run[0], &run);
    assert_same_metrics(&list.run[0], &run);
    assert_same_metrics(&list.run[1], &run);
    qs_runs_release(&list);
    qs_db_close(db);
}

static void
a_run_of_nothing_but_zeros_is_stored(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_run run = {.parent = 77, .started = NAN}, got;
    (void)state;
    db = open_store(&cx, at("runs.db"));
    assert_done(&cx, qs_db_run_begin(&cx, db, &run));
    run.state = "failed";
    assert_done(&cx, qs_db_run_end(&cx, db, &run));
    assert_done(&cx, qs_db_run(&cx, db, run.id, &got));
    run.parent = 0; /* there is no run 77 */
    run.started = 0;
    assert_same_run(&got, &run);
    qs_run_release(&got);
    qs_db_close(db);
}

static void
the_digest_may_come_at_the_end(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_db_model *model;
    struct qs_run run = some_run();
    struct qs_runs list;
    int n;
    (void)state;
    db = open_store(&cx, at("runs.db"));
    run.model_digest = NULL;
    assert_done(&cx, qs_db_run_begin(&cx, db, &run));
    assert_done(&cx, qs_db_models(&cx, db, &model, &n));
    assert_int_equal(n, 0);
    qs_db_models_free(model, n);
    run.model_digest = "late";
    run.state = "done";
    assert_done(&cx, qs_db_run_end(&cx, db, &run));
    assert_done(&cx, qs_db_runs(&cx, db, "late", &list));
    assert_int_equal(list.n, 1);
    qs_runs_release(&list);
    qs_db_close(db);
}

static void
runs_are_listed_newest_first_and_by_model(void **state)
{
    static char *const digest[] = {"aa", "bb", "aa", "cc", "aa"};
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_runs list;
    (void)state;
    db = open_store(&cx, at("runs.db"));
    for (size_t i = 0; i < QS_LEN(digest); i++) {
        struct qs_run run = some_run();
        run.model_digest = digest[i];
        assert_done(&cx, qs_db_run_begin(&cx, db, &run));
        finish_run(&run);
        run.n_metric = (int)i % 3;
        assert_done(&cx, qs_db_run_end(&cx, db, &run));
    }
    assert_done(&cx, qs_db_runs(&cx, db, "aa", &list));
    assert_int_equal(list.n, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(list.run[i].id, 5 - 2 * i);
        assert_int_equal(list.run[i].n_metric, (4 - 2 * i) % 3);
    }
    qs_runs_release(&list);
    assert_done(&cx, qs_db_runs(&cx, db, "none", &list));
    assert_int_equal(list.n, 0);
    qs_runs_release(&list);
    qs_db_close(db);
}

static void
models_are_known_by_digest_with_their_runs(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_db_model seen = {.path = "/m/other.nb",
                               .digest = "ee",
                               .format = "nb",
                               .bytes = 5,
                               .last_seen = 1e10},
                       *model;
    int n;
    (void)state;
    db = open_store(&cx, at("runs.db"));
    store_run(&cx, db);
    store_run(&cx, db);
    assert_done(&cx, qs_db_model_seen(&cx, db, &seen));
    seen = (struct qs_db_model){.path = "/m/moved.pdmodel", .digest = "d1d1", .format = "pdmodel"};
    assert_done(&cx, qs_db_model_seen(&cx, db, &seen));
    store_run(&cx, db);
    assert_done(&cx, qs_db_models(&cx, db, &model, &n));
    assert_int_equal(n, 2);
    assert_string_equal(model[0].digest, "ee");
    assert_int_equal(model[0].n_runs, 0);
    assert_true(model[0].bytes == 5 && model[0].last_seen == 1e10);
    assert_string_equal(model[1].format, "pdmodel"); /* a run does not know it, and keeps it */
    assert_string_equal(model[1].path, some_run().model_path);
    assert_true(model[1].last_seen == some_run().started);
    assert_int_equal(model[1].n_runs, 3);
    qs_db_models_free(model, n);
    qs_db_close(db);
}

static void
tags_are_set_taken_away_and_survive_the_end(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_run run = some_run(), got;
    (void)state;
    db = open_store(&cx, at("runs.db"));
    assert_done(&cx, qs_db_run_begin(&cx, db, &run));
    assert_done(&cx, qs_db_run_tag(&cx, db, run.id, "while it runs"));
    finish_run(&run);
    assert_done(&cx, qs_db_run_end(&cx, db, &run));
    assert_done(&cx, qs_db_run(&cx, db, run.id, &got));
    assert_string_equal(got.tag, "while it runs");
    qs_run_release(&got);
    assert_done(&cx, qs_db_run_tag(&cx, db, run.id, NULL));
    assert_done(&cx, qs_db_run(&cx, db, run.id, &got));
    assert_string_equal(got.tag, "");
    qs_run_release(&got);
    assert_int_equal(qs_db_run_tag(&cx, db, 99, "x"), QS_ERR_NOT_FOUND);
    qs_db_close(db);
}

static void
a_removed_run_is_gone_with_all_its_rows_and_its_number(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_run child = some_run(), got;
    (void)state;
    db = open_store(&cx, at("runs.db"));
    child.parent = store_run(&cx, db);
    const int64_t id = child.parent;
    assert_done(&cx, qs_db_run_begin(&cx, db, &child));
    assert_done(&cx, qs_db_run_remove(&cx, db, id));
    assert_int_equal(qs_db_run(&cx, db, id, &got), QS_ERR_NOT_FOUND);
    qs_ctx_init(&cx);
    assert_int_equal(qs_db_run_remove(&cx, db, id), QS_ERR_NOT_FOUND);
    qs_ctx_init(&cx);
    assert_done(&cx, qs_db_run(&cx, db, child.id, &got));
    assert_int_equal(got.parent, 0);
    qs_run_release(&got);
    finish_run(&child);
    assert_done(&cx, qs_db_run_end(&cx, db, &child));
    assert_done(&cx, qs_db_run_remove(&cx, db, child.id));
    assert_true(store_run(&cx, db) > child.id);
    qs_db_close(db);
    assert_text(at("runs.db"),
                "SELECT (SELECT count(DISTINCT run) FROM layer), (SELECT count(DISTINCT run) FROM "
                "metric), (SELECT count(DISTINCT run) FROM file)",
                "1|1|1\n");
}

static void
a_run_ends_once(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_run run = some_run();
    (void)state;
    db = open_store(&cx, at("runs.db"));
    assert_done(&cx, qs_db_run_begin(&cx, db, &run));
    finish_run(&run);
    assert_done(&cx, qs_db_run_end(&cx, db, &run));
    assert_int_equal(qs_db_run_end(&cx, db, &run), QS_ERR_NOT_FOUND);
    qs_db_close(db);
}

static void
assert_checkpoint(struct qs_db *db, int64_t run, int position, const char *expected)
{
    struct qs_ctx cx;
    uint8_t *data;
    size_t n;
    qs_ctx_init(&cx);
    const enum qs_err err = qs_db_checkpoint_get(&cx, db, run, position, &data, &n);
    assert_int_equal(err, expected ? QS_OK : QS_ERR_NOT_FOUND);
    assert_int_equal(n, expected ? strlen(expected) : 0);
    if (n)
        assert_memory_equal(data, expected, n);
    free(data);
}

static void
checkpoints_stay_until_the_run_is_done(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_run run = some_run(), other = some_run();
    (void)state;
    db = open_store(&cx, at("runs.db"));
    assert_done(&cx, qs_db_run_begin(&cx, db, &run));
    assert_done(&cx, qs_db_run_begin(&cx, db, &other));
    assert_checkpoint(db, run.id, 0, NULL);
    assert_done(&cx, qs_db_checkpoint_put(&cx, db, run.id, 0, "first", 5));
    assert_done(&cx, qs_db_checkpoint_put(&cx, db, run.id, 0, "second", 6));
    assert_done(&cx, qs_db_checkpoint_put(&cx, db, run.id, 1, NULL, 0));
    assert_done(&cx, qs_db_checkpoint_put(&cx, db, other.id, 0, "other", 5));
    assert_int_equal(qs_db_checkpoint_put(&cx, db, 99, 0, "x", 1), QS_ERR_DB);
    qs_ctx_init(&cx);
    finish_run(&run);
    run.state = "cancelled";
    assert_done(&cx, qs_db_run_end(&cx, db, &run));
    assert_checkpoint(db, run.id, 0, "second");
    assert_checkpoint(db, run.id, 1, "");
    assert_done(&cx, qs_db_run_resume(&cx, db, run.id));
    assert_checkpoint(db, run.id, 0, "second");
    finish_run(&run);
    assert_done(&cx, qs_db_run_end(&cx, db, &run));
    assert_checkpoint(db, run.id, 0, NULL);
    assert_checkpoint(db, other.id, 0, "other");
    qs_db_close(db);
}

static void
a_run_is_taken_up_without_its_rows_and_ends_again(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db, *second;
    struct qs_run run = some_run(), got;
    (void)state;
    db = open_store(&cx, at("runs.db"));
    assert_done(&cx, qs_db_run_begin(&cx, db, &run));
    assert_int_equal(qs_db_run_resume(&cx, db, run.id), QS_ERR_DB); /* it is running */
    qs_ctx_init(&cx);
    finish_run(&run);
    run.state = "cancelled";
    run.message = "cancelled";
    assert_done(&cx, qs_db_run_end(&cx, db, &run));
    assert_done(&cx, qs_db_run_tag(&cx, db, run.id, "kept"));
    assert_done(&cx, qs_db_run_resume(&cx, db, run.id));
    assert_done(&cx, qs_db_run(&cx, db, run.id, &got));
    assert_string_equal(got.state, "running");
    assert_string_equal(got.message, "");
    assert_int_equal(got.n_layer + got.n_metric + got.n_file, 0);
    assert_int_equal(got.n_sensitivity + got.n_activation, 0);
    qs_run_release(&got);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &second));
    assert_int_equal(qs_db_run_resume(&cx, second, run.id), QS_ERR_DB); /* once only */
    qs_ctx_init(&cx);
    qs_db_close(second);
    finish_run(&run);
    assert_done(&cx, qs_db_run_end(&cx, db, &run));
    assert_done(&cx, qs_db_run(&cx, db, run.id, &got));
    assert_string_equal(got.tag, "kept");
    assert_same_sensitivity(&got, &run);
    qs_run_release(&got);
    assert_int_equal(qs_db_run_resume(&cx, db, run.id), QS_ERR_DB); /* it is done */
    qs_ctx_init(&cx);
    assert_int_equal(qs_db_run_resume(&cx, db, 99), QS_ERR_NOT_FOUND);
    qs_db_close(db);
}

static void
the_newest_calibrated_run_of_a_model_is_found(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_run got;
    (void)state;
    db = open_store(&cx, at("runs.db"));
    assert_done(&cx, qs_db_run_calibrated(&cx, db, "d1d1", &got));
    assert_int_equal(got.id, 0);
    for (int i = 0; i < 5; i++) { /* 2 is the one: after it come no activations, failed, other */
        struct qs_run run = some_run();
        run.model_digest = i == 4 ? "other" : "d1d1";
        assert_done(&cx, qs_db_run_begin(&cx, db, &run));
        finish_run(&run);
        run.n_activation = i == 2 ? 0 : run.n_activation;
        run.state = i == 3 ? "failed" : run.state;
        assert_done(&cx, qs_db_run_end(&cx, db, &run));
    }
    assert_done(&cx, qs_db_run_calibrated(&cx, db, "d1d1", &got));
    assert_int_equal(got.id, 2);
    assert_int_equal(got.n_activation, 2);
    qs_run_release(&got);
    qs_db_close(db);
}

static void
a_list_of_twenty_thousand_runs_is_whole(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_runs list;
    (void)state;
    make_store(at("runs.db"), 1);
    raw(at("runs.db"),
        "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
        " INSERT INTO run SELECT i, NULL, kind, state, model_path, model_digest, model_bytes, plan,"
        " method, bits, version, machine, isa, threads, started, seconds, bytes_before,"
        " bytes_after, output, 'tag ' || i, message, output_digest FROM n, run WHERE id = 1;"
        "INSERT INTO metric SELECT id, 0, 'm', id, NULL, NULL FROM run WHERE id % 3 = 0;");
    db = open_store(&cx, at("runs.db"));
    assert_done(&cx, qs_db_runs(&cx, db, NULL, &list));
    assert_int_equal(list.n, 20000);
    for (int i = 0; i < list.n; i++) {
        const struct qs_run *run = &list.run[i];
        assert_int_equal(run->id, 20000 - i);
        if (run->id % 3 == 0) {
            assert_int_equal(run->n_metric, 1);
            assert_true(run->metric[0].value == (double)run->id);
        }
    }
    qs_runs_release(&list);
    qs_db_close(db);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(every_field_comes_back),
        DB_TEST(a_run_of_nothing_but_zeros_is_stored),
        DB_TEST(the_digest_may_come_at_the_end),
        DB_TEST(runs_are_listed_newest_first_and_by_model),
        DB_TEST(models_are_known_by_digest_with_their_runs),
        DB_TEST(tags_are_set_taken_away_and_survive_the_end),
        DB_TEST(a_removed_run_is_gone_with_all_its_rows_and_its_number),
        DB_TEST(a_run_ends_once),
        DB_TEST(checkpoints_stay_until_the_run_is_done),
        DB_TEST(a_run_is_taken_up_without_its_rows_and_ends_again),
        DB_TEST(the_newest_calibrated_run_of_a_model_is_found),
        DB_TEST(a_list_of_twenty_thousand_runs_is_whole),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
