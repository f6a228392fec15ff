/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run store. Crashes and full disks are made at every single write of sqlite: its table of
 * system calls is changed in a child process, so the code under test has no hooks for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "db/db.h"
#include "db/internal.h"

static char folder[128]; /* of the running test */

static int
setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof(folder), "%s/test_db.XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int
teardown(void **state)
{
    char *command = qs_xasprintf("chmod -R u+rwx '%s' && rm -rf '%s'", folder, folder);
    (void)state;
    const int rc = system(command);
    free(command);
    return rc;
}

/* Path in the folder of the test; static, a few at a time. */
static const char *
at(const char *name)
{
    static char path[8][256];
    static int next;
    char *p = path[next++ % 8];
    snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
    return p;
}

static void
fresh(struct qs_ctx *cx)
{
    qs_ctx_init(cx);
}

#define assert_done(cx, call)                          \
    do {                                               \
        if ((call) != QS_OK)                           \
            fail_msg("%s: %s", #call, qs_message(cx)); \
    } while (0)

static void
assert_refused(struct qs_ctx *cx, const char *path, const char *words)
{
    struct qs_db *db;
    fresh(cx);
    if (qs_db_open(cx, path, &db) != QS_ERR_DB)
        fail_msg("'%s' was opened", path);
    assert_null(db);
    if (!strstr(qs_message(cx), words))
        fail_msg("'%s' does not say '%s'", qs_message(cx), words);
    assert_null(strchr(qs_message(cx), '\n'));
}

/* --- a connection of someone else --------------------------------------------------------- */

static sqlite3 *
raw_open(const char *path)
{
    sqlite3 *sql;
    assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
    sqlite3_busy_timeout(sql, 10000);
    return sql;
}

static void
raw_exec(sqlite3 *sql, const char *text)
{
    char *why = NULL;
    if (sqlite3_exec(sql, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", text, why);
}

static void
raw(const char *path, const char *text)
{
    sqlite3 *sql = raw_open(path);
    raw_exec(sql, text);
    sqlite3_close(sql);
}

/* All rows and columns as text, one row a line; malloc. */
static char *
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

static void
assert_text(const char *path, const char *query, const char *expected)
{
    char *text = raw_text(path, query);
    assert_string_equal(text, expected);
    free(text);
}

/* --- runs --------------------------------------------------------------------------------- */

enum { N_LAYER = 5 };
static struct qs_run_layer some_layer[N_LAYER] = {
    {"conv2d_0.w_0", "conv2d", "int8", "", 8, 64, 41.25, 100000, 25000, 256},
    {"fc_0.w_0", "mul", "int16", "rule 'fc*'", 16, 1, INFINITY, 4000, 2000, 4},
    {"fc_1.w_0", "matmul_v2", "kept", "too small", 0, 0, NAN, 40, 40, 0},
    {"emb", "lookup_table_v2", "skipped", "ein 'Zitat'; -- \xc3\xa4", 0, 0, -INFINITY, 0, 0, 0},
    {"emb", "lookup_table_v2", "simulated", "same name again", 8, 1 << 30, 1e-300, (int64_t)1 << 62,
     INT64_MAX, 1},
};
static struct qs_run_metric some_metric[] = {
    {"top1", 0.7125, 0.7, 0.725},
    {"size_ratio", 3.0, NAN, NAN},
    {"nothing", NAN, -INFINITY, INFINITY},
};
static struct qs_file_info some_file[] = {
    {"/out/__model__", 12345, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
    {"/out/name with\nnew line", INT64_MAX, ""},
};

static struct qs_run_sensitivity some_sensitivity[] = {
    {"conv2d_0.w_0", "conv2d", "both", 8, 0.70, 0.0125, NAN, NAN, 0.9991, 31.5, 28.25, 41.25,
     100000, 25256},
    {"fc_0.w_0", "mul", "weights", 4, NAN, NAN, 0.5, -0.25, NAN, INFINITY, -INFINITY, NAN, 0,
     INT64_MAX},
};
static int32_t some_count[] = {1, INT32_MAX, 0};
static struct qs_run_activation some_activation[] = {
    {"relu_0.tmp_0", "conv2d", 0.0, 6.5, 64, 1, "KL", 5.75, 38.5, 0.0078125, some_count,
     QS_LEN(some_count), "abs_max=6.5 KL=5.75"},
    {"constant", "", NAN, NAN, 0, 0, "", NAN, NAN, NAN, NULL, 0, ""},
};

/* A run without anything owned: only for the writing functions. */
static struct qs_run
some_run(void)
{
    return (struct qs_run){
        .kind = "quantize",
        .model_path = "/models/mobilenet/inference.pdmodel",
        .model_digest = "d1d1",
        .model_bytes = 17000000,
        .plan = "method = weight-only\nbits = 8\n",
        .method = "weight-only",
        .bits = 8,
        .version = "0.1.0",
        .machine = "Some CPU @ 2 GHz",
        .isa = "avx2",
        .threads = 4,
        .started = 1700000000.25,
    };
}

static void
finish_run(struct qs_run *run)
{
    run->state = "done";
    run->seconds = 0.125;
    run->bytes_before = 17000000;
    run->bytes_after = 4300000;
    run->output = "/out";
    run->message = "";
    run->layer = some_layer;
    run->n_layer = N_LAYER;
    run->metric = some_metric;
    run->n_metric = QS_LEN(some_metric);
    run->file = some_file;
    run->n_file = QS_LEN(some_file);
    run->sensitivity = some_sensitivity;
    run->n_sensitivity = QS_LEN(some_sensitivity);
    run->activation = some_activation;
    run->n_activation = QS_LEN(some_activation);
    run->output_digest = "0e0e";
}

static int64_t
store_run(struct qs_ctx *cx, struct qs_db *db)
{
    struct qs_run run = some_run();
    assert_done(cx, qs_db_run_begin(cx, db, &run));
    finish_run(&run);
    assert_done(cx, qs_db_run_end(cx, db, &run));
    return run.id;
}

static void
make_store(const char *path, int n_runs)
{
    struct qs_ctx cx;
    struct qs_db *db;
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, path, &db));
    for (int i = 0; i < n_runs; i++)
        store_run(&cx, db);
    qs_db_close(db);
}

static void
assert_same_text(const char *a, const char *b)
{
    assert_non_null(a);
    assert_string_equal(a, b ? b : "");
}

static void
assert_same_real(double a, double b)
{
    assert_true(isnan(a) ? isnan(b) : a == b);
}

static void
assert_same_run(const struct qs_run *a, const struct qs_run *b)
{
    assert_int_equal(a->id, b->id);
    assert_int_equal(a->parent, b->parent);
    assert_same_text(a->kind, b->kind);
    assert_same_text(a->state, b->state);
    assert_same_text(a->model_path, b->model_path);
    assert_same_text(a->model_digest, b->model_digest);
    assert_true(a->model_bytes == b->model_bytes);
    assert_same_text(a->plan, b->plan);
    assert_same_text(a->method, b->method);
    assert_int_equal(a->bits, b->bits);
    assert_same_text(a->version, b->version);
    assert_same_text(a->machine, b->machine);
    assert_same_text(a->isa, b->isa);
    assert_int_equal(a->threads, b->threads);
    assert_same_real(a->started, b->started);
    assert_same_real(a->seconds, b->seconds);
    assert_true(a->bytes_before == b->bytes_before && a->bytes_after == b->bytes_after);
    assert_same_text(a->output, b->output);
    assert_same_text(a->tag, b->tag);
    assert_same_text(a->message, b->message);
    assert_same_text(a->output_digest, b->output_digest);
}

static void
assert_same_metrics(const struct qs_run *a, const struct qs_run *b)
{
    assert_int_equal(a->n_metric, b->n_metric);
    for (int i = 0; i < a->n_metric; i++) {
        assert_same_text(a->metric[i].name, b->metric[i].name);
        assert_same_real(a->metric[i].value, b->metric[i].value);
        assert_same_real(a->metric[i].low, b->metric[i].low);
        assert_same_real(a->metric[i].high, b->metric[i].high);
    }
}

static void
assert_same_layers(const struct qs_run *a, const struct qs_run *b)
{
    assert_int_equal(a->n_layer, b->n_layer);
    for (int i = 0; i < a->n_layer; i++) {
        const struct qs_run_layer *x = &a->layer[i], *y = &b->layer[i];
        assert_same_text(x->weight, y->weight);
        assert_same_text(x->op_type, y->op_type);
        assert_same_text(x->action, y->action);
        assert_same_text(x->reason, y->reason);
        assert_int_equal(x->bits, y->bits);
        assert_int_equal(x->scale_count, y->scale_count);
        assert_same_real(x->sqnr_db, y->sqnr_db);
        assert_true(x->bytes_before == y->bytes_before && x->bytes_after == y->bytes_after);
        assert_true(x->scale_bytes == y->scale_bytes);
    }
}

static void
assert_same_files(const struct qs_run *a, const struct qs_run *b)
{
    assert_int_equal(a->n_file, b->n_file);
    for (int i = 0; i < a->n_file; i++) {
        assert_same_text(a->file[i].path, b->file[i].path);
        assert_true(a->file[i].bytes == b->file[i].bytes);
        assert_string_equal(a->file[i].sha256, b->file[i].sha256);
    }
}

static void
assert_same_sensitivity(const struct qs_run *a, const struct qs_run *b)
{
    assert_int_equal(a->n_sensitivity, b->n_sensitivity);
    for (int i = 0; i < a->n_sensitivity; i++) {
        const struct qs_run_sensitivity *x = &a->sensitivity[i], *y = &b->sensitivity[i];
        assert_same_text(x->weight, y->weight);
        assert_same_text(x->op_type, y->op_type);
        assert_same_text(x->mode, y->mode);
        assert_int_equal(x->bits, y->bits);
        assert_same_real(x->metric, y->metric);
        assert_same_real(x->drop, y->drop);
        assert_same_real(x->others_metric, y->others_metric);
        assert_same_real(x->others_drop, y->others_drop);
        assert_same_real(x->cosine, y->cosine);
        assert_same_real(x->sqnr_db, y->sqnr_db);
        assert_same_real(x->accumulated_db, y->accumulated_db);
        assert_same_real(x->weight_db, y->weight_db);
        assert_true(x->bytes_float == y->bytes_float && x->bytes_quant == y->bytes_quant);
    }
}

static void
assert_same_activations(const struct qs_run *a, const struct qs_run *b)
{
    assert_int_equal(a->n_activation, b->n_activation);
    for (int i = 0; i < a->n_activation; i++) {
        const struct qs_run_activation *x = &a->activation[i], *y = &b->activation[i];
        assert_same_text(x->var, y->var);
        assert_same_text(x->op_type, y->op_type);
        assert_same_real(x->min, y->min);
        assert_same_real(x->max, y->max);
        assert_true(x->n_samples == y->n_samples && x->n_bad == y->n_bad);
        assert_same_text(x->algo, y->algo);
        assert_same_real(x->threshold, y->threshold);
        assert_same_real(x->sqnr_db, y->sqnr_db);
        assert_same_real(x->width, y->width);
        assert_int_equal(x->n_bin, y->n_bin);
        if (x->n_bin)
            assert_memory_equal(x->count, y->count, (size_t)x->n_bin * sizeof(*x->count));
        assert_same_text(x->thresholds, y->thresholds);
    }
}

static void
every_field_comes_back(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_run run = some_run(), got;
    struct qs_runs list;
    (void)state;
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
    run.parent = store_run(&cx, db);
    assert_done(&cx, qs_db_run_begin(&cx, db, &run));
    finish_run(&run);
    run.tag = "a 'tag'";
    run.message = "of a\nfailure";
    assert_done(&cx, qs_db_run_end(&cx, db, &run));
    qs_db_close(db);

    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
    assert_done(&cx, qs_db_run(&cx, db, run.id, &got));
    assert_same_run(&got, &run);
    assert_same_metrics(&got, &run);
    assert_same_layers(&got, &run);
    assert_same_files(&got, &run);
    assert_same_sensitivity(&got, &run);
    assert_same_activations(&got, &run);
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
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
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
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
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
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
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
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
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
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
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
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
    child.parent = store_run(&cx, db);
    const int64_t id = child.parent;
    assert_done(&cx, qs_db_run_begin(&cx, db, &child));
    assert_done(&cx, qs_db_run_remove(&cx, db, id));
    assert_int_equal(qs_db_run(&cx, db, id, &got), QS_ERR_NOT_FOUND);
    fresh(&cx);
    assert_int_equal(qs_db_run_remove(&cx, db, id), QS_ERR_NOT_FOUND);
    fresh(&cx);
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
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
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
    fresh(&cx);
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
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
    assert_done(&cx, qs_db_run_begin(&cx, db, &run));
    assert_done(&cx, qs_db_run_begin(&cx, db, &other));
    assert_checkpoint(db, run.id, 0, NULL);
    assert_done(&cx, qs_db_checkpoint_put(&cx, db, run.id, 0, "first", 5));
    assert_done(&cx, qs_db_checkpoint_put(&cx, db, run.id, 0, "second", 6));
    assert_done(&cx, qs_db_checkpoint_put(&cx, db, run.id, 1, NULL, 0));
    assert_done(&cx, qs_db_checkpoint_put(&cx, db, other.id, 0, "other", 5));
    assert_int_equal(qs_db_checkpoint_put(&cx, db, 99, 0, "x", 1), QS_ERR_DB);
    fresh(&cx);
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
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
    assert_done(&cx, qs_db_run_begin(&cx, db, &run));
    assert_int_equal(qs_db_run_resume(&cx, db, run.id), QS_ERR_DB); /* it is running */
    fresh(&cx);
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
    fresh(&cx);
    qs_db_close(second);
    finish_run(&run);
    assert_done(&cx, qs_db_run_end(&cx, db, &run));
    assert_done(&cx, qs_db_run(&cx, db, run.id, &got));
    assert_string_equal(got.tag, "kept");
    assert_same_sensitivity(&got, &run);
    qs_run_release(&got);
    assert_int_equal(qs_db_run_resume(&cx, db, run.id), QS_ERR_DB); /* it is done */
    fresh(&cx);
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
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
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
    assert_int_equal(got.n_activation, QS_LEN(some_activation));
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
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
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

/* --- versions ----------------------------------------------------------------------------- */

static const char schema_query[] =
    "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";

static char *
version_text(int version)
{
    struct qs_ctx cx;
    const char *src = getenv("srcdir");
    char *path = qs_xasprintf("%s/tests/db/v%d.sql", src ? src : ".", version), *text;
    size_t n;
    fresh(&cx);
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
    fresh(&cx);
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
    fresh(&cx);
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
    assert_same_run(&got, &run);
    assert_same_metrics(&got, &run);
    assert_same_layers(&got, &run);
    assert_same_files(&got, &run);
    assert_same_sensitivity(&got, &run);
    assert_same_activations(&got, &run);
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
copy_bytes(const char *path, char **out, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    *out = qs_xmalloc(1 << 20);
    *n = fread(*out, 1, 1 << 20, f);
    fclose(f);
}

static void
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

/* --- writes that fail or kill ------------------------------------------------------------- */

static int writes_left;  /* until it happens; negative: never */
static bool writes_kill; /* else the disk is full from there on */

static bool
write_is_hit(void)
{
    if (writes_left < 0 || writes_left-- > 0)
        return false;
    if (writes_kill)
        kill(getpid(), SIGKILL);
    writes_left = 0;
    return true;
}

static ssize_t
hit_pwrite(int fd, const void *p, size_t n, off_t offset)
{
    if (!write_is_hit())
        return pwrite(fd, p, n, offset);
    errno = ENOSPC;
    return -1;
}

static ssize_t
hit_write(int fd, const void *p, size_t n)
{
    if (!write_is_hit())
        return write(fd, p, n);
    errno = ENOSPC;
    return -1;
}

static int
hit_ftruncate(int fd, off_t n)
{
    if (!write_is_hit())
        return ftruncate(fd, n);
    errno = EIO;
    return -1;
}

static int
hit_unlink(const char *path)
{
    if (writes_kill)
        (void)write_is_hit();
    return unlink(path);
}

static void
hit_after(int n, bool kills)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find("unix");
    writes_left = n;
    writes_kill = kills;
    vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)hit_pwrite);
    vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)hit_pwrite);
    vfs->xSetSystemCall(vfs, "write", (sqlite3_syscall_ptr)hit_write);
    vfs->xSetSystemCall(vfs, "ftruncate", (sqlite3_syscall_ptr)hit_ftruncate);
    vfs->xSetSystemCall(vfs, "unlink", (sqlite3_syscall_ptr)hit_unlink);
}

