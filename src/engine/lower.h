/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the fast engine (fast.h): values, steps, and the phases that make them.
 *
 *   lower*.c   nodes of block 0 become steps over values (one value per definition of a variable)
 *   lower_quant.c  operators of quantization, simulated; lower_constant.c  those on weights
 *   lower_round.c  what is computed on rounded inputs, and what of it in integers
 *   fuse.c     steps merge: scales, biases, activations, additions, rounding into convolutions
 *   layout.c   every value gets a layout, conversions become steps, halos
 *   place.c    every value gets a place in memory
 *   live.c     memory that a plan promises to do with
 *   keep.c     variables that a watch sees
 *   batch.c    whether the samples of a batch are independent; fast_split.c runs it in parts then
 *   room.c     memory and threads, packs.c weights that plans share
 *   fast_*.c   weights are packed; running
 */
#ifndef QS_ENGINE_LOWER_H
#define QS_ENGINE_LOWER_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/team.h"
#include "engine/packs.h"
#include "kernels/conv.h"
#include "kernels/conv_i8.h"
#include "model/infer.h"
#include "model/static_notes.h"
#include "model/step.h"

enum layout {
    PLAIN,   /* dense, row-major */
    BLOCKED, /* image in blocks of channels (kernels/conv.h), maybe with a halo */
    PLANES,  /* plain image with a halo: what a first convolution reads */
    BYTES,   /* rounded to 8 bits (kernels/conv_i8.h), maybe with a halo: an image, or rows of
                `inner` elements */
    N_LAYOUTS,
};

/* How a value is rounded: x becomes q T / R (struct qs_quant_act). Dynamic: T is the largest
 * magnitude of every image (or of the rows of every first index), found when it is rounded; only
 * steps on integers read such values. */
struct rounding {
    bool dynamic;
    int act;     /* index in the notes; -1: dynamic */
    int bits;    /* up to 8: BYTES; else floats */
    double unit; /* T / R */
    struct qk_i8_quant quant;
    struct qk_round grid;
    float value[256]; /* of every byte */
};

struct value {
    int32_t var; /* of the model; -1 none */
    bool known;
    int32_t dtype;
    int n;
    int64_t d[QS_RANK_MOST], count;
    const struct qs_tensor *param; /* constant; dims above may differ (reshaped) */
    float *param_data;             /* aligned copy, made when a step reads it */
    const struct qs_pack *pack;    /* that holds the copy; NULL: the value does */
    int scales; /* constant: value of its scales along `axis`, when it is still */
    int axis;   /* to be multiplied with scale / range; -1: it is what it is */
    double range;
    bool integers;     /* constant: of at most 8 bits, as floats */
    int made;          /* step that makes it; -1: input or constant */
    int n_users;       /* inputs of steps */
    int input, output; /* port number of the model; -1 */
    bool kept;         /* a watch sees it: it is made, nothing fuses across it */
    enum layout layout;
    int converted[N_LAYOUTS];        /* value that holds the same in another layout; -1 */
    const struct rounding *rounding; /* it holds multiples of `unit`; NULL */
    int before;                      /* value that was rounded to it */
    bool positive;                   /* it is never negative, for sure (but for NaN) */
    int64_t inner;                   /* BYTES: length of its rows; 0: an image */
    bool narrow;                     /* BYTES: pixels of 4 bytes, not of multiples of 16 */
    float *units; /* dynamic: [d[0]] T / R of now; then room for the largest of every row */
    int alias;    /* value whose memory this one is (same bytes, or written over it); -1 */
    int part_of;  /* concatenation it is a part of, from `part_block` on; -1 */
    int part_block;
    const int32_t *lanes; /* [blocks] real channels per block; NULL: full but the last */
    /* images; strides in floats, of BYTES in bytes */
    int halo_h, halo_w, blocks;
    int64_t pixel, row, block, image;
    /* memory */
    int64_t floats, offset;
    int first, last;  /* steps between which it is alive */
    bool halo_shared; /* others write where its halo is */
    float *data;      /* element 0, or pixel (0, 0) */
};

enum kind {
#define ROW(name) STEP_##name,
#include "engine/steps.inc"
#undef ROW
};

