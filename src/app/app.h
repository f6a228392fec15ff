/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program can do, for commands and workbench alike: open a model, look at its layers,
 * decide, quantize, export, and work with stored runs. Every function does its work in the calling
 * thread (with cx->threads helpers inside), reports progress through cx->sink and polls
 * cx->cancel; the workbench calls them from its worker thread.
 */
#ifndef QS_APP_APP_H
#define QS_APP_APP_H

#include "base/ctx.h"
#include "model/graph.h"
#include "model/layer.h"
#include "model/plan.h"
#include "model/quant_info.h"
#include "model/run.h"
#include "model/shape.h"
#include "passes/decide.h"

/* An opened model: const for everyone but the statistics of its layers, which
 * qs_app_layer_stats fills once. */
struct qs_opened {
    struct qs_model *model;
    struct qs_edges *edges;
    struct qs_layers *layers;
    struct qs_shapes *shapes; /* NULL: not inferred, see shapes_message */
    char shapes_message[256];
    char *path;   /* absolute path of the program file */
    char *params; /* the --params given, NULL: none */
};

/* Opens MODEL (folder, file or prefix; see io/format.h). `shapes`: text forms NAME=1,3,224,224 of
 * input shapes; with none the defaults are guessed. A shape error of guessed shapes is not fatal.
 */
enum qs_err qs_app_open(struct qs_ctx *cx, const char *path, const char *params,
                        const struct qs_strv *shapes, struct qs_opened **out) QS_MUST_CHECK;
void qs_app_close(struct qs_opened *o);
/* QS_ERR_FORMAT when the model came without parameters. */
enum qs_err qs_app_need_params(struct qs_ctx *cx, const struct qs_opened *o) QS_MUST_CHECK;

/* Statistics of every layer, in parallel, largest first. `done` (may be NULL) is called from a
 * worker of the loop, under a lock, after each layer i. */
enum qs_err qs_app_layer_stats(struct qs_ctx *cx, struct qs_opened *o,
                               void (*done)(void *arg, int layer), void *arg) QS_MUST_CHECK;
/* SQNR of each layer at bits: per_tensor[n], per_channel[n] (either may be NULL); NaN where the
 * layer has no float data. */
enum qs_err qs_app_sqnr(struct qs_ctx *cx, const struct qs_opened *o, int bits, double *per_tensor,
                        double *per_channel) QS_MUST_CHECK;

/* Digest of program and parameters: 32 hex digits. Reads every byte once, in parallel. */
enum qs_err qs_app_digest(struct qs_ctx *cx, const struct qs_opened *o,
                          char hex[QS_DIGEST_HEX]) QS_MUST_CHECK;

struct qs_quantize_options {
    const char *output; /* folder; NULL with dry_run */
    bool force, dry_run, no_store;
    const char *db; /* path of the store; NULL: default */
    int64_t parent; /* run this repeats; 0: none */
};
/* Quantizes by the plan, writes the files, stores the run. `run` is filled (id 0 when it was not
 * stored) also for a dry run (state "planned"; no files). A store that fails is a warning: the
 * model is delivered all the same. `warnings` of rules and layers go to cx->sink. */
enum qs_err qs_app_quantize(struct qs_ctx *cx, const struct qs_opened *o,
                            const struct qs_plan *plan, const struct qs_quantize_options *opt,
                            struct qs_run *run) QS_MUST_CHECK;

struct qs_execute_options {
    const struct qs_strv *inputs; /* "NAME=FILE.npy", or "FILE.npy" of the only input */
    const char *output;           /* folder for <name>.npy, '/' in a name written as '|' */
    bool all;                     /* also what every node of the main block makes */
    bool force;
};
struct qs_executed_tensor {
    char *name, *file;
    int32_t dtype;
    int n;
    int64_t d[QS_RANK_MOST];
};
struct qs_executed {
    struct qs_executed_tensor *tensor;
    int n;
    double seconds;                  /* of the run (with `all`: and of writing) */
    int64_t param_bytes, peak_bytes; /* memory of parameters and of tensors alive at once */
};
/* Runs the model once, exactly (engine/exec.h), and writes what it computes. */
enum qs_err qs_app_execute(struct qs_ctx *cx, const struct qs_opened *o,
                           const struct qs_execute_options *opt,
                           struct qs_executed *done) QS_MUST_CHECK;
void qs_executed_release(struct qs_executed *done);

/* The model as an engine can run it: integer weights (method dynamic) are FP32 again. It shares
 * all else; drop it with qs_model_unref. */
