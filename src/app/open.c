/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/app.h"
#include "app/record.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "db/db.h"
#include "io/format.h"
#include "model/quant.h"

/* Opening */

static enum qs_err
infer_shapes(struct qs_ctx *cx, const struct qs_strv *given, struct qs_opened *o)
{
    enum { MOST = 16 };
    struct qs_input_shape in[MOST];
    struct qs_arena arena;
    const int n = given ? given->n : 0;
    enum qs_err err = QS_OK;
    if (n > MOST)
        return qs_fail(cx, QS_ERR_USAGE, _("--shape is given %d times; the limit is %d"), n, MOST);
    qs_arena_init(&arena);
    for (int i = 0; i < n && !err; i++)
        err = qs_input_shape_parse(cx, &arena, given->v[i], &in[i]);
    if (!err)
        err = qs_infer_shapes(cx, o->model, in, n, &o->shapes);
    qs_arena_release(&arena);
    if (!err || n > 0)
        return err;
    /* guessed shapes: say so, go on without */
    snprintf(o->shapes_message, sizeof(o->shapes_message), "%.200s", qs_message(cx));
    qs_clear(cx);
    return QS_OK;
}

enum qs_err
qs_app_open(struct qs_ctx *cx, const char *path, const char *params, const struct qs_strv *shapes,
            struct qs_opened **out)
{
    struct qs_opened *o = qs_xcalloc(1, sizeof(*o));
    enum qs_err err = qs_model_read(cx, path, params, &o->model);
    if (!err) {
        o->edges = qs_edges_new(o->model);
        o->layers = qs_layers_new(o->model, o->edges);
        o->path = realpath(o->model->program_path, NULL);
        if (!o->path)
            o->path = qs_xstrdup(o->model->program_path);
        o->params = params ? qs_xstrdup(params) : NULL;
        err = infer_shapes(cx, shapes, o);
    }
    if (err)
        qs_app_close(o);
    else
        *out = o;
    return err;
}

enum qs_err
qs_app_derive(struct qs_ctx *cx, const struct qs_opened *from, struct qs_model *m,
              struct qs_opened **out)
{
    const struct qs_strv none = {0};
    struct qs_opened *o = qs_xcalloc(1, sizeof(*o));
    o->model = m;
    o->edges = qs_edges_new(m);
    o->layers = qs_layers_new(m, o->edges);
    o->path = qs_xstrdup(from->path);
    o->params = from->params ? qs_xstrdup(from->params) : NULL;
    const enum qs_err err = infer_shapes(cx, &none, o);
    if (err)
        qs_app_close(o);
    else
        *out = o;
    return err;
}

void
qs_app_close(struct qs_opened *o)
{
    if (!o)
        return;
    qs_shapes_free(o->shapes);
    qs_layers_free(o->layers);
    qs_edges_free(o->edges);
    qs_model_unref(o->model);
    free(o->path);
    free(o->params);
    free(o);
}

enum qs_err
qs_app_need_params(struct qs_ctx *cx, const struct qs_opened *o)
{
    if (o->model->has_params)
        return QS_OK;
    return qs_fail(cx, QS_ERR_NOT_FOUND,
                   _("cannot read the weights of '%s': no parameter file beside it (--params FILE "
                     "names one that is elsewhere)"),
                   o->model->program_path);
}

/* Loops over layers, largest first */

struct layer_loop {
    const struct qs_opened *o;
    const char *what;
    int *order;
    int bits;
    double *per_tensor, *per_channel;
    struct qs_ctx *cx;
    void (*done)(void *arg, int layer);
    void *arg;
    pthread_mutex_t lock; /* guards `done`, progress */
    int n_done;
};

static const struct qs_tensor *
tensor_of(const struct qs_opened *o, int i)
{
    return o->model->var[o->layers->layer[i].var].data;
}

static int
compare_elements(const void *a, const void *b, void *arg)
{
    const struct qs_tensor *x = tensor_of(arg, *(const int *)a),
                           *y = tensor_of(arg, *(const int *)b);
    const int64_t n = x ? x->n : 0, k = y ? y->n : 0;
    return n != k ? (n < k ? 1 : -1) : *(const int *)a - *(const int *)b;
}

static enum qs_err
loop_layers(struct qs_ctx *cx, struct layer_loop *l,
            enum qs_err (*body)(struct qs_ctx *cx, void *arg, int64_t i))
{
    const int n = l->o->layers->n;
    l->cx = cx;
    l->order = qs_xmalloc((size_t)n * sizeof(*l->order));
    for (int i = 0; i < n; i++)
        l->order[i] = i;
    qsort_r(l->order, (size_t)n, sizeof(*l->order), compare_elements, (void *)l->o);
    pthread_mutex_init(&l->lock, NULL);
    const enum qs_err err = qs_parallel_for(cx, n, body, l);
    pthread_mutex_destroy(&l->lock);
    free(l->order);
    return err;
}