/* Runs `work` in a child. Returns its exit status, or -1 when it was killed by SIGKILL. Children
 * leave with _exit: they report by status, and cmocka belongs to the parent. */
static int
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

enum { FINE = 0, REPORTED = 3, WRONG = 4 };

static int
report(struct qs_ctx *cx)
{
    return cx->err == QS_ERR_DB && cx->message[0] ? REPORTED : WRONG;
}

static int
store_in_child(void)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_run run = some_run();
    fresh(&cx);
    if (qs_db_open(&cx, at("runs.db"), &db))
        return report(&cx);
    enum qs_err err = qs_db_run_begin(&cx, db, &run);
    finish_run(&run);
    if (!err)
        err = qs_db_run_end(&cx, db, &run);
    qs_db_close(db);
    return err ? report(&cx) : FINE;
}

/* Whatever happened: the store opens, and a run that looks finished is whole. */
static void
assert_sound(const char *path, int most)
{
    struct qs_ctx cx;
    struct qs_db *db;
    struct qs_runs list;
    struct qs_run run;
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, path, &db));
    assert_done(&cx, qs_db_runs(&cx, db, NULL, &list));
    assert_in_range(list.n, 0, most);
    for (int i = 0; i < list.n; i++) {
        assert_done(&cx, qs_db_run(&cx, db, list.run[i].id, &run));
        const bool done = strcmp(run.state, "done") == 0;
        if (!done)
            assert_string_equal(run.state, "interrupted");
        assert_string_equal(run.state, list.run[i].state);
        assert_int_equal(run.n_layer, done ? N_LAYER : 0);
        assert_int_equal(run.n_file, done ? QS_LEN(some_file) : 0);
        assert_int_equal(run.n_metric, done ? QS_LEN(some_metric) : 0);
        qs_run_release(&run);
    }
    qs_runs_release(&list);
    store_run(&cx, db);
    qs_db_close(db);
    assert_text(path, "PRAGMA integrity_check", "ok\n");
    assert_text(path, "PRAGMA foreign_key_check", "");
}