enum qs_err qs_app_runnable(struct qs_ctx *cx, const struct qs_opened *o,
                            struct qs_model **out) QS_MUST_CHECK;

struct qs_evaluate_options {
    const char *data;        /* a data file, see qslim-data(5) */
    int64_t samples;         /* the first so many; 0: all */
    const char *metrics;     /* names joined by ','; NULL: all that can be had */
    int64_t max_pixels;      /* of a picture; 0: the default */
    const char *predictions; /* file for what is predicted, a line of JSON per sample; NULL: none */
    bool force;
    bool no_store;
    const char *db; /* path of the store; NULL: default */
};
struct qs_evaluated {
    struct qs_run run; /* kind "eval"; its metrics with 95 % intervals */
    int64_t samples;   /* that were evaluated */
    int64_t broken;    /* that could not be read */
    double images_per_second;
};
/* Runs the model on the samples of a data file, one at a time, and stores the run with its
 * metrics. `reference` (may be NULL) is the model to compare outputs with. On failure the run is
 * filled as far as it came. */
enum qs_err qs_app_evaluate(struct qs_ctx *cx, const struct qs_opened *o,
                            const struct qs_opened *reference,
                            const struct qs_evaluate_options *opt,
                            struct qs_evaluated *out) QS_MUST_CHECK;
void qs_evaluated_release(struct qs_evaluated *e);

/* How a metric is shown. */
struct qs_metric_look {
    const char *unit, *format;
    bool higher_is_better;
};
bool qs_app_metric_look(const char *name, struct qs_metric_look *out); /* false: unknown */

struct qs_bench_options {
    const struct qs_strv *shapes; /* "NAME=1,3,224,224", or "1,3,224,224" of the only input */
    double seconds;               /* to measure */
};
struct qs_bench_op {
    char *op_type, *name;
    double ms; /* shortest */
};
struct qs_benched {
    double ms_min, ms_median;
    int runs, threads;
    const char *isa, *engine;        /* "fast" or "exact" */
    int64_t param_bytes, peak_bytes; /* memory of weights and of tensors */
    struct qs_bench_op *op;
    int n_op;
};
/* Measures the model on inputs of random numbers in the fast engine (engine/fast.h), or in the
 * exact one when that cannot run it. */
enum qs_err qs_app_bench(struct qs_ctx *cx, const struct qs_opened *o,
                         const struct qs_bench_options *opt, struct qs_benched *done) QS_MUST_CHECK;
void qs_benched_release(struct qs_benched *done);

/* Runs of the store (db NULL: default path). */
enum qs_err qs_app_runs(struct qs_ctx *cx, const char *db, struct qs_runs *out) QS_MUST_CHECK;
enum qs_err qs_app_run(struct qs_ctx *cx, const char *db, int64_t id,
                       struct qs_run *out) QS_MUST_CHECK;
enum qs_err qs_app_run_tag(struct qs_ctx *cx, const char *db, int64_t id,
                           const char *tag) QS_MUST_CHECK;
enum qs_err qs_app_run_remove(struct qs_ctx *cx, const char *db, int64_t id) QS_MUST_CHECK;

/* Models found below a folder (at most a few levels, hidden folders left out) and those the store
 * knows, merged by path. */
struct qs_found_model {
    char *path;   /* what `qslim info` takes */
    char *format; /* "pdmodel", "model", "pir", "nb" */
    int64_t bytes;
    double seen; /* last modified or last used, seconds since 1970 */
    int n_runs;
};
enum qs_err qs_app_find_models(struct qs_ctx *cx, const char *folder, const char *db,
                               struct qs_found_model **out, int *n) QS_MUST_CHECK;
void qs_app_found_free(struct qs_found_model *found, int n);

/* Differences of two plans in text form: lines "key: a -> b", malloc, "" when equal. */
char *qs_app_plan_diff(const char *a, const char *b);

/* Writes the model with what Paddle-Lite insists on put back; when `paddle_lite_opt` is on the
 * PATH and `lite_target` is not NULL ("arm", "x86"), runs it. */
struct qs_lite_verdict {
    bool ran; /* opt was found and started */
    bool accepted;
    char *output; /* last lines of what it said; malloc or NULL */
    char *nb;     /* path of the .nb; malloc or NULL */
    int64_t nb_bytes;
};
enum qs_err qs_app_export(struct qs_ctx *cx, const struct qs_opened *o, const char *output,
                          bool force, const char *lite_target, struct qs_file_info file[2],
                          struct qs_lite_verdict *verdict) QS_MUST_CHECK;
void qs_lite_verdict_release(struct qs_lite_verdict *v);

#endif