struct step {
    enum kind kind;
    const struct qs_node *node; /* it begins with; NULL: conversion */
    int32_t number;             /* of that node */
    bool dead;
    int x, y;                   /* value read first and value made; -1 */
    int q;                      /* value made beside or instead of y: y rounded, BYTES; -1 */
    int more;                   /* second value read (operand, addition); -1 */
    int *in, n_in, *out, n_out; /* FORWARD, CONCAT: all values, in slot order; -1: absent */
    struct qk_post post;
    bool has_post;
    struct qk_round grid; /* GRID */
    /* CONV, DEPTHWISE, DENSE, TRANSPOSED, AFFINE */
    int w;                 /* constant; -1 */
    bool w_transposed;     /* DENSE: rows are outputs */
    double *scale, *shift; /* [oc] applied to the sum */
    bool exact;            /* it sums integers: nothing is folded into its weights */
    int64_t ic, oc;
    int kh, kw, stride[2], dilation[2], pad[4]; /* top, bottom, left, right */
    const struct qs_pack *pack;                 /* that holds the weights */
    float *packed, *bias;                       /* its arrays */
    int64_t packed_floats;
    struct qk_conv_args args;
    int n_images;
    int winograd;                           /* outputs on a side of its squares; 0: direct */
    int chunks, groups, panels, rows, cols; /* how the work is split */
    int chunk, group;                       /* rows or pixels, panels each */
    /* ICONV, IDEPTHWISE, IDENSE, ITRANSPOSED */
    const struct qs_quant_weight *integers;
    float *sum_scale; /* i8.scale */
    struct qk_i8_args i8;
    int64_t x_image, y_image, q_image; /* from an image to the next */
    /* BINARY */
    enum qk_binary op;
    bool swapped; /* more op x */
    bool per_channel, plus_one;
    /* POOL, RESIZE */
    bool max, bilinear;
    int32_t *y0, *y1, *x0, *x1;
    float *v, *h, divisor;
    int repeat; /* of pixels in a row; 0: by table */
    /* SOFTMAX: rows; RNN */
    struct rnn *rnn;
    int scratch; /* value that is only memory; -1 */
    bool padded; /* DENSE: rows stay in `scratch`; SOFTMAX: they are read from there */
    double seconds;
};

/* A kept variable: what it holds after `node`, shown after `step` (-1: before the first). */
struct kept {
    int32_t node, var;
    int value, step;
};

enum { QS_ROOM_ALIGN = 16 /* floats */ };

struct qs_room {
    struct qs_team *team;
    float *memory;
    int64_t floats;
    const struct qs_fast *user; /* whose halos are in it; NULL: nobody's */
    struct qs_room **part;      /* [n_part] rooms of one thread each */
    int n_part;
};

struct split;

enum planned {
    PLANNED_WHOLE, /* one run computes all */
    PLANNED_PARTS, /* a batch may be run in parts */
    PLANNED_PROBE, /* one thread; inputs have memory of their own, every step runs and makes all of
                      its value (probe.c) */
};

struct qs_fast {
    const struct qs_model *m;
    struct qs_ctx *cx; /* of the call in progress */
    const struct qk_conv *k;
    int lanes;
    struct qs_packs *packs;
    struct qs_room *room;
    bool own_room;
    struct qs_team *team; /* of the room */
    const struct qk_conv_i8 *ki;
    const struct qs_static_notes *notes; /* NULL: all in floats; lowering and planning */
    struct rounding **rounding;          /* [n_act] of the notes, made when first used */
    struct qs_arena arena;
    struct qs_shapes *shapes;
    struct value *value;
    int n_value, cap_value;
    struct step *step;
    int n_step, cap_step;
    int *now;         /* [n_var] value that a variable holds; lowering */
    const bool *keep; /* [n_var] or NULL; lowering */
    bool whole_blocks;
    struct kept *kept;
    int n_kept, cap_kept;
    int next_kept; /* of a run: the next to be shown */
    float *shown;  /* room for a kept image without blocks */
    int64_t shown_floats;
    int n_in, n_out;
    int *in_value, *out_value;
    struct qs_value *out, *var;
    float *memory; /* of the room, where values have their places now */
    int64_t memory_floats, param_floats;
    int64_t live_bytes; /* qs_live_bytes */
    bool scalars_are_1d;
    enum qs_err err;      /* of a step */
    int32_t refused;      /* node that cannot be planned or run; -1 */
    bool probe;           /* PLANNED_PROBE */
    struct split *split;  /* it runs in parts (fast_split.c): steps and values are theirs; NULL */
    struct qs_fast *root; /* whose weights and tables this one uses; NULL: its own */
    atomic_int refs;      /* of a root: itself and those that use it */
};

