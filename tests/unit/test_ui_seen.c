/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../graphs.h"
#include "base/mem.h"
#include "base/str.h"
#include "ui/seen.h"

enum { N = 20000, EACH = 8 };

/* Values of a normal distribution, about; those below `least` become it. */
static void
fill(float *v, int n, float least)
{
    uint32_t x = 7;
    for (int i = 0; i < n; i++) {
        float sum = -6;
        for (int k = 0; k < 12; k++, x = x * 1664525u + 1013904223u)
            sum += (float)(x >> 8) / (1 << 24);
        v[i] = sum > least ? sum : least;
    }
}

static struct qs_observer *
observe(int bits, float least, struct qs_observed *seen)
{
    static float v[N];
    struct qs_ctx cx;
    const struct qs_calib_options opt = {.bits = bits, .hist_percent = 0.999};
    struct qs_observer *o = qs_observer_new(&opt);
    struct qs_value value = {.dtype = QS_DTYPE_float32, .n = 2, .d = {1, N}, .data = v};
    qs_ctx_init(&cx);
    fill(v, N, least);
    value.count = N;
    assert_int_equal(qs_observer_add(&cx, o, &value), QS_OK);
    qs_observer_result(o, seen);
    return o;
}

/* As a run keeps it: EACH bins in one, up to the last with something in it. */
static void
store(const struct qs_observed *s, const char *algo, struct qs_run_activation *row)
{
    struct qs_str text;
    int taken = 0;
    qs_str_init(&text);
    for (int i = 0; i < QS_N_ALGO; i++) {
        qs_str_printf(&text, "%s=%.9g ", qs_algo_names[i], s->threshold[i]);
        taken = strcmp(qs_algo_names[i], algo) == 0 ? i : taken;
    }
    *row = (struct qs_run_activation){.var = "x",
                                      .op_type = "relu",
                                      .min = s->min,
                                      .max = s->max,
                                      .n_samples = 1,
                                      .algo = (char *)algo,
                                      .threshold = s->threshold[taken],
                                      .sqnr_db = s->sqnr_db[taken],
                                      .width = s->width * EACH,
                                      .thresholds = qs_str_take(&text)};
    row->count = qs_xcalloc((size_t)s->n_bin / EACH, sizeof(*row->count));
    for (int i = 0; i < s->n_bin; i++) {
        row->count[i / EACH] += (int32_t)s->count[i];
        row->n_bin = s->count[i] ? i / EACH + 1 : row->n_bin;
    }
}

static struct qs_model *
model(void)
{
    static const char *const line[] = {"relu X:x > Out:y", NULL};
    struct test_random r = {1};
    return test_graph("1,3,8,8", line, 1, &r);
}

static struct ui_calibration *
calibration(struct qs_run_activation *row, int n, int bits)
{
    const struct qs_run run = {
        .id = 3, .kind = "quantize", .bits = bits, .activation = row, .n_activation = n};
    struct qs_model *m = model();
    struct ui_calibration *c = ui_calibration_new(&run, m);
    qs_model_unref(m);
    return c;
}

static void
check_errors(int bits, float least)
{
    struct qs_observed seen;
    struct qs_run_activation row;
    struct qs_observer *o = observe(bits, least, &seen);
    store(&seen, "mse", &row);
    struct ui_calibration *c = calibration(&row, 1, bits);
    assert_non_null(c);
    const struct ui_seen *s = &c->seen[0];
    assert_ptr_equal(ui_seen_of(c, s->var), s);
    assert_int_equal(s->algo, QS_ALGO_mse);
    for (int i = 0; i < QS_N_ALGO; i++) {
        assert_true(fabs(s->of.threshold[i] - seen.threshold[i]) < 1e-6);
        const double db = ui_seen_sqnr(s, bits, s->of.threshold[i]);
        if (!(fabs(db - seen.sqnr_db[i]) < 0.3))
            fail_msg("%s: %g dB, not %g", qs_algo_names[i], db, seen.sqnr_db[i]);
    }
    ui_calibration_at(c, bits);
    assert_true(seen.sqnr_db[s->of.best] > seen.sqnr_db[seen.best] - 0.3);
    assert_true(s->of.sqnr_db[QS_ALGO_kl] == ui_seen_sqnr(s, bits, s->of.threshold[QS_ALGO_kl]));
    const double before = s->of.sqnr_db[s->of.best];
    ui_calibration_at(c, bits + 1);
    assert_true(s->of.sqnr_db[s->of.best] > before + 3);
    ui_calibration_free(c);
    qs_observer_free(o);
    free(row.count);
    free(row.thresholds);
}

static void
errors_are_those_that_were_measured(void **state)
{
    (void)state;
    check_errors(8, 0);
    check_errors(8, -10);
    check_errors(4, 0);
    check_errors(5, -10);
}

/* A calibration took the best from more bins than it stored. */
static void
the_best_is_what_the_run_took(void **state)
{
    (void)state;
    struct qs_observed seen;
    struct qs_run_activation row;
    struct qs_observer *o = observe(8, 0, &seen);
    store(&seen, "avg", &row);
    const struct qs_run run = {
        .id = 3, .kind = "calibrate", .bits = 8, .activation = &row, .n_activation = 1};
    struct qs_model *m = model();
    struct ui_calibration *c = ui_calibration_new(&run, m);
    ui_calibration_at(c, 8);
    assert_int_equal(c->seen[0].of.best, QS_ALGO_avg);
    ui_calibration_at(c, 4);
    assert_int_not_equal(c->seen[0].of.best, -1);
    assert_int_not_equal(c->seen[0].of.best, QS_ALGO_avg);
    ui_calibration_free(c);
    qs_model_unref(m);
    qs_observer_free(o);
    free(row.count);
    free(row.thresholds);
}

