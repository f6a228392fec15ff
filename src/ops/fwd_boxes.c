/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes of detectors: priors, coding, clipping, overlaps. A box is (x1, y1, x2, y2). */
#include <inttypes.h>
#include <math.h>

#include "ops/data.h"

enum { LIST_MOST = 64 };

static float
sigmoid(float v)
{
    return 1 / (1 + expf(-v));
}

/* Reads an input of float32. */
static enum qs_err
read_floats(const struct qs_step *st, const char *slot, const struct qs_value **out)
{
    const enum qs_err err = qs_data_in(st, slot, 0, out);
    return err ? err : qs_data_expect_type(st, *out, QS_DTYPE_float32);
}

static enum qs_err
out_floats(const struct qs_step *st, const char *slot, struct qs_value **out)
{
    const enum qs_err err = qs_data_out(st, slot, 0, out);
    return err ? err : qs_data_expect_type(st, *out, QS_DTYPE_float32);
}

static enum qs_err
bad_shape(const struct qs_step *st, const char *slot)
{
    return qs_step_fail(st, _("the shape of %s does not fit"), slot);
}

/* yolo_box: X [N, anchors * (5 + classes), H, W], each cell (tx, ty, tw, th, objectness, classes);
 * with iou_aware the overlaps of all anchors come first. */

struct yolo {
    const struct qs_value *x, *size;
    struct qs_value *boxes, *scores;
    int64_t anchor[2 * LIST_MOST], n_anchor, classes, ratio;
    float threshold, scale, bias, factor;
    bool clip, aware;
};

static void
yolo_cell(const struct yolo *y, int64_t image, int64_t a, int64_t cell)
{
    const int64_t h = y->x->d[2], w = y->x->d[3], area = h * w;
    const float *all = y->x->f32 + image * y->x->d[1] * area;
    const float *t = all + (y->aware ? y->n_anchor : 0) * area + a * (5 + y->classes) * area + cell;
    const float image_h = (float)qs_value_int(y->size, 2 * image);
    const float image_w = (float)qs_value_int(y->size, 2 * image + 1);
    float sure = sigmoid(t[4 * area]);
    if (y->aware)
        sure = powf(sure, 1 - y->factor) * powf(sigmoid(all[a * area + cell]), y->factor);
    if (sure < y->threshold)
        return;
    const int64_t at = image * y->n_anchor * area + a * area + cell;
    const float cx = ((float)(cell % w) + sigmoid(t[0]) * y->scale + y->bias) * image_w / (float)w;
    const float cy =
        ((float)(cell / w) + sigmoid(t[area]) * y->scale + y->bias) * image_h / (float)h;
    const float bw = expf(t[2 * area]) * (float)y->anchor[2 * a] * image_w / (float)(y->ratio * w);
    const float bh =
        expf(t[3 * area]) * (float)y->anchor[2 * a + 1] * image_h / (float)(y->ratio * h);
    float *box = &y->boxes->f32[4 * at], *score = &y->scores->f32[at * y->classes];
    box[0] = cx - bw / 2;
    box[1] = cy - bh / 2;
    box[2] = cx + bw / 2;
    box[3] = cy + bh / 2;
    if (y->clip) {
        box[0] = box[0] > 0 ? box[0] : 0;
        box[1] = box[1] > 0 ? box[1] : 0;
        box[2] = box[2] < image_w - 1 ? box[2] : image_w - 1;
        box[3] = box[3] < image_h - 1 ? box[3] : image_h - 1;
    }
    for (int64_t c = 0; c < y->classes; c++)
        score[c] = sure * sigmoid(t[(5 + c) * area]);
}

