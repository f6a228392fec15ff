/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluations of the sample model: batches, live metrics, what a cancelled one keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "base/file.h"
#include "base/mem.h"

enum { SAMPLES = 50, STOP_AT = 20 };

static char folder[] = "/tmp/qslim-evaluate-XXXXXX";

static char *
in_sample(const char *name)
{
    const char *src = getenv("srcdir");
    return qs_xasprintf("%s/sample/%s", src ? src : ".", name);
}

static char *
in_folder(const char *name)
{
    return qs_xasprintf("%s/%s", folder, name);
}

/* Evaluates the first samples; `predictions` (may be NULL) is the name of a file in the folder. */
static enum qs_err
evaluate(struct qs_ctx *cx, int batch, bool exact, const char *predictions,
         struct qs_evaluated *out)
{
    char *model = in_sample("digits"), *data = in_sample("digits.yaml"), *db = in_folder("db");
    char *file = predictions ? in_folder(predictions) : NULL;
    const struct qs_evaluate_options opt = {.data = data,
                                            .samples = SAMPLES,
                                            .batch = batch,
                                            .exact = exact,
                                            .predictions = file,
                                            .db = db};
    struct qs_opened *o = NULL;
    enum qs_err err = qs_app_open(cx, model, NULL, NULL, &o);
    assert_int_equal(err, QS_OK);
    err = qs_app_evaluate(cx, o, NULL, &opt, out);
    qs_app_close(o);
    free(model);
    free(data);
    free(db);
    free(file);
    return err;
}

static char *
text_of(const char *name)
{
    char *path = in_folder(name), text[4096];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    unlink(path);
    free(path);
    return qs_xstrdup(text);
}

static void
predictions_do_not_depend_on_batches_or_engine(void **state)
{
    static const int batches[] = {1, 0, 7, 256};
    struct qs_evaluated e;
    struct qs_ctx cx;
    (void)state;
    qs_ctx_init(&cx);
    assert_int_equal(evaluate(&cx, 1, true, "exact", &e), QS_OK);
    assert_string_equal(e.engine, "exact");
    qs_evaluated_release(&e);
    char *want = text_of("exact");
    for (size_t i = 0; i < QS_LEN(batches); i++) {
        cx.threads = 1 + (int)i;
        if (evaluate(&cx, batches[i], false, "fast", &e) != QS_OK)
            fail_msg("%s", qs_message(&cx));
        assert_string_equal(e.engine, "fast");
        assert_int_equal(e.samples, SAMPLES);
        char *got = text_of("fast");
        assert_string_equal(got, want);
        free(got);
        qs_evaluated_release(&e);
    }
    free(want);
}

struct listener {
    struct qs_ctx *cx;
    int n_metric, stop_at;
};

static void
listen(void *arg, const struct qs_event *ev)
{
    struct listener *l = arg;
    if (ev->kind == QS_EVENT_METRIC) {
        assert_in_range((int64_t)(1000 * ev->value), 0, 1000);
        l->n_metric++;
    }
    if (ev->kind == QS_EVENT_PROGRESS && ev->done == l->stop_at)
        atomic_store(&l->cx->cancel, true);
}

static void
metrics_are_reported_while_it_runs(void **state)
{
    struct qs_evaluated e;
    struct qs_ctx cx;
    struct listener l = {.cx = &cx};
    (void)state;
    qs_ctx_init(&cx);
    cx.sink = listen;
    cx.sink_arg = &l;
    assert_int_equal(evaluate(&cx, 1, false, NULL, &e), QS_OK);
    assert_int_equal(l.n_metric, SAMPLES * e.run.n_metric);
    qs_evaluated_release(&e);
}

static void
a_cancelled_evaluation_keeps_the_metrics_of_what_it_saw(void **state)
{
    struct qs_evaluated e;
    struct qs_run stored;
    struct qs_ctx cx;
    struct listener l = {.cx = &cx, .stop_at = STOP_AT};
    char *db = in_folder("db");
    (void)state;
    qs_ctx_init(&cx);
    cx.threads = 1;
    cx.sink = listen;
    cx.sink_arg = &l;
    assert_int_equal(evaluate(&cx, 4, false, NULL, &e), QS_ERR_CANCELLED);
    assert_int_equal(e.samples, STOP_AT);
    assert_string_equal(e.run.state, "cancelled");
    atomic_store(&cx.cancel, false);
    qs_clear(&cx);
    assert_int_equal(qs_app_run(&cx, db, e.run.id, &stored), QS_OK);
    assert_string_equal(stored.state, "cancelled");
    assert_int_equal(stored.n_metric, 2);
    assert_string_equal(stored.metric[0].name, "top1");
    assert_true(stored.metric[0].value > 0.9 && stored.metric[0].low < stored.metric[0].value);
    qs_run_release(&stored);
    qs_evaluated_release(&e);
    free(db);
}

static int
setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int
teardown(void **state)
{
    static const char *const names[] = {"db", "db-lock", "db-wal", "db-shm"};
    (void)state;
    for (size_t i = 0; i < QS_LEN(names); i++) {
        char *path = in_folder(names[i]);
        unlink(path);
        free(path);
    }
    return rmdir(folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predictions_do_not_depend_on_batches_or_engine),
        cmocka_unit_test(metrics_are_reported_while_it_runs),
        cmocka_unit_test(a_cancelled_evaluation_keeps_the_metrics_of_what_it_saw),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, teardown);
}
