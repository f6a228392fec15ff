/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensitivity scan from inside. A layer is a weight with all nodes that read it; a variant is
 * what is rounded of it (mode) and to how many bits. Every layer in every variant is a row.
 *
 *   sense_choices.c   options, their text in the store, layers and metric
 *   sense_round.c     rounded weights, thresholds of activations
 *   sense_sums.c      sums over samples, rows from sums, the checkpoint
 *   sense_fast.c      samples through probes of the fast engine: the part before a layer is
 *                     computed once for all that is tried with the layer
 *   sense_exact.c     samples through whole models that differ in one layer, in the exact engine
 *   sensitivity.c     the run: phases, record, resuming
 *
 * What a sample adds is computed for each sample on its own and added in the order of the samples,
 * so results do not depend on threads, on memory, or on where a run was interrupted.
 */
#ifndef QS_APP_SENSE_H
#define QS_APP_SENSE_H

#include "app/app.h"
#include "app/inputs.h"
#include "app/record.h"
#include "data/eval.h"

struct sense_choices {
    char *data;     /* absolute */
    char *metric;   /* NULL: chosen by the labels */
    char *op_types; /* comma-separated */
    char *mode;     /* "weights,both" */
    char *bits;     /* "8,4" */
    int weight_type, algo, precision;
    int samples, top; /* 0: all */
    bool others;
};

struct sense_variant {
    int mode;    /* enum qs_sensitivity_mode */
    int bits, b; /* b: which of scan->bits */
};

struct sense_layer {
    const struct qs_layer *layer;
    struct qs_buf **rounded; /* [n_bits] values of the weight, float32; NULL when not needed */
    double *weight_db;       /* [n_bits] */
    struct qs_quant_weight *integers; /* [n_bits] the weight in integers; NULL: not needed */
    int first_node;                   /* in scan->node */
    bool chosen;                      /* to be evaluated, not only ranked */
};

struct sense_node {
    int32_t node, input; /* of block 0; the activation it reads */
    int layer;
    float *threshold; /* [n_bits] of the input */
};

/* What a row adds up. Energies are sums of squares over elements and samples. */
enum {
    SUM_SIGNAL, /* of the layer's output, all clean */
    SUM_NOISE,  /* of its difference with the layer rounded, its input clean */
    SUM_GROWN,  /* of its difference with all layers rounded */
    SUM_COSINE, /* over samples, this layer alone rounded */
    SUM_A,      /* of the metric, this layer alone rounded (metrics.h) */
    SUM_B,
    SUM_OTHERS_A, /* all but this layer rounded */
    SUM_OTHERS_B,
    SUM_CLEAN_A, /* nothing rounded, on the samples that were evaluated */
    SUM_CLEAN_B,
    SUM_COUNT, /* samples evaluated */
    N_SUM
};

/* The samples go through twice: a cheap look at all layers, then the layers that were chosen. */
enum sense_phase {
    SENSE_RANK,
    SENSE_EVALUATE,
    SENSE_DONE,
    SENSE_TRY, /* not part of a scan: layers as s->config has them, sums as if all were rounded in
                  the first variant */
};

struct sense_cursor {
    int64_t phase;  /* enum sense_phase */
    int64_t task;   /* exact: model of the phase that is running */
    int64_t sample; /* the next, as the list counts */
};

struct scan {
    const struct qs_opened *o;
    const struct qs_sensitivity_options *opt;
    struct sense_choices choices;
    struct qs_dataset *data;
    struct qs_sensed *out;
    struct qs_record record;
    int metric; /* of metric.inc; -1: cosine */
    bool higher_is_better;
    struct sense_layer *layer; /* in the order of their first nodes */
    int n_layer;
    struct sense_node *node; /* by rising node */
    int n_node;
    int *bits, n_bits;
    struct sense_variant *variant;
    int n_variant;
    int *config;     /* [n_layer] try: variant + 1, 0 untouched */
    int64_t memory;  /* bytes that may be used */
    bool exact;      /* the fast engine cannot */
    bool rounds;     /* some variant rounds activations */
    bool calibrated; /* thresholds are there */
    bool told;       /* that samples cannot be read */
    /* sums, see sense_sums.c */
    double *sum;
    int n_sum;
    struct sense_cursor at;
    int64_t tasks;       /* of the phase; fast: 1 */
    double begun, saved; /* this part and its last checkpoint, monotonic seconds */
    double elapsed;      /* seconds of the parts before this one */
    void (*partial)(void *arg, const struct qs_run_sensitivity *row, int n, int64_t done,
                    int64_t of);
    void *partial_arg;
};

/* ---- sense_choices.c ---- */
void qs_sense_choices_from(const struct qs_sensitivity_options *opt, struct sense_choices *out);
void qs_sense_choices_copy(struct sense_choices *to, const struct sense_choices *from);
void qs_sense_choices_release(struct sense_choices *c);
/* Comment lines of a plan file. */
char *qs_sense_choices_text(const struct sense_choices *c);
/* Reads them back; QS_ERR_DB when that cannot be. */
enum qs_err qs_sense_choices_parse(struct qs_ctx *cx, const char *text,
                                   struct sense_choices *out) QS_MUST_CHECK;
/* QS_ERR_USAGE when the caller asks for something else than the run to be taken up. */
enum qs_err qs_sense_choices_agree(struct qs_ctx *cx, const struct qs_sensitivity_options *opt,
                                   const struct sense_choices *stored) QS_MUST_CHECK;