/* lower.c */
enum qs_err qs_lower(struct qs_ctx *cx, struct qs_fast *f) QS_MUST_CHECK;
int qs_lower_value(struct qs_fast *f); /* a new one, everything absent */
/* A new one of the variable, type and shape of value `id`. */
int qs_lower_value_like(struct qs_fast *f, int id);
/* The last node of block 0 that writes a variable; -1. */
int32_t qs_lower_maker(const struct qs_fast *f, int32_t var);
struct step *qs_lower_step(struct qs_fast *f, enum kind kind);
/* The value a variable holds at this point of the program; -1: none. */
int qs_lower_value_of(struct qs_fast *f, int32_t var);
/* A new value for an output of the step that was added last. */
int qs_lower_output(struct qs_fast *f, const struct qs_node *node, const char *slot, int i);
/* Element i of floats that may be unaligned; of a constant. */
double qs_floats_at(const void *p, int64_t i);
double qs_lower_param(const struct value *v, int64_t i);
/* lower_round.c */
/* Lets node `number` see its inputs rounded, as the notes say: f->now of them is what a ROUND step
 * makes. qs_round_done puts back what was there. */
void qs_round_inputs(struct qs_fast *f, const struct qs_node *node, int32_t number);
void qs_round_done(struct qs_fast *f, int32_t number);
/* The step that was added last for that node computes in integers if it can. */
void qs_round_choose(struct qs_fast *f, const struct qs_node *node, int32_t number);
/* Takes the thresholds that the notes of a plan have now. */
void qs_round_retune(struct qs_fast *f, const struct qs_static_notes *notes);
void qs_round_set(struct rounding *r, float threshold, int bits, bool half_away);
/* The kind that computes the same in integers; the kind itself when there is none. */
enum kind qs_round_integer_kind(enum kind kind);
/* Whether the weight of a step is w and can be summed in integers. */
bool qs_round_weight_fits(const struct qs_fast *f, const struct step *s,
                          const struct qs_quant_weight *w);
/* Whether n scales of a weight along an axis are one for all or one for each output of the step. */
bool qs_round_scales_fit(const struct step *s, int64_t n, int axis);
/* Rows of a value, of all images; at least as many as there are rows of `inner` elements. */
static inline int64_t
qs_round_rows(const struct value *v)
{
    return v->n == 4 ? v->d[0] * v->d[2] : v->n > 0 && v->count > 0 ? v->count / v->d[v->n - 1] : 1;
}
static inline bool
is_integer(const struct step *s)
{
    return s->kind == STEP_ICONV || s->kind == STEP_IDEPTHWISE || s->kind == STEP_IDENSE ||
           s->kind == STEP_ITRANSPOSED;
}
/* fuse.c */
void qs_fuse(struct qs_fast *f);
void qs_fuse_count(struct qs_fast *f); /* sets n_users */
/* The step that makes a value which one step alone reads; NULL. */
struct step *qs_fuse_maker(struct qs_fast *f, int value);
/* live.c */
/* The largest live set of activations of a lowered program: of what operators make, those merged
 * into one counted as one, dense, and of inputs, what is read at once or later. */
int64_t qs_live_bytes(struct qs_fast *f);
/* How much more than these may be taken: a fifth, or a megabyte where they are small. */
int64_t qs_live_slack(int64_t live_bytes);
/* fuse_round.c */
void qs_round_fuse(struct qs_fast *f);
/* The parts of a concatenation of bytes, one after the other in whole blocks; those that are floats
 * are rounded to their places (steps are added). */
void qs_round_parts(struct qs_fast *f, struct step *concat);
void qs_round_signs(struct qs_fast *f); /* sets `positive`; steps have their order */
/* layout.c */
void qs_layout(struct qs_fast *f);
void qs_layout_strides(struct qs_fast *f, struct value *v); /* and floats, of layout and halo */
/* place.c */
enum qs_err qs_place_values(struct qs_ctx *cx, struct qs_fast *f) QS_MUST_CHECK; /* its places */
/* Lets sums take the places of addends. Bytes of memory that values then take at each step,
 * [n_step] in the arena. */