static void
remove_store(const char *path)
{
    static const char *const suffix[] = {"", "-wal", "-shm", "-journal", "-lock"};
    for (size_t i = 0; i < QS_LEN(suffix); i++) {
        char *name = qs_xasprintf("%s%s", path, suffix[i]);
        unlink(name);
        free(name);
    }
}

static int hit_at;
static bool hit_kills;

static int
store_with_hit(void)
{
    hit_after(hit_at, hit_kills);
    return store_in_child();
}

/* At each write in turn, until one child comes through untouched. */
static void
hit_every_write(bool kills, bool existing, int when_hit)
{
    enum { MOST = 1000 };
    int n = 0;
    hit_kills = kills;
    for (; n < MOST; n++) {
        remove_store(at("runs.db"));
        if (existing)
            make_store(at("runs.db"), 1);
        hit_at = n;
        const int status = in_child(store_with_hit);
        assert_sound(at("runs.db"), existing ? 2 : 1);
        /* With a full disk the log may still stand where folding it into the file failed. */
        if (status == FINE && (kills || n > 60))
            break;
        assert_true(status == when_hit || (status == FINE && !kills));
    }
    assert_in_range(n, 5, MOST - 1);
}

static void
a_kill_at_any_write_of_a_new_store_leaves_a_sound_one(void **state)
{
    (void)state;
    hit_every_write(true, false, -1);
}

