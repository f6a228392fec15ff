/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of the fast engine on images and rows, other than convolutions. */
#include <string.h>

#include "engine/lower.h"

struct job {
    struct qs_fast *f;
    const struct step *s;
    const struct value *x, *y, *more;
};

static struct job
job_of(struct qs_fast *f, const struct step *s)
{
    struct job j = {f, s, s->x >= 0 ? &f->value[s->x] : NULL, &f->value[s->y],
                    s->more >= 0 ? &f->value[s->more] : NULL};
    return j;
}

/* For every block of every image. */
static void
run_blocks(struct job *j, void (*body)(void *arg, int64_t i, int member))
{
    const int64_t n = (int64_t)image_n(j->y) * j->y->blocks;
    const int64_t enough = 1 << 14; /* floats */
    if (j->y->count < enough) {
        for (int64_t i = 0; i < n; i++)
            body(j, i, 0);
        return;
    }
    qs_team_run(j->f->team, n, body, j);
}

/* Block i of all images of a value. */
static float *
block_at(const struct value *v, const struct value *of, int64_t i)
{
    return v->data + i / of->blocks * v->image + i % of->blocks * v->block;
}

/* Rows of a block that follow each other without a gap are one. */
struct rows {
    int n;
    int64_t pixels;
};

static struct rows
rows_of(const struct job *j)
{
    const bool joined = j->y->halo_w == 0 && (!j->x || j->x->halo_w == 0) &&
                        (!j->more || j->more->halo_w == 0 || j->s->per_channel);
    if (joined)
        return (struct rows){1, j->y->d[2] * j->y->d[3]};
    return (struct rows){image_h(j->y), j->y->d[3]};
}

/* ---- pooling ---- */

static void
pool_block(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const struct step *s = j->s;
    const struct qk_pool_args a = {.x = block_at(j->x, j->y, i),
                                   .x_row = j->x->row,
                                   .x_pixel = j->x->pixel,
                                   .y = block_at(j->y, j->y, i),
                                   .y_row = j->y->row,
                                   .y_pixel = j->y->pixel,
                                   .y0 = s->y0,
                                   .y1 = s->y1,
                                   .x0 = s->x0,
                                   .x1 = s->x1,
                                   .ow = image_w(j->y),
                                   .divisor = s->divisor};
    (void)member;
    (s->max ? j->f->k->max_pool : j->f->k->avg_pool)(&a, 0, image_h(j->y));
}

void
qs_run_POOL(struct qs_fast *f, struct step *s)
{
    struct job j = job_of(f, s);
    if (j.y->layout == BYTES)
        qs_i8_pool(f, s);
    else
        run_blocks(&j, pool_block);
}

/* ---- resizing ---- */

static void
nearest_row(const struct job *j, const float *x, float *y)
{
    const struct step *s = j->s;
    if (s->repeat) {
        j->f->k->repeat(j->x->d[3], s->repeat, x, y);
        return;
    }
    for (int64_t i = 0; i < j->y->d[3]; i++)
        memcpy(y + i * j->y->pixel, x + s->x0[i] * j->x->pixel, (size_t)j->y->pixel * sizeof(*y));
}

static void
nearest_block(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const struct step *s = j->s;
    const float *x = block_at(j->x, j->y, i);
    const float *more = j->more ? block_at(j->more, j->y, i) : NULL;
    float *y = block_at(j->y, j->y, i);
    (void)member;
    for (int r = 0; r < image_h(j->y); r++, y += j->y->row) {
        /* a row that repeats the one above is copied from there (unless something was added) */
        if (r > 0 && s->y0[r] == s->y0[r - 1] && !more)
            memcpy(y, y - j->y->row, (size_t)(j->y->d[3] * j->y->pixel) * sizeof(*y));
        else
            nearest_row(j, x + s->y0[r] * j->x->row, y);
        if (more)
            j->f->k->binary(QK_ADD, &s->post, j->y->d[3], more + r * j->more->row, j->more->pixel,
                            y, j->y->pixel, y);
    }
}

