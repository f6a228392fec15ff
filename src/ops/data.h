/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the forward functions that move, pick and compare elements share, and their list. The shape
 * rule of the operator has set the outputs; a function checks again what keeps it inside its
 * tensors, because indices and sizes come from data and attributes of files nobody vouches for.
 */
#ifndef QS_OPS_DATA_H
#define QS_OPS_DATA_H

#include "ops/forward.h"
#include "ops/strided.h"

/* Fails when the input is missing or nothing has computed it. */
enum qs_err qs_data_in(const struct qs_step *st, const char *slot, int i,
                       const struct qs_value **out) QS_MUST_CHECK;
/* Fails when the node lacks the output or its shape is not known. */
enum qs_err qs_data_out(const struct qs_step *st, const char *slot, int i,
                        struct qs_value **out) QS_MUST_CHECK;
/* First input and first output of two slots. */
enum qs_err qs_data_pair(const struct qs_step *st, const char *in, const char *out,
                         const struct qs_value **x, struct qs_value **y) QS_MUST_CHECK;
/* Fails unless `v` has these dims. */
enum qs_err qs_data_expect(const struct qs_step *st, const struct qs_value *v, int n,
                           const int64_t *d) QS_MUST_CHECK;
/* Fails unless the tensor has this element type / both have the same one. */
enum qs_err qs_data_expect_type(const struct qs_step *st, const struct qs_value *v,
                                int32_t dtype) QS_MUST_CHECK;
enum qs_err qs_data_same_type(const struct qs_step *st, const struct qs_value *x,
                              const struct qs_value *y) QS_MUST_CHECK;
/* Fails for types that are only moved, not computed with (halves, complex). */
enum qs_err qs_data_computable(const struct qs_step *st, const struct qs_value *x) QS_MUST_CHECK;

/* Attributes */
/* One integer from a tensor or an attribute. */
int64_t qs_data_int(const struct qs_step *st, const char *tensor, const char *attr, int64_t def);
/* The same for a real number. */
double qs_data_real(const struct qs_step *st, const char *tensor, const char *attr, double def);
bool qs_data_str_is(const struct qs_step *st, const char *attr, const char *def, const char *want);
/* Copies a float list (or single float) of at most `most`; its length, 0 when absent or longer. */
int qs_data_floats(const struct qs_step *st, const char *attr, double *out, int most);

/* Elements at, at + step, ... of any computable type. Real numbers become integers as the C casts
 * of x86 do: cut to an integer, values out of range to the smallest one. */
void qs_data_load_reals(const struct qs_value *x, int64_t at, int64_t step, int64_t n, double *out);
void qs_data_load_ints(const struct qs_value *x, int64_t at, int64_t step, int64_t n, int64_t *out);
void qs_data_store_reals(struct qs_value *y, int64_t at, int64_t n, const double *v);
void qs_data_store_ints(struct qs_value *y, int64_t at, int64_t n, const int64_t *v);
/* Sets all elements. */
void qs_data_fill_real(struct qs_value *y, double v);
void qs_data_fill_int(struct qs_value *y, int64_t v);
/* Elements of the attribute list `values` (or fp32_values, int64_values ...) into v; returns how
 * many the list has, 0 when there is none. */
int64_t qs_data_values(const struct qs_step *st, struct qs_value *v);
/* Copies all elements; the counts and types must agree. */
enum qs_err qs_data_copy(const struct qs_step *st, const struct qs_value *x,
                         struct qs_value *y) QS_MUST_CHECK;

/* What lies before, along and after an axis of a dense tensor. */
struct qs_data_split {
    int64_t outer, n, inner;
};
struct qs_data_split qs_data_split_at(const struct qs_value *x, int axis);

/* Area of the intersection of two boxes (x1, y1, x2, y2) over that of the union; sides count one
 * more unless `normalized`. A box turned inside out has no area. */
float qs_data_overlap(const float *a, const float *b, bool normalized);

qs_forward_fn qs_fwd_anchor_generator, qs_fwd_arange, qs_fwd_arg, qs_fwd_argsort,
    qs_fwd_assign_value, qs_fwd_binary, qs_fwd_bitwise_not, qs_fwd_box_clip, qs_fwd_box_coder,
    qs_fwd_cast, qs_fwd_clip, qs_fwd_concat, qs_fwd_conditional, qs_fwd_ctc_align, qs_fwd_cumsum,
    qs_fwd_density_prior_box, qs_fwd_dequantize_linear, qs_fwd_eye, qs_fwd_fake_channel_dequantize,
    qs_fwd_fake_dequantize, qs_fwd_fake_quantize, qs_fwd_fill_constant, qs_fwd_fill_like,
    qs_fwd_flip, qs_fwd_gather, qs_fwd_gather_nd, qs_fwd_grid_sampler, qs_fwd_im2sequence,
    qs_fwd_increment, qs_fwd_index_sample, qs_fwd_index_select, qs_fwd_iou_similarity,
    qs_fwd_linspace, qs_fwd_masked_select, qs_fwd_matrix_nms, qs_fwd_meshgrid,
    qs_fwd_moving_average_abs_max_scale, qs_fwd_multiclass_nms, qs_fwd_one_hot, qs_fwd_pad,
    qs_fwd_pad2d, qs_fwd_pad3d, qs_fwd_pixel_shuffle, qs_fwd_pow, qs_fwd_prior_box,
    qs_fwd_quantize_linear, qs_fwd_repeat, qs_fwd_roi_align, qs_fwd_roi_pool, qs_fwd_roll,
    qs_fwd_scatter, qs_fwd_scatter_nd_add, qs_fwd_select_input, qs_fwd_set_value, qs_fwd_shape,
    qs_fwd_shuffle_channel, qs_fwd_size, qs_fwd_slice, qs_fwd_space_to_depth, qs_fwd_split,
    qs_fwd_stack, qs_fwd_strided_slice, qs_fwd_take_along_axis, qs_fwd_test, qs_fwd_top_k,
    qs_fwd_transpose, qs_fwd_tril_triu, qs_fwd_unfold, qs_fwd_unstack, qs_fwd_view,
    qs_fwd_viterbi_decode, qs_fwd_where, qs_fwd_where_index, qs_fwd_while, qs_fwd_yolo_box;

#endif