static void
a_kill_at_any_write_of_a_run_leaves_a_sound_store(void **state)
{
    (void)state;
    hit_every_write(true, true, -1);
}

static void
a_disk_full_at_any_write_is_reported(void **state)
{
    (void)state;
    hit_every_write(false, false, REPORTED);
    hit_every_write(false, true, REPORTED);
}

static int
store_with_size_limit(void)
{
    const struct rlimit limit = {60000, 60000};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    int status = FINE;
    for (int i = 0; i < 100 && status == FINE; i++)
        status = store_in_child();
    return status;
}

static void
a_file_size_limit_is_reported(void **state)
{
    (void)state;
    assert_int_equal(in_child(store_with_size_limit), REPORTED);
    assert_sound(at("runs.db"), 100);
}

/* --- migrations --------------------------------------------------------------------------- */

/* Steps that later versions could have, after the real ones. */
enum { MORE = 2 };
static struct qs_db_step more_steps[16];

static int
make_more_steps(void)
{
    const int n = qs_db_n_steps;
    memcpy(more_steps, qs_db_steps, (size_t)n * sizeof(*more_steps));
    more_steps[n].sql = "CREATE TABLE extra (run INTEGER REFERENCES run (id)) STRICT;"
                        "INSERT INTO extra SELECT id FROM run;"
                        "CREATE INDEX extra_run ON extra (run);";
    more_steps[n + 1].sql = "ALTER TABLE extra ADD COLUMN note TEXT NOT NULL DEFAULT '';"
                            "UPDATE extra SET note = 'n' || run;";
    return n + MORE;
}

