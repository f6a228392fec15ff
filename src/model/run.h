/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of a run as plain structs: what the store keeps, what views and commands show.
 * Strings are owned by the record (qs_run_release).
 */
#ifndef QS_MODEL_RUN_H
#define QS_MODEL_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"

struct qs_run_layer {
    char *weight, *op_type;
    char *action; /* "int8", "int16", "simulated", "kept", "skipped" */
    char *reason; /* why; may be "" */
    int bits;     /* 0: left as it was */
    int scale_count;
    double sqnr_db; /* NaN: does not apply */
    int64_t bytes_before, bytes_after, scale_bytes;
};

struct qs_run_metric {
    char *name;
    double value, low, high; /* 95 % interval; NaN: none */
};

/* What quantizing one layer costs (kind "sensitivity"). Metric and drop: see metric_name of the
 * run's plan; drop is baseline - metric where higher is better, metric - baseline else. */
struct qs_run_sensitivity {
    char *weight, *op_type;
    char *mode; /* "weights", "activations", "both" */
    int bits;
    double metric, drop;               /* with this layer alone quantized; NaN: only ranked */
    double others_metric, others_drop; /* with all but this layer quantized; NaN */
    double cosine;                     /* of the model's output with this layer alone quantized */
    double sqnr_db;                    /* of the layer's output, its input clean */
    double accumulated_db;             /* the same with all layers quantized */
    double weight_db;                  /* of the weight itself */
    int64_t bytes_float, bytes_quant;  /* of the weight with its scales */
};

/* What calibration saw of one activation (kinds "calibrate" and "quantize"). */
struct qs_run_activation {
    char *var;
    char *op_type; /* of the first operator that reads it for a quantized layer; "" */
    double min, max;
    int64_t n_samples, n_bad; /* samples seen; of those left out for a NaN or an infinity */
    char *algo;               /* that was taken */
    double threshold;         /* that was taken */
    double sqnr_db;           /* at that threshold */
    double width;             /* of a bin of |x|, from 0 */
    int32_t *count;           /* [n_bin], scaled so that the largest fits */
    int n_bin;
    char *thresholds; /* all of them: "abs_max=1.25 KL=0.98 ..." */
};

struct qs_run {
    int64_t id;
    int64_t parent;   /* run it repeats; 0: none */
    char *kind;       /* "quantize", later "eval", "sensitivity" ... */
    char *state;      /* "running", "done", "failed", "cancelled", "interrupted" */
    char *model_path; /* absolute */
    char *model_digest;
    int64_t model_bytes;
    char *plan;   /* text form of the plan */
    char *method; /* of the plan, for lists */
    int bits;
    char *version; /* of qslim */
    char *machine, *isa;
    int threads;
    double started; /* seconds since 1970 */
    double seconds;
    int64_t bytes_before, bytes_after;
    char *output; /* folder given with -o, absolute */
    char *tag;
    char *message;       /* of a failed run */
    char *output_digest; /* of the model it wrote; "" none */
    struct qs_run_layer *layer;
    int n_layer;
    struct qs_run_metric *metric;
    int n_metric;
    struct qs_file_info *file;
    int n_file;
    struct qs_run_sensitivity *sensitivity;
    int n_sensitivity;
    struct qs_run_activation *activation;
    int n_activation;
};

void qs_run_release(struct qs_run *run);

struct qs_runs { /* a list; layers and files are not filled */
    struct qs_run *run;
    int n;
};
void qs_runs_release(struct qs_runs *runs);

#endif