static void
layer_done(struct layer_loop *l, int layer)
{
    pthread_mutex_lock(&l->lock);
    if (l->done)
        l->done(l->arg, layer);
    qs_progress(l->cx, l->what, ++l->n_done, l->o->layers->n);
    pthread_mutex_unlock(&l->lock);
}

static enum qs_err
stats_one(struct qs_ctx *cx, void *arg, int64_t i)
{
    struct layer_loop *l = arg;
    struct qs_layer *layer = &l->o->layers->layer[l->order[i]];
    const struct qs_tensor *t = tensor_of(l->o, l->order[i]);
    (void)cx;
    if (t && qs_dtype_is_float(t->dtype)) {
        qs_layer_stats_of(t, layer->axis, &layer->stats);
        qs_buf_advise(t->buf, t->offset, t->bytes, 0);
    }
    layer_done(l, l->order[i]);
    return QS_OK;
}

enum qs_err
qs_app_layer_stats(struct qs_ctx *cx, struct qs_opened *o, void (*done)(void *arg, int layer),
                   void *arg)
{
    struct layer_loop l = {.o = o, .what = _("statistics"), .done = done, .arg = arg};
    return loop_layers(cx, &l, stats_one);
}

static enum qs_err
sqnr_one(struct qs_ctx *cx, void *arg, int64_t i)
{
    struct layer_loop *l = arg;
    const int k = l->order[i];
    const struct qs_layer *layer = &l->o->layers->layer[k];
    const struct qs_tensor *t = tensor_of(l->o, k);
    const bool has = t && t->dtype == QS_DTYPE_float32 && t->n > 0;
    (void)cx;
    if (l->per_tensor)
        l->per_tensor[k] = has ? qs_sqnr_db(t, -1, l->bits) : NAN;
    if (l->per_channel)
        l->per_channel[k] = has && layer->axis >= 0 ? qs_sqnr_db(t, layer->axis, l->bits) : NAN;
    if (has)
        qs_buf_advise(t->buf, t->offset, t->bytes, 0);
    layer_done(l, k);
    return QS_OK;
}

enum qs_err
qs_app_sqnr(struct qs_ctx *cx, const struct qs_opened *o, int bits, double *per_tensor,
            double *per_channel)
{
    struct layer_loop l = {.o = o,
                           .what = _("quantization error"),
                           .bits = bits,
                           .per_tensor = per_tensor,
                           .per_channel = per_channel};
    return loop_layers(cx, &l, sqnr_one);
}

/* Digest: over the digests of the program and of each chunk of the parameters, in the order of
 * their names; so chunks are read side by side. */

enum { CHUNK = 4 << 20 };

struct chunk {
    const struct qs_tensor *t;
    size_t from, n;
};

struct digest_loop {
    const struct chunk *chunk;
    char (*hex)[QS_DIGEST_HEX];
};

static enum qs_err
hash_chunk(struct qs_ctx *cx, void *arg, int64_t i)
{
    const struct digest_loop *l = arg;
    const struct chunk *c = &l->chunk[i];
    (void)cx;
    qs_digest(c->t->buf->data + c->t->offset + c->from, c->n, l->hex[i]);
    qs_buf_advise(c->t->buf, c->t->offset + c->from, c->n, 0);
    return QS_OK;
}

static struct chunk *
cut_chunks(const struct qs_model *m, int *n)
{
    int n_params, cap = 0;
    struct chunk *c = NULL;
    int32_t *list = qs_model_params(m, &n_params);
    *n = 0;
    for (int i = 0; i < n_params; i++) {
        const struct qs_tensor *t = m->var[list[i]].data;
        for (size_t from = 0; t && from < t->bytes; from += CHUNK) {
            if (*n == cap)
                c = qs_xrealloc(c, (size_t)(cap = cap ? 2 * cap : 64) * sizeof(*c));
            c[(*n)++] = (struct chunk){
                .t = t, .from = from, .n = t->bytes - from < CHUNK ? t->bytes - from : CHUNK};
        }
    }
    free(list);
    return c;
}

enum qs_err
qs_digest_model(struct qs_ctx *cx, const struct qs_model *m, const char *program_path,
                char hex[QS_DIGEST_HEX])
{
    struct qs_buf *program = NULL;
    enum qs_err err = qs_buf_map(cx, program_path, _("program"), &program);
    if (err)
        return err;
    int n;
    struct chunk *c = cut_chunks(m, &n);
    char(*all)[QS_DIGEST_HEX] = qs_xcalloc((size_t)n + 1, sizeof(*all));
    struct digest_loop l = {c, all + 1};
    qs_digest(program->data, program->size, all[0]);
    err = qs_parallel_for(cx, n, hash_chunk, &l);
    qs_digest(all, ((size_t)n + 1) * sizeof(*all), hex);
    free(all);
    free(c);
    qs_buf_unref(program);
    return err;
}