int64_t *qs_place_alive(struct qs_fast *f);
int qs_place_root(const struct qs_fast *f, int id); /* the value whose memory it lies in */
/* Whether a value has memory of its own. */
bool qs_place_has_memory(const struct qs_fast *f, const struct value *v);
int64_t qs_place_first(const struct value *v); /* floats before pixel (0, 0) of its block 0 */
/* room.c */
/* Makes room for the tensors of a plan and enters. */
enum qs_err qs_room_reserve(struct qs_ctx *cx, struct qs_fast *f) QS_MUST_CHECK;
/* Values lie in the memory of the room, with the borders of zeros that stay. */
void qs_room_enter(struct qs_fast *f);
void qs_room_clear_halo(const struct value *v);
struct qs_room *qs_room_part(struct qs_room *r, int i);
/* batch.c */
/* Whether a lowered program keeps the samples of a batch apart: *n of them, along out_axis[i] of
 * output i. */
bool qs_batch_is_independent(struct qs_fast *f, int64_t *n, int *out_axis);
/* fast_split.c */
/* Plans the parts of a batch where that can be: then f->split is set. */
enum qs_err qs_split_try(struct qs_ctx *cx, struct qs_fast *f, const struct qs_value *in,
                         const struct qs_fast_options *opt) QS_MUST_CHECK;
enum qs_err qs_split_run(struct qs_ctx *cx, struct qs_fast *f,
                         const struct qs_value *in) QS_MUST_CHECK;
const struct qs_fast *qs_split_shown(const struct qs_fast *f); /* the plan that has the steps */
int32_t qs_split_refused(const struct qs_fast *f);             /* of the part that failed; -1 */
int64_t qs_split_bytes(const struct qs_fast *f); /* of tensors, and outputs put together */
void qs_split_free(struct qs_fast *f);
void qs_split_retune(struct qs_fast *f, const struct qs_static_notes *notes);
/* Calls fn for every value that a step reads. */
void qs_step_inputs(const struct step *s, void (*fn)(void *arg, int *value), void *arg);
/* keep.c */
void qs_keep_node(struct qs_fast *f, const struct qs_node *node, int32_t number); /* lowered */
void qs_keep_place(struct qs_fast *f); /* when steps have their order */
enum qs_err qs_keep_prepare(struct qs_ctx *cx, struct qs_fast *f) QS_MUST_CHECK;
/* Shows the kept variables that belong after `step`. */
enum qs_err qs_keep_show(struct qs_ctx *cx, struct qs_fast *f, const struct qs_watch *watch,
                         int step) QS_MUST_CHECK;
/* fast.c */
enum qs_err qs_fast_plan(struct qs_ctx *cx, const struct qs_model *m, const struct qs_value *in,
                         int n, const struct qs_fast_options *opt, enum planned planned,
                         struct qs_fast **out) QS_MUST_CHECK;
/* Another run of a probe's plan on the same weights: own tensors, own copies of values and steps.
 * No run of `f` may be in progress. */
enum qs_err qs_fast_share(struct qs_ctx *cx, const struct qs_fast *f,
                          struct qs_fast **out) QS_MUST_CHECK;
/* The parts of a run. */
enum qs_err qs_fast_begin(struct qs_ctx *cx, struct qs_fast *f, const struct qs_value *in, int n,
                          const struct qs_watch *watch) QS_MUST_CHECK;
enum qs_err qs_fast_steps(struct qs_ctx *cx, struct qs_fast *f, int from, int to,
                          const struct qs_watch *watch) QS_MUST_CHECK;