static int
migrate_in_child(void)
{
    struct qs_ctx cx;
    struct qs_db *db;
    fresh(&cx);
    if (qs_db_open(&cx, at("runs.db"), &db))
        return WRONG;
    hit_after(hit_at, hit_kills);
    const enum qs_err err = qs_db_migrate(&cx, db, more_steps, make_more_steps());
    qs_db_close(db);
    return err ? report(&cx) : FINE;
}

static void
assert_between_versions(const char *path)
{
    static const char *const found[MORE + 1] = {"0|0\n", "2|0\n", "2|1\n"};
    char *version = raw_text(path, "PRAGMA user_version");
    const int k = atoi(version) - qs_db_n_steps;
    free(version);
    assert_in_range(k, 0, MORE);
    assert_text(path,
                "SELECT count(*), count(*) FILTER (WHERE sql LIKE '%note%') FROM sqlite_schema"
                " WHERE tbl_name = 'extra'",
                found[k]);
    if (k == MORE)
        assert_text(path, "SELECT count(*) FROM extra WHERE note = 'n' || run", "3\n");
    assert_text(path, "PRAGMA integrity_check", "ok\n");
    assert_text(path, "SELECT count(*) FROM run", "3\n");
}

static void
migrate_with_hits(bool kills, int when_hit)
{
    enum { MOST = 200 };
    int status = when_hit;
    hit_kills = kills;
    for (hit_at = 0; status == when_hit && hit_at < MOST; hit_at++) {
        remove_store(at("runs.db"));
        make_store(at("runs.db"), 3);
        status = in_child(migrate_in_child);
        assert_between_versions(at("runs.db"));
    }
    assert_int_equal(status, FINE);
    assert_in_range(hit_at, 5, MOST - 1);
}