enum qs_err
qs_app_digest(struct qs_ctx *cx, const struct qs_opened *o, char hex[QS_DIGEST_HEX])
{
    return qs_digest_model(cx, o->model, o->model->program_path, hex);
}

/* Finding models */

struct found {
    struct qs_found_model *model;
    int n, cap;
};

enum { DEEPEST = 4, MOST_FOUND = 10000 };

static struct qs_found_model *
add_found(struct found *f, const char *path, const char *format)
{
    char *real = realpath(path, NULL);
    const char *name = real ? real : path;
    struct qs_found_model *m = NULL;
    for (int i = 0; i < f->n && !m; i++)
        if (strcmp(f->model[i].path, name) == 0)
            m = &f->model[i];
    if (!m) {
        if (f->n == f->cap)
            f->model = qs_xrealloc(f->model,
                                   (size_t)(f->cap = f->cap ? 2 * f->cap : 32) * sizeof(*f->model));
        m = &f->model[f->n++];
        *m = (struct qs_found_model){.path = qs_xstrdup(name), .format = qs_xstrdup(format)};
    }
    free(real);
    return m;
}

static int64_t
file_bytes(const char *path, double *when)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return 0;
    if (when && (double)st.st_mtime > *when)
        *when = (double)st.st_mtime;
    return S_ISREG(st.st_mode) ? st.st_size : 0;
}

/* Bytes of what belongs to a program file: its combined parameters, or the files beside it. */
static int64_t
model_bytes(const char *program, const char *format, double *when)
{
    int64_t bytes = file_bytes(program, when);
    const char *dot = strrchr(program, '.'), *slash = strrchr(program, '/');
    if (strcmp(format, "nb") == 0)
        return bytes;
    if (strcmp(format, "model") != 0 && dot) {
        char *params = qs_xasprintf("%.*s.pdiparams", (int)(dot - program), program);
        bytes += file_bytes(params, NULL);
        free(params);
        return bytes;
    }
    char *folder = slash ? qs_xasprintf("%.*s", (int)(slash - program), program) : qs_xstrdup(".");
    DIR *d = opendir(folder);
    bytes = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        char *path = qs_xasprintf("%s/%s", folder, e->d_name);
        bytes += file_bytes(path, NULL);
        free(path);
    }
    if (d)
        closedir(d);
    free(folder);
    return bytes;
}

static void
look_in(struct qs_ctx *cx, const char *folder, int depth, struct found *f)
{
    const char *format;
    DIR *d = opendir(folder);
    if (!d || f->n >= MOST_FOUND || atomic_load(&cx->cancel)) {
        if (d)
            closedir(d);
        return;
    }
    char *program = qs_model_locate(folder, &format);
    if (program) {
        struct qs_found_model *m = add_found(f, program, format);
        m->bytes = model_bytes(program, format, &m->seen);
    }
    free(program);
    for (struct dirent *e; depth < DEEPEST && (e = readdir(d));) {
        char *path = qs_xasprintf("%s/%s", folder, e->d_name);
        struct stat st;
        if (e->d_name[0] != '.' && lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
            look_in(cx, path, depth + 1, f);
        free(path);
    }
    closedir(d);
}

static void
add_stored(struct qs_ctx *cx, const char *db_path, struct found *f)
{
    struct qs_db *db = NULL;
    struct qs_db_model *model = NULL;
    int n = 0;
    char *path = db_path ? qs_xstrdup(db_path) : qs_db_default_path();
    struct stat st;
    if (stat(path, &st) == 0 && qs_db_open(cx, path, &db) == QS_OK &&
        qs_db_models(cx, db, &model, &n) == QS_OK) {
        for (int i = 0; i < n; i++) {
            struct qs_found_model *m = add_found(f, model[i].path, model[i].format);
            m->n_runs += model[i].n_runs;
            m->bytes = m->bytes ? m->bytes : model[i].bytes;
            m->seen = model[i].last_seen > m->seen ? model[i].last_seen : m->seen;
        }
        qs_db_models_free(model, n);
    }
    if (cx->err != QS_OK) {
        qs_warn(cx, "%s", qs_message(cx));
        qs_clear(cx);
    }
    qs_db_close(db);
    free(path);
}

enum qs_err
qs_app_find_models(struct qs_ctx *cx, const char *folder, const char *db,
                   struct qs_found_model **out, int *n)
{
    struct found f = {0};
    look_in(cx, folder, 0, &f);
    add_stored(cx, db, &f);
    const enum qs_err err = qs_check_cancel(cx);
    if (err) {
        qs_app_found_free(f.model, f.n);
        return err;
    }
    *out = f.model;
    *n = f.n;
    return QS_OK;
}

void
qs_app_found_free(struct qs_found_model *found, int n)
{
    for (int i = 0; i < n; i++) {
        free(found[i].path);
        free(found[i].format);
    }
    free(found);
}
