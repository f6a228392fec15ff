/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an already quantized model is quantized with: one row for each weight kept in integers and
 * each activation that the program rounds or records, with its scales. A value x is stored as the
 * integer x / scale; the largest it can hold is scale * (2^(bits-1) - 1).
 */
#ifndef UI_SCALES_H
#define UI_SCALES_H

#include "app/app.h"
#include "ui/table.h"

struct ui;
struct ui_model;

enum ui_scale_kind {
    UI_SCALE_WEIGHT,
    UI_SCALE_ACTIVATION, /* rounded where operators read it */
    UI_SCALE_OBSERVED,   /* only recorded */
};

struct ui_scale {
    int32_t var; /* of the open model */
    enum ui_scale_kind kind;
    int bits, axis; /* axis -1: one scale for the tensor */
    int64_t n;
    double *scale; /* [n] */
    double lo, hi; /* smallest, largest */
};

struct ui_scales {
    struct ui_scale *of; /* weights, then activations, in the order of the program */
    int n, n_kind[UI_SCALE_OBSERVED + 1];
    int *of_var; /* [n_var] index into of, the first; -1: none */
    int n_var;
    char why[256]; /* why there are none; "" */
};

/* Of a program with n_var variables, which have the same ids in the notes; others are left out. */
struct ui_scales *ui_scales_new(const struct qs_static_notes *notes, int n_var);
void ui_scales_free(struct ui_scales *s);
/* NULL: none; s may be NULL. */
const struct ui_scale *ui_scale_of(const struct ui_scales *s, int32_t var);
/* "weight", "activation", "observed": not translated. */
const char *ui_scale_kind_name(enum ui_scale_kind kind);
/* "fakequant, 8 bits: 72 weights, 69 activations, 118 observed" of the open model; "" when it is
 * not quantized. */
void ui_scales_describe(const struct ui_model *m, struct qs_str *out);

/* The rows as a list; `arg` of the columns is the ui. */
void ui_scales_table(struct ui_table *t, struct ui *ui);
/* Shows the operator that reads or makes what is under the cursor. */
void ui_scales_follow(const struct ui_table *t, struct ui *ui);

/* Job: takes the open model apart when it is quantized. */
void ui_task_scales(struct ui *ui);

#endif