static void
bilinear_block(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const struct step *s = j->s;
    const struct qk_bilinear_args a = {.x = block_at(j->x, j->y, i),
                                       .x_row = j->x->row,
                                       .x_pixel = j->x->pixel,
                                       .y = block_at(j->y, j->y, i),
                                       .y_row = j->y->row,
                                       .y_pixel = j->y->pixel,
                                       .top = s->y0,
                                       .bottom = s->y1,
                                       .left = s->x0,
                                       .right = s->x1,
                                       .v = s->v,
                                       .h = s->h,
                                       .ow = image_w(j->y)};
    (void)member;
    j->f->k->bilinear(&a, 0, image_h(j->y));
}

void
qs_run_RESIZE(struct qs_fast *f, struct step *s)
{
    struct job j = job_of(f, s);
    run_blocks(&j, s->bilinear ? bilinear_block : nearest_block);
}

/* ---- elementwise ---- */

typedef float lanes_of_floats[QK_CONV_LANES_MOST] __attribute__((aligned(64)));

enum { PIECE = 1 << 14 /* floats of a plane */ };

/* Thin images stay plain; their planes are whole vectors. */
struct piece {
    int64_t channel; /* of all images */
    int64_t at, n;   /* floats from the start of the value; vectors */
};

static int64_t
pieces_of_plane(const struct value *y)
{
    return (y->d[2] * y->d[3] + PIECE - 1) / PIECE;
}

static struct piece
piece_of(const struct job *j, int64_t i)
{
    const int64_t plane = j->y->d[2] * j->y->d[3], pieces = pieces_of_plane(j->y);
    const int64_t from = i % pieces * PIECE, left = plane - from;
    const int64_t n = left < PIECE ? left : PIECE;
    return (struct piece){i / pieces, i / pieces * plane + from, n / j->f->lanes};
}

static void
fill(const struct job *j, lanes_of_floats v, float x)
{
    for (int k = 0; k < j->f->lanes; k++)
        v[k] = x;
}

static void
run_pieces(struct job *j, void (*body)(void *arg, int64_t i, int member))
{
    qs_team_run(j->f->team, j->y->d[0] * j->y->d[1] * pieces_of_plane(j->y), body, j);
}

static void
binary_piece(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const struct step *s = j->s;
    const struct piece p = piece_of(j, i);
    const float *x = j->x->data + p.at, *more = j->more->data + p.at;
    int64_t more_step = j->f->lanes;
    lanes_of_floats one;
    (void)member;
    if (s->per_channel) {
        fill(j, one, j->more->data[p.channel] + (float)s->plus_one);
        more = one;
        more_step = 0;
    }
    if (s->swapped)
        j->f->k->binary(s->op, &s->post, p.n, more, more_step, x, j->f->lanes, j->y->data + p.at);
    else
        j->f->k->binary(s->op, &s->post, p.n, x, j->f->lanes, more, more_step, j->y->data + p.at);
}

static void
affine_piece(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const struct piece p = piece_of(j, i);
    const int64_t c = p.channel % j->y->d[1];
    lanes_of_floats scale, shift;
    (void)member;
    fill(j, scale, (float)j->s->scale[c]);
    fill(j, shift, (float)j->s->shift[c]);
    j->f->k->affine(&j->s->post, p.n, j->x->data + p.at, scale, shift, j->y->data + p.at);
}

static void
binary_block(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const struct step *s = j->s;
    const struct rows rows = rows_of(j);
    const float *x = block_at(j->x, j->y, i), *more = block_at(j->more, j->y, i);
    float *y = block_at(j->y, j->y, i);
    const int64_t more_row = s->per_channel ? 0 : j->more->row;
    const int64_t more_step = s->per_channel ? 0 : j->more->pixel;
    lanes_of_floats factor;
    (void)member;
    for (int k = 0; s->plus_one && k < j->f->lanes; k++)
        factor[k] = more[k] + 1;
    if (s->plus_one)
        more = factor;
    for (int r = 0; r < rows.n; r++) {
        const float *a = x + r * j->x->row, *b = more + r * more_row;
        if (s->swapped)
            j->f->k->binary(s->op, &s->post, rows.pixels, b, more_step, a, j->x->pixel,
                            y + r * j->y->row);
        else
            j->f->k->binary(s->op, &s->post, rows.pixels, a, j->x->pixel, b, more_step,
                            y + r * j->y->row);
    }
}

void
qs_run_BINARY(struct qs_fast *f, struct step *s)
{
    struct job j = job_of(f, s);
    if (j.y->layout == BLOCKED)
        run_blocks(&j, binary_block);
    else
        run_pieces(&j, binary_piece);
}