void qs_fast_end(struct qs_fast *f);
/* Before a step makes the value (-1: none). */
void qs_fast_clear_halo(struct qs_fast *f, int id);
enum qs_err qs_floats_new(struct qs_ctx *cx, int64_t n, float **out) QS_MUST_CHECK;
/* The aligned copy of a constant. */
enum qs_err qs_fast_load_param(struct qs_ctx *cx, struct qs_fast *f, struct value *v) QS_MUST_CHECK;
struct qs_value qs_fast_plain_value(const struct value *v); /* borrowed; of a plain value */
/* fast_image.c */
/* Writes a blocked image as a dense one. */
void qs_image_to_plain(struct qs_fast *f, const struct value *x, float *out);
/* fast_conv.c */
void qs_fast_prepare_conv(struct qs_fast *f, struct step *s); /* all but weights */
void qs_fast_key(const struct qs_fast *f, const struct step *s, struct qs_pack_key *key);
void qs_fast_take_pack(struct step *s, const struct qs_pack *pack); /* takes the reference over */
/* Makes the weights of a step, whose key nobody had. */
enum qs_err qs_fast_make_pack(struct qs_ctx *cx, struct qs_fast *f, struct step *s) QS_MUST_CHECK;
/* The weight w of the step (in its own layout) as its kernel reads it; *out is the caller's. */
enum qs_err qs_fast_pack(struct qs_ctx *cx, const struct qs_fast *f, const struct step *s,
                         const void *w, float **out) QS_MUST_CHECK;
int64_t qs_fast_packed(const struct qs_fast *f, const struct step *s); /* floats */
/* fast_i8.c */
static inline bool
qs_i8_shuffles(const struct step *s) /* makes floats, PLAIN */
{
    return s->kind == STEP_ITRANSPOSED && 4 * s->oc <= QK_I8_BLOCK;
}
void qs_i8_prepare(struct qs_fast *f, struct step *s);
/* After the rounding of its input or output has changed. */
void qs_i8_retune(struct qs_fast *f, struct step *s);
void qs_i8_key(const struct qs_fast *f, const struct step *s, struct qs_pack_key *key);
void qs_i8_take_pack(struct step *s, const struct qs_pack *pack);
enum qs_err qs_i8_make_pack(struct qs_ctx *cx, struct qs_fast *f, struct step *s) QS_MUST_CHECK;
void qs_i8_pool(struct qs_fast *f, const struct step *s);
/* Writes BYTES as floats, plain or blocked. */
void qs_i8_to_floats(struct qs_fast *f, const struct value *x, const struct value *y);
/* fast_winograd.c */
/* Sets s->winograd; floats of scratch it needs. alive: bytes of what else is alive at the step;
 * with them it keeps to what the plan promises (live.c). */
int64_t qs_winograd_choose(const struct qs_fast *f, struct step *s, int64_t alive);
void qs_winograd_prepare(const struct qs_fast *f, struct step *s);
void qs_winograd_run(struct qs_fast *f, struct step *s);
/* fast_rnn.c */
enum qs_err qs_rnn_prepare(struct qs_ctx *cx, struct qs_fast *f, struct step *s) QS_MUST_CHECK;
int64_t qs_rnn_scratch(const struct rnn *r); /* floats */
struct rnn *qs_rnn_share(struct qs_arena *a,
                         const struct rnn *r); /* the same weights; NULL stays */
/* Weights of a recurrence that a probe replaces: number of the weight that a variable is (-1:
 * none), values in its own layout packed (*out is the caller's), how many floats, which are used
 * (NULL: its own). */
int qs_rnn_find(const struct qs_fast *f, const struct rnn *r, int32_t var);
enum qs_err qs_rnn_pack(struct qs_ctx *cx, const struct qs_fast *f, const struct rnn *r, int at,
                        const void *w, float **out) QS_MUST_CHECK;
int64_t qs_rnn_packed(const struct qs_fast *f, const struct rnn *r, int at);
void qs_rnn_set(struct rnn *r, int at, const float *packed);
void qs_rnn_free(struct qs_packs *packs, struct rnn *r);

/* One function per kind of step, run by fast.c. */
#define ROW(name) void qs_run_##name(struct qs_fast *f, struct step *s);
#include "engine/steps.inc"
#undef ROW

/* Dims of a 4-D value. */
static inline int
image_n(const struct value *v)
{
    return (int)v->d[0];
}
static inline int
image_c(const struct value *v)
{
    return (int)v->d[1];
}
static inline int
image_h(const struct value *v)
{
    return (int)v->d[2];
}
static inline int
image_w(const struct value *v)
{
    return (int)v->d[3];
}

#endif