static enum qs_err
read_yolo(const struct qs_step *st, struct yolo *y)
{
    enum qs_err err = read_floats(st, "X", &y->x);
    if (!err)
        err = qs_data_in(st, "ImgSize", 0, &y->size);
    if (!err)
        err = out_floats(st, "Boxes", &y->boxes);
    if (!err)
        err = out_floats(st, "Scores", &y->scores);
    if (err)
        return err;
    y->n_anchor = qs_attr_ints(st->node, "anchors", y->anchor, 2 * LIST_MOST) / 2;
    y->classes = qs_attr_int(st->node, "class_num", 0);
    y->ratio = qs_attr_int(st->node, "downsample_ratio", 32);
    y->threshold = (float)qs_attr_float(st->node, "conf_thresh", 0.01F);
    y->scale = (float)qs_attr_float(st->node, "scale_x_y", 1);
    y->bias = -0.5F * (y->scale - 1);
    y->factor = (float)qs_attr_float(st->node, "iou_aware_factor", 0.5F);
    y->clip = qs_attr_int(st->node, "clip_bbox", 1) != 0;
    y->aware = qs_attr_int(st->node, "iou_aware", 0) != 0;
    if (y->x->n != 4 || y->n_anchor < 1 || y->classes < 1 || y->classes > QS_ATTR_MOST ||
        y->x->d[1] != y->n_anchor * (5 + y->classes + y->aware))
        return bad_shape(st, "X");
    if (y->size->count != 2 * y->x->d[0])
        return bad_shape(st, "ImgSize");
    if (y->ratio < 1 || y->ratio > QS_ATTR_MOST)
        return qs_step_fail(st, _("attribute '%s' is out of range"), "downsample_ratio");
    return QS_OK;
}

enum qs_err
qs_fwd_yolo_box(struct qs_step *st)
{
    struct yolo y;
    const enum qs_err err = read_yolo(st, &y);
    if (err || y.x->count == 0)
        return err;
    const int64_t area = y.x->d[2] * y.x->d[3], all = y.x->d[0] * y.n_anchor * area;
    if (y.boxes->count != 4 * all || y.scores->count != qs_mul_sat(y.classes, all))
        return bad_shape(st, "Boxes");
    memset(y.boxes->f32, 0, (size_t)y.boxes->count * sizeof(float));
    memset(y.scores->f32, 0, (size_t)y.scores->count * sizeof(float));
    for (int64_t i = 0; i < all; i++)
        yolo_cell(&y, i / (y.n_anchor * area), i / area % y.n_anchor, i % area);
    return QS_OK;
}

/* Priors: half widths and heights of the boxes of one cell. */

struct priors {
    const struct qs_value *x, *image;
    struct qs_value *boxes, *variances;
    float step_w, step_h, offset;
    bool clip;
    int n; /* boxes of a cell */
};

static enum qs_err
read_priors(const struct qs_step *st, struct priors *p)
{
    enum qs_err err = qs_data_in(st, "Input", 0, &p->x);
    if (!err)
        err = qs_data_in(st, "Image", 0, &p->image);
    if (!err)
        err = out_floats(st, "Boxes", &p->boxes);
    if (!err)
        err = out_floats(st, "Variances", &p->variances);
    if (!err && (p->x->n != 4 || p->image->n != 4 || p->x->count == 0))
        err = bad_shape(st, "Input");
    if (err)
        return err;
    p->step_w = (float)qs_attr_float(st->node, "step_w", 0);
    p->step_h = (float)qs_attr_float(st->node, "step_h", 0);
    if (p->step_w == 0 || p->step_h == 0) {
        p->step_w = (float)p->image->d[3] / (float)p->x->d[3];
        p->step_h = (float)p->image->d[2] / (float)p->x->d[2];
    }
    p->offset = (float)qs_attr_float(st->node, "offset", 0.5F);
    p->clip = qs_attr_int(st->node, "clip", 0) != 0;
    return QS_OK;
}

/* The variances of every box, and the count of boxes. */
static enum qs_err
fill_variances(const struct qs_step *st, struct qs_value *boxes, struct qs_value *variances,
               int64_t cells, int n)
{
    double v[4] = {0.1F, 0.1F, 0.2F, 0.2F};
    if (qs_node_attr(st->node, "variances") && qs_data_floats(st, "variances", v, 4) != 4)
        return qs_step_fail(st, _("attribute '%s' is out of range"), "variances");
    if (n < 1 || boxes->count != qs_mul_sat(cells, 4 * (int64_t)n) ||
        variances->count != boxes->count)
        return bad_shape(st, "Boxes");
    for (int64_t i = 0; i < variances->count; i++)
        variances->f32[i] = (float)v[i % 4];
    return QS_OK;
}

static int
expand_ratios(const struct qs_step *st, float *ratio)
{
    double given[LIST_MOST];
    const int n_given = qs_data_floats(st, "aspect_ratios", given, LIST_MOST);
    const bool flip = qs_attr_int(st->node, "flip", 0) != 0;
    int n = 0;
    ratio[n++] = 1;
    for (int i = 0; i < n_given; i++) {
        bool have = false;
        for (int k = 0; k < n; k++)
            have = have || fabsf((float)given[i] - ratio[k]) < 1e-6F;
        if (have)
            continue;
        ratio[n++] = (float)given[i];
        if (flip)
            ratio[n++] = 1 / (float)given[i];
    }
    return n;
}

