/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "db_fixture.h"

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

struct qs_run
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

void
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

void
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

void
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

void
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

void
assert_same_whole_run(const struct qs_run *a, const struct qs_run *b)
{
    assert_same_run(a, b);
    assert_same_metrics(a, b);
    assert_same_layers(a, b);
    assert_same_files(a, b);
    assert_same_sensitivity(a, b);
    assert_same_activations(a, b);
}
