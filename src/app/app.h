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
#include "model/calib.h"
#include "model/graph.h"
#include "model/layer.h"
#include "model/plan.h"
#include "model/quant_info.h"
#include "model/run.h"
#include "model/shape.h"
#include "model/static_notes.h"
#include "passes/decide.h"
#include "passes/preflight.h"

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
/* The same for a changed clone of an opened model, which it takes over. */
enum qs_err qs_app_derive(struct qs_ctx *cx, const struct qs_opened *from, struct qs_model *m,
                          struct qs_opened **out) QS_MUST_CHECK;
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

/* A model of method static that was written, run again: the model itself, what was written
 * simulated in floats (as Paddle computes it), and in integers. */
enum qs_verify_way { QS_VERIFY_FP32, QS_VERIFY_SIMULATED, QS_VERIFY_INTEGER, QS_N_VERIFY_WAY };
struct qs_verified_metric {
    const char *name;              /* a row of metric.inc */
    double value[QS_N_VERIFY_WAY]; /* NaN: the metric compares with FP32, and this is FP32 */
};
struct qs_verified_layer {
    char *name, *op_type; /* of the weight, or of the output of an operator that has none */
    double sqnr_db;       /* of its output in integers, simulated being the signal */
};
struct qs_verified {
    int64_t samples;                     /* 0: not verified */
    char *reason;                        /* why not; NULL: was not asked for */
    struct qs_verified_metric metric[3]; /* the first of the labels, if there are any; cosine and,
                                            for classes, top1_agreement, with FP32 */
    int n_metric;
    bool labelled;     /* metric[0] is of the labels */
    double cosine;     /* of outputs in integers with the simulated ones */
    double difference; /* metric[0] of the labels, simulated less integers; else 1 - cosine */
    bool ok;           /* the difference is small: 0.001 of the metric */
    struct qs_verified_layer *layer; /* not ok: the first where they part, then the worst; none:
                                        only roundings that fall to either side add up */
    int n_layer;
};
void qs_verified_release(struct qs_verified *v);

enum { QS_VERIFY_SAMPLES = 32, QS_VERIFY_SAMPLES_MOST = 1 << 16 };
struct qs_quantize_options {
    const char *output; /* folder; NULL with dry_run */
    bool force, dry_run, no_store;
    const char *db;                 /* path of the store; NULL: default */
    int64_t parent;                 /* run this repeats; 0: none */
    const char *targets;            /* file with more rows of what targets do; NULL: the default one
                                       of the user, where there is one */
    struct qs_preflight *preflight; /* filled with what they will do with the model; NULL: not
                                       wanted. Released by the caller in any case */
    int verify;                     /* samples that verify method static; 0: do not */
    struct qs_verified *verified;   /* filled with what that found; NULL: not wanted. Released by
                                       the caller in any case */
};

/* Quantizes by the plan, writes the files, stores the run. `run` is filled (id 0 when it was not
 * stored) also for a dry run (state "planned"; no files). A store that fails is a warning: the
 * model is delivered all the same, as it is when its verification finds a difference. `warnings` of
 * rules and layers go to cx->sink. */
enum qs_err qs_app_quantize(struct qs_ctx *cx, const struct qs_opened *o,
                            const struct qs_plan *plan, const struct qs_quantize_options *opt,
                            struct qs_run *run) QS_MUST_CHECK;

/* Arithmetic that a model runs in. INT8: layers with integer weights (up to 8 bits) whose inputs
 * the program rounds compute in integers, the rest in FP32; needs a quantized model and the fast
 * engine. */
enum qs_precision { QS_PRECISION_FP32, QS_PRECISION_INT8 };
extern const char *const qs_precision_names[]; /* NULL-terminated */

struct qs_execute_options {
    const struct qs_strv *inputs; /* "NAME=FILE.npy", or "FILE.npy" of the only input */
    const char *output;           /* folder for <name>.npy, '/' in a name written as '|' */
    bool all;                     /* also what every node of the main block makes: exactly */
    bool exact;                   /* never in the fast engine */
    bool force;
    int precision; /* enum qs_precision */
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
    const char *engine;              /* "fast", "mixed" or "exact" */
    int64_t param_bytes, peak_bytes; /* memory of parameters and of tensors alive at once */
};
/* Runs the model once (engine/engine.h) and writes what it computes. */
enum qs_err qs_app_execute(struct qs_ctx *cx, const struct qs_opened *o,
                           const struct qs_execute_options *opt,
                           struct qs_executed *done) QS_MUST_CHECK;