/* A run that says which calibrator it took is no word on the best: that is what auto would take. */
static void
the_best_is_what_auto_takes(void **state)
{
    (void)state;
    struct qs_observed seen;
    struct qs_run_activation row;
    struct qs_observer *o = observe(8, 0, &seen);
    char plan[] = "# samples = 1\n# algo = avg\n";
    store(&seen, "avg", &row);
    const struct qs_run run = {.id = 3,
                               .kind = "calibrate",
                               .plan = plan,
                               .bits = 8,
                               .activation = &row,
                               .n_activation = 1};
    struct qs_model *m = model();
    struct ui_calibration *c = ui_calibration_new(&run, m);
    ui_calibration_at(c, 8);
    assert_int_equal(c->seen[0].algo, QS_ALGO_avg);
    assert_int_equal(c->seen[0].of.best, seen.best);
    assert_true(seen.sqnr_db[QS_ALGO_mse] > seen.sqnr_db[seen.best]);
    ui_calibration_free(c);
    qs_model_unref(m);
    qs_observer_free(o);
    free(row.count);
    free(row.thresholds);
}

static void
what_is_clipped_is_counted(void **state)
{
    (void)state;
    int32_t count[] = {50, 30, 20};
    char thresholds[] = "kl=2.5 abs_max=2.75 strange=1 mse=-1";
    struct qs_run_activation row = {.var = "x",
                                    .op_type = "",
                                    .max = 2.75,
                                    .algo = "kl",
                                    .threshold = 2.5,
                                    .sqnr_db = NAN,
                                    .width = 1,
                                    .count = count,
                                    .n_bin = 3,
                                    .thresholds = thresholds};
    struct ui_calibration *c = calibration(&row, 1, 8);
    const struct ui_seen *s = &c->seen[0];
    assert_true(fabs(ui_seen_clipped(s, 2) - 0.2) < 1e-9);
    assert_true(fabs(ui_seen_clipped(s, 1.5) - 0.35) < 1e-9);
    assert_true(ui_seen_clipped(s, 3) == 0);
    assert_true(fabs(ui_seen_clipped(s, 0) - 1) < 1e-9);
    assert_true(s->of.threshold[QS_ALGO_kl] == 2.5);
    assert_true(isnan(s->of.threshold[QS_ALGO_mse]));
    assert_true(isnan(s->of.threshold[QS_ALGO_emd]));
    assert_true(ui_seen_sqnr(s, 8, 2.5) > ui_seen_sqnr(s, 8, 0.5));
    assert_true(isnan(ui_seen_sqnr(s, 8, NAN)));
    ui_calibration_free(c);
}

static void
rows_that_make_no_sense_do_no_harm(void **state)
{
    (void)state;
    int32_t count[] = {-5, INT32_MAX, INT32_MIN, 7};
    static const double odd[] = {NAN, INFINITY, -INFINITY, 0, -1, 1e308, 1e-308, 3.5};
    for (size_t i = 0; i < 8 * 8 * 8; i++) {
        struct qs_run_activation row = {.var = "x",
                                        .op_type = "",
                                        .min = odd[i % 8],
                                        .max = odd[i / 8 % 8],
                                        .algo = "none",
                                        .threshold = odd[i / 64],
                                        .sqnr_db = odd[i / 64],
                                        .width = odd[(i + 3) % 8],
                                        .count = count,
                                        .n_bin = 4,
                                        .thresholds = "abs_max=1e999 avg= hist=x kl=3"};
        struct ui_calibration *c = calibration(&row, 1, 8);
        for (size_t k = 0; c && k < QS_LEN(odd); k++) {
            (void)ui_seen_sqnr(&c->seen[0], 8, odd[k]);
            (void)ui_seen_clipped(&c->seen[0], odd[k]);
        }
        if (c) {
            assert_int_equal(c->seen[0].algo, -1);
            assert_true(isnan(c->seen[0].of.threshold[QS_ALGO_abs_max]));
            ui_calibration_at(c, 8);
        }
        ui_calibration_free(c);
    }
}

static void
a_run_of_other_variables_is_none(void **state)
{
    (void)state;
    struct qs_run_activation row = {.var = "elsewhere", .algo = "", .thresholds = ""};
    assert_null(calibration(&row, 1, 8));
    assert_null(calibration(NULL, 0, 8));
    assert_null(ui_seen_of(NULL, 0));
    row.var = "x";
    assert_null(calibration(&row, 1, 0)); /* bits that no quantizer has */
    struct ui_calibration *c = calibration(&row, 1, 8);
    assert_null(ui_seen_of(c, -1));
    assert_null(ui_seen_of(c, c->n_var));
    ui_calibration_at(c, 8);
    assert_int_equal(c->seen[0].of.best, -1);
    ui_calibration_free(c);
}

int
main(void)
{
    static const struct CMUnitTest test[] = {
        cmocka_unit_test(errors_are_those_that_were_measured),
        cmocka_unit_test(the_best_is_what_the_run_took),
        cmocka_unit_test(the_best_is_what_auto_takes),
        cmocka_unit_test(what_is_clipped_is_counted),
        cmocka_unit_test(rows_that_make_no_sense_do_no_harm),
        cmocka_unit_test(a_run_of_other_variables_is_none),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(test, NULL, NULL);
}