const char *qs_sense_mode_name(int mode);
/* Variants, layers and nodes, metric: in this order, the last needs s->data. */
enum qs_err qs_sense_variants(struct qs_ctx *cx, struct scan *s) QS_MUST_CHECK;
enum qs_err qs_sense_layers(struct qs_ctx *cx, struct scan *s) QS_MUST_CHECK;
enum qs_err qs_sense_metric(struct qs_ctx *cx, struct scan *s) QS_MUST_CHECK;

/* The next sample; what cannot be read is only said in the first pass over the data. */
enum qs_err qs_sense_next(struct qs_ctx *cx, struct scan *s, struct qs_sample **out) QS_MUST_CHECK;

/* ---- sense_round.c ---- */
enum qs_err qs_sense_round_weights(struct qs_ctx *cx, struct scan *s) QS_MUST_CHECK;
/* Thresholds from a pass over the data. */
enum qs_err qs_sense_calibrate(struct qs_ctx *cx, struct scan *s) QS_MUST_CHECK;
/* Bytes of the weight of a layer in a variant, with scales. */
int64_t qs_sense_bytes(const struct scan *s, const struct sense_layer *l,
                       const struct sense_variant *v);

/* ---- sense_sums.c ---- */
/* All sums of a scan, or what one sample adds to them, in one array of qs_sense_n_sums numbers. */
int qs_sense_n_sums(const struct scan *s);
double *qs_sense_row(const struct scan *s, double *sum, int layer, int variant); /* [N_SUM] */
double *qs_sense_all(const struct scan *s, double *sum,
                     int variant);                        /* a, b, cosine: all rounded */
double *qs_sense_base(const struct scan *s, double *sum); /* a, b, samples: nothing rounded */
/* Measures samples one by one; each thread has its own. */
struct sense_measure {
    struct qs_eval eval;
    bool has_eval;
};
enum qs_err qs_sense_measure_init(struct qs_ctx *cx, const struct scan *s,
                                  struct sense_measure *m) QS_MUST_CHECK;
void qs_sense_measure_release(struct sense_measure *m);
/* out, clean: first and last output of the model as it is tried and as it is. ab: sums of the
 * metric. */
enum qs_err qs_sense_measure_sample(struct qs_ctx *cx, struct sense_measure *m,
                                    const struct qs_sample *sample, const struct qs_value out[2],
                                    const struct qs_value clean[2], double *ab,
                                    double *cosine) QS_MUST_CHECK;
double qs_sense_cosine(const struct qs_value *a, const struct qs_value *b);
/* Sums of squares of y and of x - y; nothing when the shapes differ. */
void qs_sense_energies(const struct qs_value *x, const struct qs_value *y, double *signal,
                       double *noise);

/* Adds what n samples gave, moves the cursor to the sample after `last`, keeps a checkpoint from
 * time to time, tells partial results. */
void qs_sense_commit(struct qs_ctx *cx, struct scan *s, double *const *add, int n, int64_t last);
void qs_sense_checkpoint(struct qs_ctx *cx, struct scan *s);
enum qs_err qs_sense_restore(struct qs_ctx *cx, struct scan *s, const uint8_t *data,
                             size_t n) QS_MUST_CHECK;
/* Marks the layers to be evaluated. */
void qs_sense_choose(struct scan *s);
/* Rows in the order of the model; the caller releases run->sensitivity. */
void qs_sense_rows(const struct scan *s, struct qs_run *run);
void qs_sense_sort(struct qs_run *run); /* worst first */
/* Metrics of the run, baseline and all rounded. */
void qs_sense_totals(const struct scan *s, struct qs_sensed *out);
/* Drop of the metric with all layers in the first variant. */
double qs_sense_total_drop(const struct scan *s);

/* ---- sensitivity.c: models that differ from the scanned one in several layers ---- */
struct sense_trial {
    struct scan scan;
    struct qs_sensitivity_options opt;
    struct qs_sensed sensed;
};
/* Ready to try layers in a mode, on the data and with the metric of a scan. */
enum qs_err qs_sense_trial_open(struct qs_ctx *cx, const struct qs_opened *o,
                                const struct sense_choices *c, const char *mode,
                                struct sense_trial **out) QS_MUST_CHECK;
void qs_sense_trial_close(struct sense_trial *t); /* NULL is fine */
/* Which bits a layer gets in the next try; 0: none. False: it is not one of the scan. */
bool qs_sense_trial_set(struct sense_trial *t, const char *weight, int bits);
/* The drop of the metric. */
enum qs_err qs_sense_trial_run(struct qs_ctx *cx, struct sense_trial *t,
                               double *drop) QS_MUST_CHECK;

const char *qs_sense_phase_text(const struct scan *s); /* of its progress */

int64_t qs_sense_resident(void); /* most bytes of memory that the process had so far */
enum qs_err qs_sense_too_little(struct qs_ctx *cx, const struct scan *s, int64_t need);

/* ---- engines: run the phase of the cursor from its sample to the end ---- */
enum qs_err qs_sense_fast(struct qs_ctx *cx, struct scan *s) QS_MUST_CHECK;
enum qs_err qs_sense_exact(struct qs_ctx *cx, struct scan *s) QS_MUST_CHECK;

#endif
