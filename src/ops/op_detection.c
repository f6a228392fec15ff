/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of detectors and decoders of text lines. What a suppression or a decoder keeps depends on
 * the data, so those outputs stay unknown. */
#include <inttypes.h>
#include <math.h>

#include "ops/data.h"

enum { RATIOS_MOST = 64 };

static enum qs_err
yolo_box_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0);
    struct qs_ints anchors;
    const int64_t classes = qs_attr_int(in->node, "class_num", 0);
    const int aware = qs_attr_int(in->node, "iou_aware", 0) != 0;
    qs_infer_ints(in, NULL, NULL, "anchors", &anchors);
    if (!x || !anchors.known)
        return QS_OK;
    const int64_t n = anchors.n / 2;
    if (x->n != 4 || n < 1 || classes < 1 || classes > QS_ATTR_MOST ||
        x->d[1] != n * (5 + classes + aware))
        return qs_infer_fail(
            in, _("%" PRId64 " anchors of %" PRId64 " classes do not fit the input"), n, classes);
    const int64_t boxes = qs_mul_sat(n, x->d[2] * x->d[3]);
    const int64_t box[3] = {x->d[0], boxes, 4}, score[3] = {x->d[0], boxes, classes};
    const enum qs_err err = qs_infer_set(in, "Boxes", 0, x->dtype, 3, box);
    return err ? err : qs_infer_set(in, "Scores", 0, x->dtype, 3, score);
}

static enum qs_err
set_priors(struct qs_infer *in, const struct qs_shape *x, int64_t priors)
{
    if (x->n != 4 || priors < 1 || priors > QS_ATTR_MOST)
        return qs_infer_fail(in, _("%" PRId64 " boxes for each place do not fit the input"),
                             priors);
    const int64_t d[4] = {x->d[2], x->d[3], priors, 4};
    const int64_t flat[2] = {qs_mul_sat(x->d[2] * x->d[3], priors), 4};
    const bool flatten = qs_attr_int(in->node, "flatten_to_2d", 0) != 0;
    const enum qs_err err = qs_infer_set(in, "Boxes", 0, -1, flatten ? 2 : 4, flatten ? flat : d);
    return err ? err : qs_infer_set(in, "Variances", 0, -1, flatten ? 2 : 4, flatten ? flat : d);
}

static bool
has_ratio(const double *ratio, int n, double r)
{
    for (int i = 0; i < n; i++)
        if (fabs(ratio[i] - r) < 1e-6)
            return true;
    return false;
}

/* Distinct aspect ratios: 1, those given, and with `flip` their inverses. */
static int
count_ratios(const struct qs_infer *in)
{
    double given[RATIOS_MOST], ratio[2 * RATIOS_MOST + 1] = {1};
    const int n_given = qs_infer_floats(in, "aspect_ratios", given, RATIOS_MOST);
    const bool flip = qs_attr_int(in->node, "flip", 0) != 0;
    int n = 1;
    for (int i = 0; i < n_given; i++) {
        if (has_ratio(ratio, n, given[i]))
            continue;
        ratio[n++] = given[i];
        if (flip)
            ratio[n++] = 1 / given[i];
    }
    return n;
}

static enum qs_err
prior_box_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0);
    double size[RATIOS_MOST];
    if (!x)
        return QS_OK;
    const int n_min = qs_infer_floats(in, "min_sizes", size, RATIOS_MOST);
    const int n_max = qs_infer_floats(in, "max_sizes", size, RATIOS_MOST);
    return set_priors(in, x, (int64_t)n_min * count_ratios(in) + n_max);
}

/* Each fixed size gives density^2 boxes for every ratio. */
static enum qs_err
density_prior_box_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0);
    double ratio[RATIOS_MOST];
    struct qs_ints density;
    int64_t priors = 0;
    qs_infer_ints(in, NULL, NULL, "densities", &density);
    if (!x || !density.known)
        return QS_OK;
    const int n_ratio = qs_infer_floats(in, "fixed_ratios", ratio, RATIOS_MOST);
    for (int i = 0; i < density.n; i++) {
        if (density.v[i] < 1 || density.v[i] > INT16_MAX)
            return qs_infer_fail(in, _("density %" PRId64 " is out of range"), density.v[i]);
        priors += n_ratio * density.v[i] * density.v[i];
    }
    return set_priors(in, x, priors);
}

static enum qs_err
anchor_generator_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0);
    double v[RATIOS_MOST];
    if (!x)
        return QS_OK;
    const int64_t n = (int64_t)qs_infer_floats(in, "anchor_sizes", v, RATIOS_MOST) *
                      qs_infer_floats(in, "aspect_ratios", v, RATIOS_MOST);
    if (x->n != 4 || n < 1)
        return qs_infer_fail(in, _("%" PRId64 " boxes for each place do not fit the input"), n);
    const int64_t d[4] = {x->d[2], x->d[3], n, 4};
    const enum qs_err err = qs_infer_set(in, "Anchors", 0, -1, 4, d);
    return err ? err : qs_infer_set(in, "Variances", 0, -1, 4, d);
}