static void
a_kill_in_a_migration_leaves_one_version_or_the_next(void **state)
{
    (void)state;
    migrate_with_hits(true, -1);
}

static void
a_full_disk_in_a_migration_leaves_one_version_or_the_next(void **state)
{
    (void)state;
    migrate_with_hits(false, REPORTED);
}

static void
a_step_that_fails_leaves_the_version_before_it(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    (void)state;
    fresh(&cx);
    make_store(at("runs.db"), 3);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
    const int n = make_more_steps();
    more_steps[n - 1].sql = "ALTER TABLE extra ADD COLUMN note TEXT; CREATE TABLE run (x);";
    assert_int_equal(qs_db_migrate(&cx, db, more_steps, n), QS_ERR_DB);
    qs_db_close(db);
    assert_between_versions(at("runs.db"));
    assert_refused_unchanged(at("runs.db"), "knows versions up to");
}

/* --- two processes ------------------------------------------------------------------------ */

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
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
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
        fresh(&cx);
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
    fresh(&cx);
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
    fresh(&cx);
    const pid_t pid = start_runner();
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
    assert_state(db, 1, "running");
    store_run(&cx, db); /* looks through the runs of the dead */
    assert_state(db, 1, "running");
    assert_int_equal(qs_db_run_remove(&cx, db, 1), QS_ERR_DB);
    fresh(&cx);
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
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &mine));
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
    fresh(&cx);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
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

