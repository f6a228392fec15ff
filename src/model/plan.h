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

enum qs_method { QS_METHOD_DYNAMIC, QS_METHOD_WEIGHT_ONLY };
enum qs_weight_type { QS_CHANNEL_WISE_ABS_MAX, QS_ABS_MAX };
enum qs_target { QS_TARGET_ANY, QS_TARGET_PADDLE, QS_TARGET_LITE_ARM, QS_TARGET_LITE_X86 };

struct qs_plan {
    int method;            /* enum qs_method */
    char *op_types;        /* comma-separated */
    int weight_bits;       /* 2..16 */
    int weight_type;       /* enum qs_weight_type */
    double threshold_rate; /* share of |w| that abs_max may clip */
    bool generate_test_model;
    int target;           /* enum qs_target */
    struct qs_strv layer; /* rules "PATTERN=skip", "PATTERN=bits:N", in order; the last
                             that matches a weight decides */
};

extern const struct qs_opt qs_plan_opts[];
extern const int qs_n_plan_opts;

void qs_plan_init(struct qs_plan *plan);
void qs_plan_release(struct qs_plan *plan);
void qs_plan_copy(struct qs_plan *to, const struct qs_plan *from); /* `to` uninitialised */

/* Checks what no single option can (bits that the method does not take, op types it does not
 * know): QS_ERR_USAGE. */
enum qs_err qs_plan_check(struct qs_ctx *cx, const struct qs_plan *plan) QS_MUST_CHECK;

/* The text form: every choice, also those at their default. */
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
    int bits; /* 0 when skip */
};
enum qs_err qs_rule_parse(struct qs_ctx *cx, const char *text, struct qs_rule *out) QS_MUST_CHECK;
void qs_rule_release(struct qs_rule *r);

/* Whether `type` is in the comma-separated list. */
bool qs_in_list(const char *list, const char *type);

#endif