void qs_executed_release(struct qs_executed *done);

/* The model as an engine can run it: integer weights (method dynamic) are FP32 again. It shares
 * all else; drop it with qs_model_unref. */
enum qs_err qs_app_runnable(struct qs_ctx *cx, const struct qs_opened *o,
                            struct qs_model **out) QS_MUST_CHECK;

enum { QS_EVAL_BATCH_MOST = 256 };
struct qs_evaluate_options {
    const char *data;        /* a data file, see qslim-data(5) */
    int64_t samples;         /* the first so many; 0: all */
    const char *metrics;     /* names joined by ','; NULL: all that can be had */
    int64_t max_pixels;      /* of a picture; 0: the default */
    const char *predictions; /* file for what is predicted, a line of JSON per sample; NULL: none */
    int batch;               /* most samples run at once; 0: as many as pay */
    bool exact;              /* never in the fast engine */
    int precision;           /* enum qs_precision, of the model; a reference runs in FP32 */
    bool force;
    bool no_store;
    const char *db; /* path of the store; NULL: default */
};
struct qs_evaluated {
    struct qs_run run; /* kind "eval"; its metrics with 95 % intervals */
    int64_t samples;   /* that were evaluated */
    int64_t broken;    /* that could not be read */
    double images_per_second;
    const char *engine; /* that ran the model last: "fast", "mixed", "exact", "" none */
};
/* Runs the model on the samples of a data file and stores the run with its metrics, which it also
 * reports while it runs. `reference` (may be NULL) is the model to compare outputs with. On failure
 * the run is filled as far as it came; a cancelled one has the metrics of the samples it saw. */
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
    int precision;                /* enum qs_precision */
};
struct qs_bench_op {
    char *op_type, *name;
    bool integer; /* it multiplies integers */
    double ms;    /* shortest */
    /* Of an integer step: of its part of the run (app/parts.h), with the conversions that are not
     * its own, in integers and in floats; else NaN. */
    double int8_ms, fp32_ms;
};
struct qs_benched {
    double ms_min, ms_median;
    int runs, threads;
    const char *isa, *engine;        /* "fast", "mixed" or "exact" */
    int64_t param_bytes, peak_bytes; /* memory of weights and of tensors */
    int64_t live_bytes;              /* largest live set of activations (engine/engine.h) */
    struct qs_bench_op *op;
    int n_op;
};
/* Measures the model on inputs of random numbers in the fast engine (engine/fast.h), or in the
 * exact one when that cannot run it. */
enum qs_err qs_app_bench(struct qs_ctx *cx, const struct qs_opened *o,
                         const struct qs_bench_options *opt, struct qs_benched *done) QS_MUST_CHECK;
void qs_benched_release(struct qs_benched *done);
/* The steps that are clearly slower in integers than in floats, and what is said about them: a list
 * of the worst. 0: none, nothing is appended. */
struct qs_str;
int qs_benched_slower(const struct qs_benched *done, struct qs_str *out);

/* What calibration saw: the answers of all calibrators for every activation asked for. */
enum { QS_CALIBRATE_BATCH_MOST = 256, QS_CALIBRATE_SAMPLES_FEW = 16 };
struct qs_calibrate_options {
    const char *data;       /* a data file, see qslim-data(5) */
    int64_t samples, batch; /* the first so many, 0: all; samples run together */
    bool exact;             /* never in the fast engine; with calib.paddle in any case */
    int64_t max_pixels;     /* of a picture; 0: the default */
    struct qs_calib_options calib;
    const bool *want; /* [n_var] variables to observe; NULL: qs_app_calibrate_want */
    int algo; /* enum qs_algo whose thresholds qs_app_calibrate_run stores as the taken ones */
};
struct qs_calibrated {
    int n;
    int32_t *var;                  /* [n] in order of the program */
    struct qs_observer **observer; /* [n] */
    struct qs_observed *seen;      /* [n] */
    struct qs_calib_options calib;
    int64_t samples, broken, bad; /* run, unreadable, with NaN or infinity in some activation */
    int64_t peak_bytes;           /* of parameters, tensors and observers */
    double seconds;
    const char *engine; /* "fast", "mixed" or "exact" */
};
/* What every operator reads and makes that static quantization rounds (conv2d, depthwise_conv2d,
 * conv2d_transpose, mul, matmul, matmul_v2); `all`: everything that nodes of block 0 make. */