static void
affine_block(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const struct rows rows = rows_of(j);
    const int64_t c = i % j->y->blocks * j->f->lanes;
    lanes_of_floats scale = {0}, shift = {0};
    (void)member;
    for (int k = 0; k < j->f->lanes && c + k < j->s->oc; k++) {
        scale[k] = (float)j->s->scale[c + k];
        shift[k] = (float)j->s->shift[c + k];
    }
    for (int r = 0; r < rows.n; r++)
        j->f->k->affine(&j->s->post, rows.pixels, block_at(j->x, j->y, i) + r * j->x->row, scale,
                        shift, block_at(j->y, j->y, i) + r * j->y->row);
}

/* Plain values: rows of `oc` elements, a vector at a time. */
static void
affine_plain(void *arg, int64_t row, int member)
{
    const struct job *j = arg;
    const struct step *s = j->s;
    const float *x = j->x->data + row * s->oc;
    float *y = j->y->data + row * s->oc;
    (void)member;
    for (int64_t c = 0; c < s->oc; c += j->f->lanes) {
        const int n = s->oc - c < j->f->lanes ? (int)(s->oc - c) : j->f->lanes;
        lanes_of_floats v = {0}, scale = {0}, shift = {0};
        for (int k = 0; k < n; k++) {
            v[k] = x[c + k];
            scale[k] = (float)s->scale[c + k];
            shift[k] = (float)s->shift[c + k];
        }
        j->f->k->affine(&s->post, 1, v, scale, shift, v);
        memcpy(y + c, v, (size_t)n * sizeof(*y));
    }
}

void
qs_run_AFFINE(struct qs_fast *f, struct step *s)
{
    struct job j = job_of(f, s);
    if (j.y->layout == BLOCKED)
        run_blocks(&j, affine_block);
    else if (j.y->n == 4)
        run_pieces(&j, affine_piece);
    else
        qs_team_run(f->team, j.y->count / s->oc, affine_plain, &j);
}

static void
softmax_row(void *arg, int64_t row, int member)
{
    const struct job *j = arg;
    const int64_t n = j->x->d[j->x->n - 1], lanes = j->f->lanes;
    const float *x = j->x->data + row * n;
    (void)member;
    if (j->s->padded)
        x = j->f->value[j->s->scratch].data + row * ((n + lanes - 1) / lanes * lanes);
    j->f->k->softmax(n, x, j->y->data + row * n);
}

void
qs_run_SOFTMAX(struct qs_fast *f, struct step *s)
{
    struct job j = job_of(f, s);
    qs_team_run(f->team, j.x->count / j.x->d[j.x->n - 1], softmax_row, &j);
}

/* ---- rounding ---- */

static void
grid_block(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const struct rows rows = rows_of(j);
    const float *x = block_at(j->x, j->y, i);
    float *y = block_at(j->y, j->y, i);
    (void)member;
    for (int r = 0; r < rows.n; r++)
        j->f->k->round(&j->s->grid, rows.pixels * j->y->pixel, x + r * j->x->row,
                       y + r * j->y->row);
}

static void
grid_piece(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const int64_t from = i * PIECE, left = j->y->count - from;
    (void)member;
    j->f->k->round(&j->s->grid, left < PIECE ? left : PIECE, j->x->data + from, j->y->data + from);
}

void
qs_run_GRID(struct qs_fast *f, struct step *s)
{
    struct job j = job_of(f, s);
    if (j.y->layout == BLOCKED)
        run_blocks(&j, grid_block);
    else
        qs_team_run(f->team, (j.y->count + PIECE - 1) / PIECE, grid_piece, &j);
}

/* ---- layouts ---- */

void
qs_run_ALIAS(struct qs_fast *f, struct step *s)
{
    f->value[s->y].data = f->value[s->x].data;
}

static void
copy_block(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const float *x = block_at(j->x, j->x, i);
    float *y = j->y->data + i / j->x->blocks * j->y->image + i % j->x->blocks * j->y->block;
    (void)member;
    for (int r = 0; r < image_h(j->x); r++)
        memcpy(y + r * j->y->row, x + r * j->x->row,
               (size_t)(j->x->d[3] * j->x->pixel) * sizeof(*y));
}

