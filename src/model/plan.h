/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan: every choice of a quantization, as one struct that option descriptors describe. The
 * same descriptors parse the command line and plan files, make the form of the workbench, print
 * the stored text and the equivalent command.
 *
 * Text form, one choice a line, '#' comments:
 *     method = dynamic
 *     weight-bits = 8
 *     layer = conv1*=skip
 */
#ifndef QS_MODEL_PLAN_H
#define QS_MODEL_PLAN_H

#include "base/opt.h"
#include "base/pattern.h"
#include "base/str.h"

enum qs_method { QS_METHOD_DYNAMIC, QS_METHOD_WEIGHT_ONLY, QS_METHOD_STATIC };
enum qs_compat { QS_COMPAT_NONE, QS_COMPAT_PADDLE };
enum qs_same_scale_choice { QS_SAME_SCALE_NONE, QS_SAME_SCALE_AUTO };
enum qs_written { QS_FORMAT_AUTO, QS_FORMAT_QDQ, QS_FORMAT_FAKEQUANT, QS_FORMAT_DYNAMIC };
enum qs_optimize { QS_OPTIMIZE_NONE, QS_OPTIMIZE_LATENCY };
enum qs_weight_type { QS_CHANNEL_WISE_ABS_MAX, QS_ABS_MAX };
enum qs_round { QS_ROUND_AUTO, QS_ROUND_NEAREST, QS_ROUND_GREEDY, QS_ROUND_ADAPTIVE };
enum qs_clip { QS_CLIP_NONE, QS_CLIP_MSE };
enum qs_target { QS_TARGET_ANY, QS_TARGET_PADDLE, QS_TARGET_LITE_ARM, QS_TARGET_LITE_X86 };

struct qs_plan {
    int method;            /* enum qs_method */
    char *op_types;        /* comma-separated */
    int weight_bits;       /* 2..16 */
    int weight_type;       /* enum qs_weight_type */
    double threshold_rate; /* share of |w| that abs_max may clip */
    bool generate_test_model;
    int target; /* enum qs_target */
    /* method static */
    int activation_bits; /* 2..16 */
    int algo;            /* enum qs_algo: how thresholds of activations are found */
    double hist_percent; /* of algo hist and percentile */
    int same_scale;      /* enum qs_same_scale_choice: activations that get one threshold */
    int compat;          /* enum qs_compat: thresholds and files as PaddleSlim makes them */
    int format;          /* enum qs_written */
    int optimize;        /* enum qs_optimize: what may stay in float */
    bool observers;      /* also write the ranges of what operators make */
    char *data;          /* data file to calibrate with */
    int samples, batch;  /* the first so many, 0: all; samples run together */

    bool fold_bn, equalize; /* of the float model, before; equalize also folds */
    int weight_clip;        /* enum qs_clip */
    int round;              /* enum qs_round */
    bool bias_correction;
    struct qs_strv layer; /* rules, in order: of "PATTERN=skip" and "PATTERN=bits:N" the last that
                             matches a weight decides; of "PATTERN=algo:NAME" and
                             "PATTERN=threshold:T" too */
};

extern const struct qs_opt qs_plan_opts[];
extern const int qs_n_plan_opts;

void qs_plan_init(struct qs_plan *plan);
void qs_plan_release(struct qs_plan *plan);
void qs_plan_copy(struct qs_plan *to, const struct qs_plan *from); /* `to` uninitialised */

/* Whether a choice means something for the plan's method; the others are neither printed nor
 * shown, and an error when they are not at their default. */
bool qs_plan_applies(const struct qs_plan *plan, const struct qs_opt *opt);
/* The format that is written: never QS_FORMAT_AUTO. */
enum qs_written qs_plan_format(const struct qs_plan *plan);

/* "any", "paddle", "lite-arm", "lite-x86". */
const char *qs_plan_target_name(const struct qs_plan *plan);

/* Checks what no single option can (bits that the method does not take, op types it does not
 * know): QS_ERR_USAGE. */
enum qs_err qs_plan_check(struct qs_ctx *cx, const struct qs_plan *plan) QS_MUST_CHECK;

/* How weights are rounded: auto is greedy with method static, nearest with --compat paddle. */
enum qs_round qs_plan_round(const struct qs_plan *plan);

/* The text form: every choice that applies, also those at their default. */
void qs_plan_print(const struct qs_plan *plan, struct qs_str *out);
/* Reads the text form over the values in `plan`; `where` names it in messages. */
enum qs_err qs_plan_parse(struct qs_ctx *cx, const char *text, const char *where,
                          struct qs_plan *plan) QS_MUST_CHECK;
/* The text form in a file: written whole, read over the values in `plan`. */
enum qs_err qs_plan_save(struct qs_ctx *cx, const struct qs_plan *plan, const char *path,
                         bool force) QS_MUST_CHECK;
enum qs_err qs_plan_load(struct qs_ctx *cx, const char *path, struct qs_plan *plan) QS_MUST_CHECK;
/* The options of `qslim quantize` that give this plan (those not at their default), quoted for a
 * shell: " --method weight-only --weight-bits 4". */
void qs_plan_print_command(const struct qs_plan *plan, struct qs_str *out);

/* A parsed rule. */
struct qs_rule {
    struct qs_pattern *pattern;
    bool skip;
    int bits; /* 0: says nothing of them */
    /* of the activation that the weight's operator reads: at most one of these */
    int algo;         /* enum qs_algo; -1: says nothing of it */
    double threshold; /* 0: says nothing of it */
};
bool qs_rule_is_range(const struct qs_rule *r); /* algo or threshold */
enum qs_err qs_rule_parse(struct qs_ctx *cx, const char *text, struct qs_rule *out) QS_MUST_CHECK;
void qs_rule_release(struct qs_rule *r);

/* Whether `type` is in the comma-separated list. */
bool qs_in_list(const char *list, const char *type);

#endif