enum { BOXES_MOST = 2 * LIST_MOST * LIST_MOST + 2 * LIST_MOST };

struct half {
    float w, h;
};

static int
prior_sizes(const struct qs_step *st, struct half *half)
{
    double small[LIST_MOST], large[LIST_MOST];
    float ratio[2 * LIST_MOST + 1];
    const int n_small = qs_data_floats(st, "min_sizes", small, LIST_MOST);
    const int n_large = qs_data_floats(st, "max_sizes", large, LIST_MOST);
    const int n_ratio = expand_ratios(st, ratio);
    const bool size_first = qs_attr_int(st->node, "min_max_aspect_ratios_order", 0) != 0;
    int n = 0;
    for (int s = 0; s < n_small; s++) {
        const float size = (float)small[s];
        const float mean = s < n_large ? sqrtf(size * (float)large[s]) / 2 : 0;
        if (size_first) {
            half[n++] = (struct half){size / 2, size / 2};
            if (s < n_large)
                half[n++] = (struct half){mean, mean};
        }
        for (int r = 0; r < n_ratio; r++)
            if (!size_first || !(fabsf(ratio[r] - 1) < 1e-6F))
                half[n++] = (struct half){size * sqrtf(ratio[r]) / 2, size / sqrtf(ratio[r]) / 2};
        if (!size_first && s < n_large)
            half[n++] = (struct half){mean, mean};
    }
    return n;
}