/* Planes of thin images. */
static void
join_plain(const struct qs_fast *f, const struct step *s)
{
    const struct value *y = &f->value[s->y];
    float *to = y->data;
    for (int64_t n = 0; n < y->d[0]; n++)
        for (int i = 0; i < s->n_in; i++) {
            const struct value *x = &f->value[s->in[i]];
            const int64_t floats = x->count / x->d[0];
            memcpy(to, x->data + n * floats, (size_t)floats * sizeof(*to));
            to += floats;
        }
}

/* Parts that do not lie in their place already. */
void
qs_run_CONCAT(struct qs_fast *f, struct step *s)
{
    int at = 0;
    if (f->value[s->y].layout == BYTES)
        return;
    if (f->value[s->y].layout == PLAIN) {
        join_plain(f, s);
        return;
    }
    if (f->value[s->y].layout == BYTES)
        return;
    for (int i = 0; i < s->n_in; i++) {
        const struct value *x = &f->value[s->in[i]];
        struct value part = f->value[s->y];
        struct job j = {f, s, x, &part, NULL};
        part.data += at * part.block;
        at += x->blocks;
        if (x->part_of != s->y || x->data != part.data)
            qs_team_run(f->team, (int64_t)image_n(x) * x->blocks, copy_block, &j);
    }
}

/* Channels before block b, and in it. */
static int64_t
channels_before(const struct job *j, const struct value *v, int64_t b)
{
    int64_t c = 0;
    if (!v->lanes)
        return b * j->f->lanes;
    for (int64_t i = 0; i < b; i++)
        c += v->lanes[i];
    return c;
}

static int
channels_in(const struct job *j, const struct value *v, int64_t b)
{
    const int64_t left = v->d[1] - b * j->f->lanes;
    if (v->lanes)
        return v->lanes[b];
    return left < j->f->lanes ? (int)left : j->f->lanes;
}

static void
block_of_plain(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const int64_t b = i % j->y->blocks, plane = j->y->d[2] * j->y->d[3];
    const int64_t c = channels_before(j, j->y, b);
    const float *x = j->x->data + (i / j->y->blocks * j->y->d[1] + c) * plane;
    (void)member;
    for (int r = 0; r < image_h(j->y); r++)
        j->f->k->to_blocked(x + r * j->y->d[3], plane, channels_in(j, j->y, b), j->y->d[3],
                            block_at(j->y, j->y, i) + r * j->y->row);
}

static void
plain_of_block(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const int64_t b = i % j->x->blocks, plane = j->x->d[2] * j->x->d[3];
    const int64_t c = channels_before(j, j->x, b);
    float *y = j->y->data + (i / j->x->blocks * j->x->d[1] + c) * plane;
    (void)member;
    for (int r = 0; r < image_h(j->x); r++)
        j->f->k->from_blocked(block_at(j->x, j->x, i) + r * j->x->row, channels_in(j, j->x, b),
                              j->x->d[3], y + r * j->x->d[3], plane);
}

void
qs_image_to_plain(struct qs_fast *f, const struct value *x, float *out)
{
    const struct value y = {.data = out};
    if (x->layout == BYTES) {
        qs_i8_to_floats(f, x, &y);
        return;
    }
    struct job j = {f, NULL, x, &y, NULL};
    qs_team_run(f->team, (int64_t)image_n(x) * x->blocks, plain_of_block, &j);
}

static void
plane_of_plain(void *arg, int64_t i, int member)
{
    const struct job *j = arg;
    const int64_t w = j->y->d[3], plane = j->y->d[2] * w;
    const float *x = j->x->data + i * plane;
    float *y = j->y->data + i * j->y->block;
    (void)member;
    for (int r = 0; r < image_h(j->y); r++)
        memcpy(y + r * j->y->row, x + r * w, (size_t)w * sizeof(*y));
}

void
qs_run_CONVERT(struct qs_fast *f, struct step *s)
{
    struct job j = job_of(f, s);
    if (j.x->layout == BYTES) {
        qs_i8_to_floats(f, j.x, j.y);
        return;
    }
    const struct value *image = j.y->layout == PLAIN ? j.x : j.y;
    const int64_t n = (int64_t)image_n(image) * image->blocks;
    qs_team_run(f->team, n,
                j.y->layout == PLAIN     ? plain_of_block
                : j.y->layout == BLOCKED ? block_of_plain
                                         : plane_of_plain,
                &j);
}
