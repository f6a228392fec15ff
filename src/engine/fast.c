/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fast.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "engine/lower.h"

/* ---- memory ---- */

enum { HUGE_PAGE = 2 << 20 };

/* Large blocks on huge pages where the system has them: images are walked across rows. What does
 * not fill a page of that size stays on small ones. */
enum qs_err
qs_floats_new(struct qs_ctx *cx, int64_t n, float **out)
{
    const size_t bytes = n < 0 || n > INT64_MAX / 8 ? SIZE_MAX : (size_t)n * sizeof(float);
    void *p = NULL;
    if (bytes == SIZE_MAX || posix_memalign(&p, bytes < HUGE_PAGE ? 64 : HUGE_PAGE, bytes) != 0)
        return qs_fail(cx, QS_ERR_MEMORY, _("out of memory: %zu bytes wanted"), bytes);
    if (bytes >= HUGE_PAGE)
        (void)madvise(p, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    *out = p;
    return QS_OK;
}

/* ---- operators that are not lowered ---- */

struct qs_value
qs_fast_plain_value(const struct value *v)
{
    struct qs_value out = {.dtype = v->dtype, .n = v->n, .count = v->count};
    memcpy(out.d, v->d, sizeof(out.d));
    out.data = v->param ? v->param_data : v->data;
    return out;
}

/* qs_step.make: a tensor that was planned, of that shape. */
static enum qs_err
make_planned(struct qs_step *st, int32_t var, int32_t dtype, int n, const int64_t *d)
{
    struct qs_value *out = st->out;
    for (int s = 0; s < st->node->n_out; s++)
        for (int i = 0; i < st->node->out[s].n; i++, out++)
            if (st->node->out[s].var[i] == var && out->data && out->dtype == dtype && out->n == n &&
                memcmp(out->d, d, sizeof(*d) * (size_t)n) == 0)
                return QS_OK;
    return qs_fail(st->cx, QS_ERR_UNSUPPORTED, _("the shape of '%s' depends on data"),
                   st->model->var[var].name);
}

static enum qs_err
no_blocks(struct qs_step *st, int64_t block)
{
    (void)block;
    return qs_fail(st->cx, QS_ERR_UNSUPPORTED, _("'%s' runs a block of its own"), st->node->type);
}

static void
set_inputs(struct qs_fast *f, const struct step *s)
{
    int k = 0;
    for (int i = 0; i < s->node->n_in; i++)
        for (int j = 0; j < s->node->in[i].n; j++, k++) {
            const int32_t var = s->node->in[i].var[j];
            f->var[var] =
                s->in[k] >= 0 ? qs_fast_plain_value(&f->value[s->in[k]]) : (struct qs_value){0};
        }
}

void
qs_run_FORWARD(struct qs_fast *f, struct step *s)
{
    struct qs_arena scratch;
    struct qs_step st = {.cx = f->cx,
                         .model = f->m,
                         .node = s->node,
                         .var = f->var,
                         .scratch = &scratch,
                         .scalars_are_1d = f->scalars_are_1d,
                         .make = make_planned,
                         .run_block = no_blocks,
                         .run = f};
    qs_arena_init(&scratch);
    set_inputs(f, s);
    st.out = qs_arena_calloc(&scratch, (size_t)s->n_out + 1, sizeof(*st.out));
    for (int i = 0; i < s->n_out; i++)
        if (s->out[i] >= 0 && f->value[s->out[i]].known)
            st.out[i] = qs_fast_plain_value(&f->value[s->out[i]]);
    f->err = s->node->op->forward(&st);
    for (int i = 0; i < s->n_out && !f->err; i++)
        if (st.out[i].lod && st.out[i].n_lod > 2)
            f->err = qs_fail(f->cx, QS_ERR_UNSUPPORTED, _("rows of an output belong together"));
    if (f->err) {
        f->refused = s->number;
        (void)qs_infer_name_node(f->cx, f->m, s->node, s->number);
    }
    qs_arena_release(&scratch);
}

/* ---- running ---- */

/* Values whose memory others use in between get their halo again. */
void
qs_fast_clear_halo(struct qs_fast *f, int id)
{
    const struct value *v = id >= 0 ? &f->value[id] : NULL;
    /* parts of one pixel have one border */
    if (v && v->layout == BYTES && v->part_of >= 0)
        v = &f->value[v->part_of];
    if (v && v->halo_shared)
        qs_room_clear_halo(v);
}

typedef void run_fn(struct qs_fast *f, struct step *s);
static run_fn *const run_step[] = {
#define ROW(name) qs_run_##name,
#include "engine/steps.inc"
#undef ROW
};

static enum qs_err
check_inputs(struct qs_ctx *cx, const struct qs_fast *f, const struct qs_value *in, int n)
{
    if (n != f->n_in)
        return qs_fail(cx, QS_ERR_USAGE, _("the model has %d inputs, %d were given"), f->n_in, n);
    for (int i = 0; i < n; i++) {
        const struct value *v = &f->value[f->in_value[i]];
        if (!in[i].data || in[i].dtype != v->dtype || in[i].n != v->n ||
            memcmp(in[i].d, v->d, sizeof(v->d[0]) * (size_t)v->n) != 0)
            return qs_fail(cx, QS_ERR_USAGE, _("input '%s' is not as planned"),
                           f->m->var[v->var].name);
    }
    return QS_OK;
}

/* What a probe has of an input is a copy: it can be run from again. */
static void
take_input(const struct qs_fast *f, struct value *v, const struct qs_value *in)
{
    if (!f->probe)
        v->data = in->f32;
    else if (v->data)
        memcpy(v->data, in->data, (size_t)v->count * (size_t)qs_dtype_bytes(v->dtype));
}

enum qs_err
qs_fast_begin(struct qs_ctx *cx, struct qs_fast *f, const struct qs_value *in, int n,
              const struct qs_watch *watch)
{
    const enum qs_err err = check_inputs(cx, f, in, n);
    if (err)
        return err;
    qs_room_enter(f);
    for (int i = 0; i < n; i++)
        take_input(f, &f->value[f->in_value[i]], &in[i]);
    f->cx = cx;
    f->next_kept = 0;
    return watch ? qs_keep_show(cx, f, watch, -1) : QS_OK;
}

enum qs_err
qs_fast_steps(struct qs_ctx *cx, struct qs_fast *f, int from, int to, const struct qs_watch *watch)
{
    enum qs_err err = QS_OK;
    double before = qs_seconds_now();
    f->cx = cx;
    f->err = QS_OK;
    f->refused = -1;
    for (int i = from; i < to && !err; i++) {
        struct step *s = &f->step[i];
        qs_fast_clear_halo(f, s->y);
        qs_fast_clear_halo(f, s->q);
        run_step[s->kind](f, s);
        s->seconds = qs_seconds_now() - before;
        err = f->err ? f->err : qs_check_cancel(cx);
        if (watch && !err)
            err = qs_keep_show(cx, f, watch, i);
        before = qs_seconds_now();
    }
    return err;
}

void
qs_fast_end(struct qs_fast *f)
{
    for (int i = 0; i < f->n_out; i++)
        f->out[i] = qs_fast_plain_value(&f->value[f->out_value[i]]);
}

enum qs_err
qs_fast_run(struct qs_ctx *cx, struct qs_fast *f, const struct qs_value *in, int n,
            const struct qs_watch *watch)
{
    enum qs_err err = f->split ? check_inputs(cx, f, in, n) : qs_fast_begin(cx, f, in, n, watch);
    if (f->split)
        return err ? err : qs_split_run(cx, f, in);
    if (!err)
        err = qs_fast_steps(cx, f, 0, f->n_step, watch);
    qs_fast_end(f);
    return err;
}

/* ---- planning ---- */

static void
start_inputs(struct qs_fast *f, const struct qs_value *in)
{
    int32_t *var = qs_arena_calloc(&f->arena, (size_t)f->n_in + 1, sizeof(*var));
    qs_model_inputs(f->m, var, f->n_in);
    for (int i = 0; i < f->n_in; i++) {
        const int id = qs_lower_value(f);
        struct value *v = &f->value[id];
        v->var = var[i];
        v->known = true;
        v->dtype = in[i].dtype;
        v->n = in[i].n;
        v->count = in[i].count;
        v->input = i;
        memcpy(v->d, in[i].d, sizeof(v->d));
        f->in_value[i] = id;
        f->now[var[i]] = id;
    }
}

static enum qs_err
infer(struct qs_ctx *cx, struct qs_fast *f, const struct qs_value *in)
{
    struct qs_input_shape *shape = qs_arena_calloc(&f->arena, (size_t)f->n_in + 1, sizeof(*shape));
    int32_t *var = qs_arena_calloc(&f->arena, (size_t)f->n_in + 1, sizeof(*var));
    qs_model_inputs(f->m, var, f->n_in);
    for (int i = 0; i < f->n_in; i++) {
        shape[i].name = f->m->var[var[i]].name;
        shape[i].n = in[i].n;
        memcpy(shape[i].d, in[i].d, sizeof(shape[i].d));
    }
    return qs_infer_shapes(cx, f->m, shape, f->n_in, &f->shapes);
}

/* A softmax that alone reads the rows of a product takes them from where they are. */
static void
leave_padded(struct qs_fast *f, struct step *dense)
{
    const struct value *y = &f->value[dense->y];
    for (int i = 0; i < f->n_step; i++) {
        struct step *s = &f->step[i];
        if (s->kind != STEP_SOFTMAX || s->x != dense->y || y->n_users != 1 ||
            y->d[y->n - 1] != dense->oc)
            continue;
        s->scratch = dense->scratch;
        s->padded = dense->padded = true;
        f->value[dense->y].floats = 0; /* nobody looks there */
    }
}

/* Room that a step needs: rows of products whose length is not one of vectors, rows of a shuffled
 * convolution, squares. */
static int64_t
scratch_of(const struct qs_fast *f, struct step *s, int64_t alive)
{
    const struct value *x = s->x >= 0 ? &f->value[s->x] : NULL;
    const int64_t winograd = qs_winograd_choose(f, s, alive);
    if (winograd > 0)
        return winograd;
    if (s->kind == STEP_DENSE && s->oc % f->lanes != 0)
        return x->count / s->ic * (s->oc + f->lanes);
    if (s->kind == STEP_IDENSE && s->y >= 0 && s->oc % QK_I8_BLOCK != 0)
        return f->value[s->y].count / s->oc * (s->oc + QK_I8_BLOCK);
    if (qs_i8_shuffles(s))
        return qs_team_size(f->team) * x->d[3] * QK_I8_BLOCK;
    if (s->kind == STEP_TRANSPOSED && f->value[s->y].layout == PLAIN)
        return qs_team_size(f->team) * x->d[3] * f->lanes;
    return s->kind == STEP_RNN ? qs_rnn_scratch(s->rnn) : 0;
}

static void
add_scratch(struct qs_fast *f)
{
    const int64_t *alive = qs_place_alive(f);
    qs_fuse_count(f);
    for (int i = 0; i < f->n_step; i++) {
        const int64_t floats = scratch_of(f, &f->step[i], alive[i]);
        if (floats == 0)
            continue;
        const int id = qs_lower_value(f);
        f->step[i].scratch = id;
        f->value[id].floats = floats;
        if (f->step[i].kind == STEP_DENSE && !f->probe)
            leave_padded(f, &f->step[i]);
    }
}

static enum qs_err
copy_param(struct qs_ctx *cx, const struct value *v, struct qs_pack *out)
{
    const size_t bytes = (size_t)v->count * (size_t)qs_dtype_bytes(v->dtype);
    *out = (struct qs_pack){.floats = (int64_t)(bytes + 3) / 4};
    const enum qs_err err = qs_floats_new(cx, out->floats, &out->packed);
    if (!err)
        memcpy(out->packed, v->param->buf->data + v->param->offset, bytes);
    return err;
}

enum qs_err
qs_fast_load_param(struct qs_ctx *cx, struct qs_fast *f, struct value *v)
{
    const struct qs_pack_key key = {.weight = v->param, .form = -1};
    struct qs_pack made;
    if (v->param_data)
        return QS_OK;
    if ((size_t)v->count * (size_t)qs_dtype_bytes(v->dtype) > v->param->bytes)
        return qs_fail(cx, QS_ERR_FORMAT, _("cannot run with parameter '%s': unusual shape"),
                       f->m->var[v->var].name);
    v->pack = qs_packs_find(f->packs, &key);
    const enum qs_err err = v->pack ? QS_OK : copy_param(cx, v, &made);
    if (err)
        return err;
    if (!v->pack)
        v->pack = qs_packs_add(f->packs, &key, made);
    v->param_data = v->pack->packed;
    f->param_floats += v->pack->floats;
    return QS_OK;
}

/* Constants that an operator's own function reads. */
static enum qs_err
load_params(struct qs_ctx *cx, struct qs_fast *f, const struct step *s)
{
    enum qs_err err = QS_OK;
    for (int i = 0; s->kind == STEP_FORWARD && i < s->n_in && !err; i++)
        if (s->in[i] >= 0 && f->value[s->in[i]].param)
            err = qs_fast_load_param(cx, f, &f->value[s->in[i]]);
    return err;
}

static bool
has_weights(const struct step *s)
{
    return s->kind == STEP_CONV || s->kind == STEP_DEPTHWISE || s->kind == STEP_TRANSPOSED ||
           s->kind == STEP_DENSE || is_integer(s);
}

static void
prepare_step(struct qs_fast *f, struct step *s, struct qs_pack_key *key)
{
    if (is_integer(s)) {
        qs_i8_prepare(f, s);
        qs_i8_key(f, s, key);
    } else {
        qs_fast_prepare_conv(f, s);
        qs_fast_key(f, s, key);
    }
}

struct packing {
    struct qs_fast *f;
    int *step; /* [n] whose weights are to be made */
    int n;
    int64_t floats; /* of those */
};

static int
larger_first(const void *a, const void *b, void *arg)
{
    const struct step *step = arg;
    const int x = *(const int *)a, y = *(const int *)b;
    const int64_t m = step[x].packed_floats, n = step[y].packed_floats;
    return m != n ? (m < n ? 1 : -1) : x - y;
}

/* Takes the weights that a plan has made before. Of the others the largest come first: the last
 * ones are made when memory is fullest, and their source lies in memory beside them. */
static void
find_packs(struct qs_fast *f, struct packing *p)
{
    *p = (struct packing){.f = f};
    p->step = qs_arena_calloc(&f->arena, (size_t)f->n_step + 1, sizeof(*p->step));
    for (int i = 0; i < f->n_step; i++) {
        struct step *s = &f->step[i];
        struct qs_pack_key key;
        if (!has_weights(s))
            continue;
        prepare_step(f, s, &key);
        const struct qs_pack *pack = qs_packs_find(f->packs, &key);
        if (pack && is_integer(s)) {
            qs_i8_take_pack(s, pack);
        } else if (pack) {
            qs_fast_take_pack(s, pack);
        } else {
            p->floats += s->packed_floats;
            p->step[p->n++] = i;
        }
    }
    qsort_r(p->step, (size_t)p->n, sizeof(*p->step), larger_first, f->step);
}

static enum qs_err
make_pack(struct qs_ctx *cx, void *arg, int64_t i)
{
    const struct packing *p = arg;
    struct step *s = &p->f->step[p->step[i]];
    return is_integer(s) ? qs_i8_make_pack(cx, p->f, s) : qs_fast_make_pack(cx, p->f, s);
}

static enum qs_err
make_params(struct qs_ctx *cx, struct qs_fast *f, struct packing *p)
{
    enum qs_err err = p->n > 0 ? qs_parallel_for(cx, p->n, make_pack, p) : QS_OK;
    for (int i = 0; i < f->n_step && !err; i++) {
        struct step *s = &f->step[i];
        f->param_floats += s->pack ? s->pack->floats : 0;
        err = s->kind == STEP_RNN ? qs_rnn_prepare(cx, f, s) : load_params(cx, f, s);
    }
    return err ? err : qs_keep_prepare(cx, f);
}

/* Memory: refused before it is taken when there is not enough. */
static enum qs_err
prepare(struct qs_ctx *cx, struct qs_fast *f)
{
    struct packing p;
    find_packs(f, &p);
    const int64_t more = f->memory_floats - f->room->floats;
    enum qs_err err =
        qs_memory_check(cx, (p.floats + (more > 0 ? more : 0)) * (int64_t)sizeof(float));
    if (!err)
        err = qs_room_reserve(cx, f);
    return err ? err : make_params(cx, f, &p);
}

static enum qs_err
plan(struct qs_ctx *cx, struct qs_fast *f, const struct qs_value *in,
     const struct qs_fast_options *opt, enum planned planned)
{
    enum qs_err err = infer(cx, f, in);
    if (err)
        return err;
    start_inputs(f, in);
    err = qs_lower(cx, f);
    if (err)
        return err;
    qs_fuse(f);
    f->live_bytes = qs_live_bytes(f);
    if (planned == PLANNED_PARTS && !f->keep)
        err = qs_split_try(cx, f, in, opt);
    if (err || f->split)
        return err;
    qs_layout(f);
    qs_round_signs(f);
    qs_keep_place(f);
    add_scratch(f);
    err = qs_place_values(cx, f);
    return err ? err : prepare(cx, f);
}

enum qs_err
qs_fast_plan(struct qs_ctx *cx, const struct qs_model *m, const struct qs_value *in, int n,
             const struct qs_fast_options *opt, enum planned planned, struct qs_fast **out)
{
    struct qs_fast *f = qs_xcalloc(1, sizeof(*f));
    const size_t n_var = (size_t)m->n_var + 1;
    atomic_init(&f->refs, 1);
    f->m = m;
    f->refused = -1;
    f->probe = planned == PLANNED_PROBE;
    f->k = qk_conv();
    f->lanes = f->k->lanes;
    f->keep = opt ? opt->keep : NULL;
    f->whole_blocks = opt && (opt->whole_blocks || opt->notes);
    f->packs = opt && opt->packs ? qs_packs_ref(opt->packs) : qs_packs_new();
    f->own_room = !opt || !opt->room;
    f->room = f->own_room ? qs_room_new(f->probe ? 1 : cx->threads) : opt->room;
    f->team = f->room->team;
    f->ki = qk_conv_i8();
    f->notes = opt ? opt->notes : NULL;
    f->scalars_are_1d = qs_infer_scalars_are_1d(m);
    qs_arena_init(&f->arena);
    f->n_in = qs_model_inputs(m, NULL, 0);
    f->n_out = qs_model_outputs(m, NULL, 0);
    f->in_value = qs_arena_calloc(&f->arena, (size_t)f->n_in + 1, sizeof(*f->in_value));
    f->out_value = qs_arena_calloc(&f->arena, (size_t)f->n_out + 1, sizeof(*f->out_value));
    qs_model_outputs(m, f->out_value, f->n_out);
    f->out = qs_arena_calloc(&f->arena, (size_t)f->n_out + 1, sizeof(*f->out));
    f->var = qs_arena_calloc(&f->arena, n_var, sizeof(*f->var));
    f->now = qs_arena_calloc(&f->arena, n_var, sizeof(*f->now));
    if (f->notes)
        f->rounding = qs_arena_calloc(&f->arena, (size_t)f->notes->n_act + 1, sizeof(*f->rounding));
    for (int32_t i = 0; i < m->n_var; i++)
        f->now[i] = -1;
    enum qs_err err = QS_OK;
    if (n != f->n_in)
        err = qs_fail(cx, QS_ERR_USAGE, _("the model has %d inputs, %d were given"), f->n_in, n);
    else if (m->n_block < 1)
        err = qs_fail(cx, QS_ERR_FORMAT, _("the model has no block"));
    if (!err)
        err = plan(cx, f, in, opt, planned);
    f->keep = NULL;
    f->notes = NULL;
    if (opt && opt->refused)
        *opt->refused = f->refused;
    if (err) {
        qs_fast_free(f);
        return err;
    }
    *out = f;
    return QS_OK;
}

enum qs_err
qs_fast_new(struct qs_ctx *cx, const struct qs_model *m, const struct qs_value *in, int n,
            const struct qs_fast_options *opt, struct qs_fast **out)
{
    return qs_fast_plan(cx, m, in, n, opt, PLANNED_PARTS, out);
}

void
qs_fast_retune(struct qs_fast *f, const struct qs_static_notes *notes)
{
    if (f->split)
        qs_split_retune(f, notes);
    else
        qs_round_retune(f, notes);
}

static void *
copied(struct qs_fast *f, const void *p, int n, size_t size)
{
    return qs_arena_memdup(&f->arena, p, (size_t)n * size);
}

enum qs_err
qs_fast_share(struct qs_ctx *cx, const struct qs_fast *f, struct qs_fast **out)
{
    struct qs_fast *s = qs_xcalloc(1, sizeof(*s));
    s->root = f->root ? f->root : (struct qs_fast *)(uintptr_t)f;
    atomic_fetch_add(&s->root->refs, 1);
    qs_arena_init(&s->arena);
    s->m = f->m;
    s->k = f->k;
    s->ki = f->ki;
    s->lanes = f->lanes;
    s->own_room = true;
    s->room = qs_room_new(1);
    s->team = s->room->team;
    s->value = copied(s, f->value, f->n_value, sizeof(*f->value));
    s->n_value = f->n_value;
    s->step = copied(s, f->step, f->n_step, sizeof(*f->step));
    s->n_step = f->n_step;
    for (int i = 0; i < s->n_step; i++)
        s->step[i].rnn = qs_rnn_share(&s->arena, f->step[i].rnn);
    s->n_in = f->n_in;
    s->n_out = f->n_out;
    s->in_value = f->in_value;
    s->out_value = f->out_value;
    s->out = qs_arena_calloc(&s->arena, (size_t)f->n_out + 1, sizeof(*s->out));
    s->var = qs_arena_calloc(&s->arena, (size_t)f->m->n_var + 1, sizeof(*s->var));
    s->memory_floats = f->memory_floats;
    s->param_floats = f->param_floats;
    s->scalars_are_1d = f->scalars_are_1d;
    s->probe = f->probe;
    const enum qs_err err = qs_room_reserve(cx, s);
    if (err) {
        qs_fast_free(s);
        return err;
    }
    *out = s;
    return QS_OK;
}

static void
free_root(struct qs_fast *f)
{
    for (int i = 0; i < f->n_step; i++) {
        if (is_integer(&f->step[i])) { /* its weights are its own */
            free(f->step[i].packed);
            free(f->step[i].bias);
        }
        qs_packs_drop(f->packs, f->step[i].pack);
        qs_rnn_free(f->packs, f->step[i].rnn);
    }
    for (int i = 0; i < f->n_value; i++) {
        if (!f->value[i].pack)
            free(f->value[i].param_data);
        qs_packs_drop(f->packs, f->value[i].pack);
    }
    qs_packs_unref(f->packs);
    qs_shapes_free(f->shapes);
    qs_arena_release(&f->arena);
    free(f);
}

void
qs_fast_free(struct qs_fast *f)
{
    if (!f)
        return;
    struct qs_fast *root = f->root ? f->root : f;
    qs_split_free(f);
    free(f->shown);
    if (f->room->user == f)
        f->room->user = NULL;
    if (f->own_room)
        qs_room_free(f->room);
    if (f != root) {
        qs_arena_release(&f->arena);
        free(f);
    }
    if (atomic_fetch_sub(&root->refs, 1) == 1)
        free_root(root);
}

/* ---- reports ---- */

int
qs_fast_n_out(const struct qs_fast *f)
{
    return f->n_out;
}

const struct qs_value *
qs_fast_out(const struct qs_fast *f, int i)
{
    return &f->out[i];
}

int32_t
qs_fast_refused(const struct qs_fast *f)
{
    return f->split ? qs_split_refused(f) : f->refused;
}

int
qs_fast_n_steps(const struct qs_fast *f)
{
    return qs_split_shown(f)->n_step;
}

struct qs_fast_step
qs_fast_step(const struct qs_fast *f, int i)
{
    static const char *const how[] = {
#define ROW(name) #name,
#include "engine/steps.inc"
#undef ROW
    };
    const struct step *s = &qs_split_shown(f)->step[i];
    const int y = s->y >= 0 ? s->y : s->q >= 0 ? s->q : s->n_out > 0 ? s->out[0] : -1;
    const int32_t var = y >= 0 ? qs_split_shown(f)->value[y].var : -1;
    const bool rounds =
        s->kind == STEP_ROUND || (s->kind == STEP_GRID && qs_split_shown(f)->value[y].rounding);
    return (struct qs_fast_step){.op_type = rounds    ? "round"
                                            : s->node ? s->node->type
                                                      : "layout",
                                 .integer = is_integer(s),
                                 .name = var >= 0 ? f->m->var[var].name : "",
                                 .how = s->winograd ? "WINOGRAD" : how[s->kind],
                                 .seconds = s->seconds};
}

const char *
qs_fast_isa(const struct qs_fast *f)
{
    for (int i = 0; i < f->n_step; i++)
        if (is_integer(&f->step[i]))
            return f->ki->isa;
    return f->k->isa;
}

int64_t
qs_fast_param_bytes(const struct qs_fast *f)
{
    return qs_split_shown(f)->param_floats * (int64_t)sizeof(float);
}

int64_t
qs_fast_live_bytes(const struct qs_fast *f)
{
    return f->live_bytes;
}

int64_t
qs_fast_tensor_bytes(const struct qs_fast *f)
{
    if (f->split)
        return qs_split_bytes(f);
    return (f->memory_floats + f->shown_floats) * (int64_t)sizeof(float);
}