static float
unit(float v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

static void
put_prior(const struct priors *p, float *box, float cx, float cy, struct half half)
{
    const float image_w = (float)p->image->d[3], image_h = (float)p->image->d[2];
    box[0] = (cx - half.w) / image_w;
    box[1] = (cy - half.h) / image_h;
    box[2] = (cx + half.w) / image_w;
    box[3] = (cy + half.h) / image_h;
    for (int i = 0; i < 4 && p->clip; i++)
        box[i] = unit(box[i]);
}

enum qs_err
qs_fwd_prior_box(struct qs_step *st)
{
    struct priors p;
    enum qs_err err = read_priors(st, &p);
    if (err)
        return err;
    struct half *half = qs_arena_calloc(st->scratch, BOXES_MOST, sizeof(*half));
    p.n = prior_sizes(st, half);
    const int64_t cells = p.x->d[2] * p.x->d[3];
    err = fill_variances(st, p.boxes, p.variances, cells, p.n);
    for (int64_t i = 0; i < cells && !err; i++) {
        const float cx = ((float)(i % p.x->d[3]) + p.offset) * p.step_w;
        const float cy = ((float)(i / p.x->d[3]) + p.offset) * p.step_h;
        for (int b = 0; b < p.n; b++)
            put_prior(&p, &p.boxes->f32[4 * (i * p.n + b)], cx, cy, half[b]);
    }
    return err;
}

/* density_prior_box: each fixed size gives density^2 shifted boxes for every ratio. */
struct dense {
    double size[LIST_MOST], ratio[LIST_MOST];
    int64_t density[LIST_MOST];
    int n_size, n_ratio;
};

static float *
put_dense(const struct priors *p, const struct dense *d, int s, float ratio, float cx, float cy,
          float *box)
{
    const float image_w = (float)p->image->d[3], image_h = (float)p->image->d[2];
    const int average = (int)((p->step_w + p->step_h) * 0.5F), density = (int)d->density[s];
    const int shift = average / density;
    const float w = (float)d->size[s] * sqrtf(ratio), h = (float)d->size[s] / sqrtf(ratio);
    const float x0 = cx - (float)average / 2 + (float)shift / 2;
    const float y0 = cy - (float)average / 2 + (float)shift / 2;
    for (int i = 0; i < density; i++)
        for (int k = 0; k < density; k++, box += 4) {
            const float x = x0 + (float)(k * shift), y = y0 + (float)(i * shift);
            box[0] = fmaxf((x - w / 2) / image_w, 0);
            box[1] = fmaxf((y - h / 2) / image_h, 0);
            box[2] = fminf((x + w / 2) / image_w, 1);
            box[3] = fminf((y + h / 2) / image_h, 1);
        }
    return box;
}

static enum qs_err
read_dense(const struct qs_step *st, const struct priors *p, struct dense *d, int *n)
{
    d->n_size = qs_data_floats(st, "fixed_sizes", d->size, LIST_MOST);
    d->n_ratio = qs_data_floats(st, "fixed_ratios", d->ratio, LIST_MOST);
    *n = 0;
    if (qs_attr_ints(st->node, "densities", d->density, LIST_MOST) != d->n_size)
        return qs_step_fail(st, _("attribute '%s' is out of range"), "densities");
    if (!(p->step_w + p->step_h < (float)QS_ATTR_MOST) || !(p->step_w + p->step_h > 0))
        return qs_step_fail(st, _("attribute '%s' is out of range"), "step_w");
    for (int s = 0; s < d->n_size; s++) {
        if (d->density[s] < 1 || d->density[s] > 1 << 10)
            return qs_step_fail(st, _("attribute '%s' is out of range"), "densities");
        *n += (int)(d->density[s] * d->density[s]) * d->n_ratio;
    }
    return QS_OK;
}

enum qs_err
qs_fwd_density_prior_box(struct qs_step *st)
{
    struct priors p;
    struct dense d;
    enum qs_err err = read_priors(st, &p);
    if (!err)
        err = read_dense(st, &p, &d, &p.n);
    if (err)
        return err;
    const int64_t cells = p.x->d[2] * p.x->d[3];
    err = fill_variances(st, p.boxes, p.variances, cells, p.n);
    float *box = p.boxes->f32;
    for (int64_t i = 0; i < cells && !err; i++) {
        const float cx = ((float)(i % p.x->d[3]) + p.offset) * p.step_w;
        const float cy = ((float)(i / p.x->d[3]) + p.offset) * p.step_h;
        for (int s = 0; s < d.n_size; s++)
            for (int r = 0; r < d.n_ratio; r++)
                box = put_dense(&p, &d, s, (float)d.ratio[r], cx, cy, box);
    }
    for (int64_t i = 0; !err && p.clip && i < p.boxes->count; i++)
        p.boxes->f32[i] = unit(p.boxes->f32[i]);
    return err;
}

/* anchor_generator: pixels, one size after the other for every ratio. */
enum qs_err
qs_fwd_anchor_generator(struct qs_step *st)
{
    const struct qs_value *x;
    struct qs_value *boxes, *variances;
    double size[LIST_MOST], ratio[LIST_MOST], stride[2] = {0};
    enum qs_err err = qs_data_in(st, "Input", 0, &x);
    if (!err)
        err = out_floats(st, "Anchors", &boxes);
    if (!err)
        err = out_floats(st, "Variances", &variances);
    if (!err && (x->n != 4 || qs_data_floats(st, "stride", stride, 2) != 2))
        err = bad_shape(st, "Input");
    if (err)
        return err;
    const int n_size = qs_data_floats(st, "anchor_sizes", size, LIST_MOST);
    const int n_ratio = qs_data_floats(st, "aspect_ratios", ratio, LIST_MOST);
    const float sw = (float)stride[0], sh = (float)stride[1];
    const float offset = (float)qs_attr_float(st->node, "offset", 0.5F);
    const int64_t cells = x->d[2] * x->d[3];
    err = fill_variances(st, boxes, variances, cells, n_size * n_ratio);
    float *box = boxes->f32;
    for (int64_t i = 0; i < cells && !err; i++) {
        const float cx = (float)(i % x->d[3]) * sw + offset * (sw - 1);
        const float cy = (float)(i / x->d[3]) * sh + offset * (sh - 1);
        for (int r = 0; r < n_ratio; r++)
            for (int s = 0; s < n_size; s++, box += 4) {
                const float base_w = roundf(sqrtf(sw * sh / (float)ratio[r]));
                const float base_h = roundf(base_w * (float)ratio[r]);
                const float half_w = 0.5F * ((float)size[s] / sw * base_w - 1);
                const float half_h = 0.5F * ((float)size[s] / sh * base_h - 1);
                box[0] = cx - half_w;
                box[1] = cy - half_h;
                box[2] = cx + half_w;
                box[3] = cy + half_h;
            }
    }
    return err;
}

/* box_coder: boxes relative to priors, centers and sizes divided by the prior's. */

struct coder {
    const struct qs_value *prior, *variance, *target; /* variance NULL: `v` for all */
    struct qs_value *out;
    float v[4], one; /* one: 1 when boxes count whole pixels */
    int64_t axis;
};

struct center {
    float x, y, w, h;
};

static struct center
center_of(const float *b, float one)
{
    const float w = b[2] - b[0] + one, h = b[3] - b[1] + one;
    return (struct center){b[0] + w / 2, b[1] + h / 2, w, h};
}

static void
encode(const struct coder *c, int64_t t, int64_t p, float *out)
{
    const struct center a = center_of(&c->prior->f32[4 * p], c->one);
    const float *b = &c->target->f32[4 * t];
    const float x = (b[2] + b[0]) / 2, y = (b[3] + b[1]) / 2;
    const float w = b[2] - b[0] + c->one, h = b[3] - b[1] + c->one;
    const float *v = c->variance ? &c->variance->f32[4 * p] : c->v;
    out[0] = (x - a.x) / a.w / v[0];
    out[1] = (y - a.y) / a.h / v[1];
    out[2] = logf(fabsf(w / a.w)) / v[2];
    out[3] = logf(fabsf(h / a.h)) / v[3];
}

static void
decode(const struct coder *c, const float *t, int64_t p, float *out)
{
    const struct center a = center_of(&c->prior->f32[4 * p], c->one);
    const float *v = c->variance ? &c->variance->f32[4 * p] : c->v;
    const float x = v[0] * t[0] * a.w + a.x, y = v[1] * t[1] * a.h + a.y;
    const float w = expf(v[2] * t[2]) * a.w, h = expf(v[3] * t[3]) * a.h;
    out[0] = x - w / 2;
    out[1] = y - h / 2;
    out[2] = x + w / 2 - c->one;
    out[3] = y + h / 2 - c->one;
}

static enum qs_err
read_coder(const struct qs_step *st, struct coder *c)
{
    double v[4];
    enum qs_err err = read_floats(st, "PriorBox", &c->prior);
    if (!err)
        err = read_floats(st, "TargetBox", &c->target);
    if (!err)
        err = out_floats(st, "OutputBox", &c->out);
    if (err)
        return err;
    c->variance = qs_step_in(st, "PriorBoxVar", 0);
    if (c->variance &&
        (c->variance->dtype != QS_DTYPE_float32 || c->variance->count != c->prior->count))
        return bad_shape(st, "PriorBoxVar");
    const int n = qs_data_floats(st, "variance", v, 4);
    if (n != 0 && n != 4)
        return qs_step_fail(st, _("attribute '%s' is out of range"), "variance");
    for (int i = 0; i < 4; i++)
        c->v[i] = n ? (float)v[i] : 1;
    c->one = qs_attr_int(st->node, "box_normalized", 1) ? 0 : 1;
    c->axis = qs_attr_int(st->node, "axis", 0);
    if (c->prior->n != 2 || c->prior->d[1] != 4)
        return bad_shape(st, "PriorBox");
    return QS_OK;
}

static enum qs_err
encode_all(const struct qs_step *st, const struct coder *c)
{
    if (c->target->n != 2 || c->target->d[1] != 4)
        return bad_shape(st, "TargetBox");
    const int64_t rows = c->target->d[0], columns = c->prior->d[0];
    const int64_t d[3] = {rows, columns, 4};
    const enum qs_err err = qs_data_expect(st, c->out, 3, d);
    for (int64_t i = 0; i < rows && !err; i++)
        for (int64_t j = 0; j < columns; j++)
            encode(c, i, j, &c->out->f32[4 * (i * columns + j)]);
    return err;
}

static enum qs_err
decode_all(const struct qs_step *st, const struct coder *c)
{
    const struct qs_value *t = c->target;
    if (t->n != 3 || t->d[2] != 4 || c->axis < 0 || c->axis > 1 ||
        c->prior->d[0] != t->d[1 - c->axis])
        return bad_shape(st, "TargetBox");
    const enum qs_err err = qs_data_expect(st, c->out, t->n, t->d);
    for (int64_t i = 0; i < t->count / 4 && !err; i++)
        decode(c, &t->f32[4 * i], c->axis == 0 ? i % t->d[1] : i / t->d[1], &c->out->f32[4 * i]);
    return err;
}

enum qs_err
qs_fwd_box_coder(struct qs_step *st)
{
    struct coder c;
    const enum qs_err err = read_coder(st, &c);
    if (err)
        return err;
    const bool decodes =
        qs_data_str_is(st, "code_type", "encode_center_size", "decode_center_size");
    return decodes ? decode_all(st, &c) : encode_all(st, &c);
}

/* ImInfo holds (height, width, scale) of every image; boxes belong to images by rows (lod) or by
 * the first of three dims. */
enum qs_err
qs_fwd_box_clip(struct qs_step *st)
{
    const struct qs_value *x, *info;
    struct qs_value *y;
    enum qs_err err = read_floats(st, "Input", &x);
    if (!err)
        err = read_floats(st, "ImInfo", &info);
    if (!err)
        err = out_floats(st, "Output", &y);
    if (!err)
        err = qs_data_expect(st, y, x->n, x->d);
    if (err || x->count == 0)
        return err;
    const int64_t images = info->count / 3, rows = x->d[0];
    if (info->n != 2 || info->d[1] != 3 || x->d[x->n - 1] % 4 != 0)
        return bad_shape(st, "ImInfo");
    const int64_t per_row = x->count / rows;
    int64_t image = 0;
    for (int64_t r = 0; r < rows; r++) {
        while (x->n == 2 && x->lod && image + 2 < x->n_lod && r >= x->lod[image + 1])
            image++;
        if (x->n > 2)
            image = r;
        if (image >= images)
            return bad_shape(st, "ImInfo");
        const float *i = &info->f32[3 * image];
        const float most[2] = {roundf(i[1] / i[2]) - 1, roundf(i[0] / i[2]) - 1};
        for (int64_t k = 0; k < per_row; k++) {
            const float v = x->f32[r * per_row + k], limit = most[k % 2];
            const float low = v < limit ? v : limit;
            y->f32[r * per_row + k] = low > 0 ? low : 0;
        }
    }
    return QS_OK;
}

/* Overlaps */

static float
area_of(const float *b, bool normalized)
{
    const float one = normalized ? 0 : 1;
    return b[2] < b[0] || b[3] < b[1] ? 0 : (b[2] - b[0] + one) * (b[3] - b[1] + one);
}

float
qs_data_overlap(const float *a, const float *b, bool normalized)
{
    if (b[0] > a[2] || b[2] < a[0] || b[1] > a[3] || b[3] < a[1])
        return 0;
    const float one = normalized ? 0 : 1;
    const float w = fminf(a[2], b[2]) - fmaxf(a[0], b[0]) + one;
    const float h = fminf(a[3], b[3]) - fmaxf(a[1], b[1]) + one;
    return w * h / (area_of(a, normalized) + area_of(b, normalized) - w * h);
}

/* Unlike in suppression, the area of a box that is turned inside out counts. */
static float
similarity(const float *a, const float *b, bool normalized)
{
    const float one = normalized ? 0 : 1;
    const float w = fmaxf(fminf(a[2], b[2]) - fmaxf(a[0], b[0]) + one, 0);
    const float h = fmaxf(fminf(a[3], b[3]) - fmaxf(a[1], b[1]) + one, 0);
    const float area_a = (a[3] - a[1] + one) * (a[2] - a[0] + one);
    const float area_b = (b[3] - b[1] + one) * (b[2] - b[0] + one);
    return w * h / (area_a + area_b - w * h + 1e-10F);
}

enum qs_err
qs_fwd_iou_similarity(struct qs_step *st)
{
    const struct qs_value *x, *y;
    struct qs_value *out;
    const bool normalized = qs_attr_int(st->node, "box_normalized", 1) != 0;
    enum qs_err err = read_floats(st, "X", &x);
    if (!err)
        err = read_floats(st, "Y", &y);
    if (!err)
        err = out_floats(st, "Out", &out);
    if (err)
        return err;
    if (x->n != 2 || y->n != 2 || x->d[1] != 4 || y->d[1] != 4)
        return bad_shape(st, "X");
    const int64_t d[2] = {x->d[0], y->d[0]};
    err = qs_data_expect(st, out, 2, d);
    for (int64_t i = 0; i < out->count && !err; i++)
        out->f32[i] = similarity(&x->f32[i / d[1] * 4], &y->f32[i % d[1] * 4], normalized);
    return err;
}