/* Encoding pairs every target with every prior; decoding keeps the shape. */
static enum qs_err
box_coder_shape(struct qs_infer *in)
{
    const struct qs_shape *prior = qs_infer_in(in, "PriorBox", 0);
    const struct qs_shape *target = qs_infer_in(in, "TargetBox", 0);
    if (!prior || !target)
        return QS_OK;
    if (!qs_infer_str_is(in, "code_type", "encode_center_size", "encode_center_size"))
        return qs_infer_set_like(in, "OutputBox", 0, target);
    if (prior->n != 2 || target->n != 2)
        return qs_infer_fail(in, _("the boxes have %d and %d dimensions, not 2"), prior->n,
                             target->n);
    const int64_t d[3] = {target->d[0], prior->d[0], 4};
    return qs_infer_set(in, "OutputBox", 0, target->dtype, 3, d);
}

static enum qs_err
box_clip_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0);
    return x ? qs_infer_set_like(in, "Output", 0, x) : QS_OK;
}

static enum qs_err
iou_similarity_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0), *y = qs_infer_in(in, "Y", 0);
    if (!x || !y)
        return QS_OK;
    if (x->n != 2 || y->n != 2)
        return qs_infer_fail(in, _("the boxes have %d and %d dimensions, not 2"), x->n, y->n);
    const int64_t d[2] = {x->d[0], y->d[0]};
    return qs_infer_set(in, "Out", 0, x->dtype, 2, d);
}

static enum qs_err
roi_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "X", 0), *rois = qs_infer_in(in, "ROIs", 0);
    const int64_t h = qs_attr_int(in->node, "pooled_height", 1);
    const int64_t w = qs_attr_int(in->node, "pooled_width", 1);
    if (!x || !rois)
        return QS_OK;
    if (x->n != 4 || rois->n != 2 || h < 1 || w < 1)
        return qs_infer_fail(in, _("the regions do not fit the input"));
    const int64_t d[4] = {rois->d[0], x->d[1], h, w};
    enum qs_err err = qs_infer_set(in, "Argmax", 0, QS_DTYPE_int64, 4, d);
    return err ? err : qs_infer_set(in, "Out", 0, x->dtype, 4, d);
}

/* One count per image; boxes and indices depend on the data. Scores [N, C, M]. */
static enum qs_err
nms_shape(struct qs_infer *in)
{
    const struct qs_shape *scores = qs_infer_in(in, "Scores", 0);
    const char *slot = strcmp(in->node->type, "matrix_nms") == 0 ? "RoisNum" : "NmsRoisNum";
    if (!scores || scores->n != 3)
        return QS_OK;
    return qs_infer_set(in, slot, 0, QS_DTYPE_int32, 1, &scores->d[0]);
}

/* Padded decoding keeps the shape; LoD decoding drops repeats and blanks. */
static enum qs_err
ctc_align_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0);
    if (!x || qs_infer_n_in(in, "InputLength") == 0 || x->n < 1)
        return QS_OK;
    const int64_t lengths[2] = {x->d[0], 1};
    const enum qs_err err = qs_infer_set(in, "OutputLength", 0, -1, 2, lengths);
    return err ? err : qs_infer_set_like(in, "Output", 0, x);
}

/* Path is as long as the longest sequence. Input [B, T, tags]. */
static enum qs_err
viterbi_decode_shape(struct qs_infer *in)
{
    const struct qs_shape *x = qs_infer_in(in, "Input", 0);
    return x && x->n == 3 ? qs_infer_set(in, "Scores", 0, x->dtype, 1, &x->d[0]) : QS_OK;
}

#define ROW(op, rule, run) \
    const struct qs_op qs_op_##op = {.name = #op, .shape = rule, .forward = run};
ROW(anchor_generator, anchor_generator_shape, qs_fwd_anchor_generator)
ROW(box_clip, box_clip_shape, qs_fwd_box_clip)
ROW(box_coder, box_coder_shape, qs_fwd_box_coder)
ROW(ctc_align, ctc_align_shape, qs_fwd_ctc_align)
ROW(density_prior_box, density_prior_box_shape, qs_fwd_density_prior_box)
ROW(iou_similarity, iou_similarity_shape, qs_fwd_iou_similarity)
ROW(matrix_nms, nms_shape, qs_fwd_matrix_nms)
ROW(multiclass_nms, NULL, qs_fwd_multiclass_nms)
ROW(multiclass_nms2, NULL, qs_fwd_multiclass_nms)
ROW(multiclass_nms3, nms_shape, qs_fwd_multiclass_nms)
ROW(prior_box, prior_box_shape, qs_fwd_prior_box)
ROW(roi_align, roi_shape, qs_fwd_roi_align)
ROW(roi_pool, roi_shape, qs_fwd_roi_pool)
ROW(viterbi_decode, viterbi_decode_shape, qs_fwd_viterbi_decode)
ROW(yolo_box, yolo_box_shape, qs_fwd_yolo_box)
#undef ROW