void qs_app_calibrate_want(const struct qs_model *m, bool all, bool *want);
/* One streaming pass over the data with the FP32 model, two with calib.paddle. Says first how much
 * memory it takes. A variable that is written more than once counts as it is at the end. */
enum qs_err qs_app_calibrate(struct qs_ctx *cx, const struct qs_opened *o,
                             const struct qs_calibrate_options *opt,
                             struct qs_calibrated *out) QS_MUST_CHECK;
void qs_calibrated_release(struct qs_calibrated *c);
/* What was seen of a variable; NULL: nothing. */
const struct qs_observed *qs_calibrated_of(const struct qs_calibrated *c, int32_t var);
/* Fills run->activation; `algo` [n] of enum qs_algo is what was taken for each, NULL: the best. */
void qs_calibrated_rows(const struct qs_calibrated *c, const struct qs_opened *o, const int *algo,
                        struct qs_run *run);
/* qs_app_calibrate as a run of its own, kind "calibrate". */
enum qs_err qs_app_calibrate_run(struct qs_ctx *cx, const struct qs_opened *o,
                                 const struct qs_calibrate_options *opt, bool no_store,
                                 const char *db, struct qs_calibrated *out,
                                 struct qs_run *run) QS_MUST_CHECK;

/* Which layer hurts. */
enum qs_sensitivity_mode { QS_SENSE_WEIGHTS, QS_SENSE_ACTIVATIONS, QS_SENSE_BOTH };
struct qs_sensitivity_options {
    const char *data;
    int64_t samples; /* 0: all */
    int64_t max_pixels;
    const char *metric; /* NULL: the first that the labels allow, else 1 - cosine */
    const char *op_types;
    int modes;       /* set of 1 << enum qs_sensitivity_mode */
    const int *bits; /* [n_bits] widths to try */
    int n_bits;
    int weight_type; /* enum qs_weight_type */
    int algo;        /* enum qs_algo, of thresholds of activations */
    int64_t top;     /* layers to evaluate, worst by local error first; 0: all */
    bool others;     /* also with all but the layer quantized */
    int precision;   /* enum qs_precision, of layers that are tried: INT8 for mode both, 8 bits */
    int64_t memory;  /* most bytes to use; 0: a quarter of the machine's */
    bool exact;      /* never the fast engine */
    int64_t resume;  /* run to go on with; 0: a new one */
    bool no_store;
    const char *db;
};
struct qs_sensed {
    struct qs_run run;          /* kind "sensitivity"; run.sensitivity worst first */
    double baseline, quantized; /* the metric without and with all layers quantized */
    char metric[32];
    bool higher_is_better;
    int64_t samples;
    double seconds;
    int64_t peak_rss_bytes;
};
/* `partial` (may be NULL) is called in the calling thread whenever results of another sample are
 * in: rows as in run.sensitivity, in order of the model. */
enum qs_err qs_app_sensitivity(struct qs_ctx *cx, const struct qs_opened *o,
                               const struct qs_sensitivity_options *opt,
                               void (*partial)(void *arg, const struct qs_run_sensitivity *row,
                                               int n, int64_t done, int64_t of),
                               void *arg, struct qs_sensed *out) QS_MUST_CHECK;
void qs_sensed_release(struct qs_sensed *s);

/* A plan from a scan. It begins with every layer at the least bits that the scan tried and the
 * method takes, and goes on by the change that wins most of the metric for a byte: a layer to more
 * bits, or left as it is. */