/* --- files that are not stores ------------------------------------------------------------ */

static void
write_bytes(const char *path, const char *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}

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
    fresh(&cx);
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
a_store_through_a_link_is_the_same_store(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    (void)state;
    fresh(&cx);
    const pid_t pid = start_runner();
    assert_int_equal(symlink(at("runs.db"), at("link.db")), 0);
    assert_done(&cx, qs_db_open(&cx, at("link.db"), &db));
    assert_state(db, 1, "running");
    qs_db_close(db);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* --- read-only ---------------------------------------------------------------------------- */

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
    fresh(&cx);
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
    fresh(&cx);
    if (qs_db_open(&cx, at("new.db"), &db) != QS_ERR_DB || !strstr(qs_message(&cx), "denied"))
        return WRONG;
    fresh(&cx);
    if (qs_db_open(&cx, at("new/new.db"), &db) != QS_ERR_DB || !strstr(qs_message(&cx), "denied"))
        return WRONG;
    fresh(&cx);
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

/* --- contents of someone else's making ---------------------------------------------------- */

static void
triggers_of_others_do_nothing(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    (void)state;
    fresh(&cx);
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
        fresh(&cx);
        assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
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
        fresh(&cx);
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
        fresh(&cx);
        assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
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
        fresh(&cx);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_field_comes_back),
        TEST(a_run_of_nothing_but_zeros_is_stored),
        TEST(the_digest_may_come_at_the_end),
        TEST(runs_are_listed_newest_first_and_by_model),
        TEST(models_are_known_by_digest_with_their_runs),
        TEST(tags_are_set_taken_away_and_survive_the_end),
        TEST(a_removed_run_is_gone_with_all_its_rows_and_its_number),
        TEST(a_run_ends_once),
        TEST(checkpoints_stay_until_the_run_is_done),
        TEST(a_run_is_taken_up_without_its_rows_and_ends_again),
        TEST(the_newest_calibrated_run_of_a_model_is_found),
        TEST(a_list_of_twenty_thousand_runs_is_whole),
        TEST(a_store_of_every_old_version_becomes_what_a_fresh_one_is),
        TEST(the_text_of_an_old_store_is_read_in_every_field),
        TEST(a_newer_store_is_refused_and_left_alone),
        TEST(the_database_of_another_program_is_refused_and_left_alone),
        TEST(a_kill_at_any_write_of_a_new_store_leaves_a_sound_one),
        TEST(a_kill_at_any_write_of_a_run_leaves_a_sound_store),
        TEST(a_disk_full_at_any_write_is_reported),
        TEST(a_file_size_limit_is_reported),
        TEST(a_kill_in_a_migration_leaves_one_version_or_the_next),
        TEST(a_full_disk_in_a_migration_leaves_one_version_or_the_next),
        TEST(a_step_that_fails_leaves_the_version_before_it),
        TEST(programs_that_write_at_once_all_get_their_runs_stored),
        TEST(a_run_of_another_process_is_running_until_that_dies),
        TEST(a_run_of_this_process_is_running_in_every_connection),
        TEST(a_run_can_be_ended_through_another_connection),
        TEST(what_is_not_a_database_is_refused_in_one_sentence),
        TEST(a_journal_that_is_a_fifo_is_not_waited_for),
        TEST(a_lock_file_that_is_a_fifo_is_reported),
        TEST(an_empty_file_is_a_new_store),
        TEST(folders_are_made_and_odd_names_are_names),
        TEST(a_store_through_a_link_is_the_same_store),
        TEST(a_read_only_store_is_read_and_a_run_reported_as_not_stored),
        TEST(a_folder_or_file_without_permission_is_reported),
        TEST(a_wal_store_is_used_where_there_is_no_shared_memory),
        TEST(a_new_store_is_made_where_there_is_no_shared_memory),
        TEST(triggers_of_others_do_nothing),
        TEST(a_view_or_other_columns_in_place_of_a_table_are_reported),
        TEST(damaged_rows_are_reported_and_the_others_shown),
        TEST(damaged_parts_of_a_run_are_reported),
        TEST(a_file_with_any_byte_changed_does_no_harm),
        TEST(the_default_path_follows_the_environment),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