struct qs_propose_options {
    const struct qs_plan *base; /* all other choices, and rules that stand; NULL: the method that
                                   fits what the scan quantized */
    double max_drop;            /* of the metric, absolute; negative: no bound */
    bool points;                /* max_drop is in points, hundredths, of an accuracy or hmean */
    int64_t max_bytes;          /* of program and parameters; negative: no bound; one is set */
    bool check;                 /* measure plans of the walk on the data of the scan, and move on
                                   when the bound on the drop does not hold there */
};
struct qs_front_point {
    char *change;    /* "conv1_weights=skip", the rule that this step added; "" the start */
    int64_t bytes;   /* of program and parameters, about */
    double drop;     /* predicted: sum of the layers' drops, scaled so that the start is what the
                        scan measured with all layers quantized */
    double measured; /* drop on the data; NaN: not measured */
    bool chosen;     /* the plan has the changes up to here */
};
struct qs_proposal {
    struct qs_plan plan;
    struct qs_front_point *front; /* the whole walk */
    int n_front;
    int64_t bytes, bytes_float; /* with the plan, and of the model */
    char metric[32];
    bool meets; /* the bound */
};
enum qs_err qs_app_propose(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_run *scan,
                           const struct qs_propose_options *opt,
                           struct qs_proposal *out) QS_MUST_CHECK;
void qs_proposal_release(struct qs_proposal *p);

/* Runs of one model as points of two quantities: "bytes" (of the written model), "seconds" (of the
 * run), or a metric. */
struct qs_pareto_point {
    int64_t run; /* that wrote the model; of the model itself: its newest evaluation */
    double x, y;
    bool on_front; /* no other point is better in one and at least as good in the other */
    char *label;   /* method, bits, tag; "float" for the model itself */
};
struct qs_pareto {
    struct qs_pareto_point *point; /* by rising x */
    int n;
    bool x_less, y_less; /* less is better */
    char x[32], y[32];
    char *model; /* its path */
};
/* `model`: digest or path, NULL: the model of the newest run; x, y NULL: bytes and the metric most
 * runs have. A metric belongs to the run that wrote the evaluated model. Only evaluations on the
 * same samples are compared: those that most runs have, the newest where that is undecided.
 * QS_ERR_NOT_FOUND: no such model, or no run has both quantities. */
enum qs_err qs_app_pareto(struct qs_ctx *cx, const char *db, const char *model, const char *x,
                          const char *y, struct qs_pareto *out) QS_MUST_CHECK;
void qs_pareto_release(struct qs_pareto *p);

/* Runs of the store (db NULL: default path). */
enum qs_err qs_app_runs(struct qs_ctx *cx, const char *db, struct qs_runs *out) QS_MUST_CHECK;
enum qs_err qs_app_run(struct qs_ctx *cx, const char *db, int64_t id,
                       struct qs_run *out) QS_MUST_CHECK;
/* What was last seen of the activations of a model: the newest run that is done and has them; id 0:
 * there is none. Makes no store where there was none. */
enum qs_err qs_app_seen(struct qs_ctx *cx, const char *db, const struct qs_opened *o,
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

/* A quantized model as the float graph and what is quantized how. */
struct qs_apart {
    struct qs_opened
        *opened; /* the float graph; its variables have the ids they had. Layers kept in
                    integers are not quantizable any more. NULL: it is not quantized */
    struct qs_static_notes notes;
};
enum qs_err qs_app_take_apart(struct qs_ctx *cx, const struct qs_opened *o,
                              struct qs_apart *out) QS_MUST_CHECK;
void qs_apart_release(struct qs_apart *a);

/* Writes the model with what Paddle-Lite insists on put back; a quantized one also in another
 * form. When `paddle_lite_opt` is on the PATH and `lite_target` is not NULL ("arm", "x86"), runs
 * it. */
enum qs_export_form {
    QS_EXPORT_AS_IS,
    QS_EXPORT_QDQ,       /* quantize_linear and dequantize_linear, integer weights */
    QS_EXPORT_FAKEQUANT, /* fake_quantize, FP32 weights that hold integers */
    QS_EXPORT_FP32, /* without rounding of activations; weights are what the integers stand for */
};
struct qs_export_options {
    const char *output; /* folder */
    bool force;
    enum qs_export_form form; /* other than as it is: QS_ERR_USAGE when it is not quantized */
    const char *lite_target;
};
struct qs_lite_verdict {
    bool ran; /* opt was found and started */
    bool accepted;
    char *output; /* last lines of what it said; malloc or NULL */
    char *nb;     /* path of the .nb; malloc or NULL */
    int64_t nb_bytes;
};
enum qs_err qs_app_export(struct qs_ctx *cx, const struct qs_opened *o,
                          const struct qs_export_options *opt, struct qs_file_info file[2],
                          struct qs_lite_verdict *verdict) QS_MUST_CHECK;
void qs_lite_verdict_release(struct qs_lite_verdict *v);

#endif
