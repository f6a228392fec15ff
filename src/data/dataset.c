/* SPDX-License-Identifier: Apache-2.0 */
#include "data/dataset.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "data/dataset_internal.h"
#include "data/preprocess.h"

enum { AHEAD = 8 };

/* What the reading thread hands over: a sample, or why there is none. */
struct slot {
    struct qs_sample *sample;
    enum qs_err err;
    char *why;
};

/* A ring with one writer and one reader. */
struct qs_dataset_queue {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct slot slot[AHEAD];
    int64_t put, taken; /* samples so far */
    bool stop;
    struct qs_ctx cx; /* the thread's */
    const struct qs_dataset *d;
};

void
qs_sample_free(struct qs_sample *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n_input; i++)
        qs_data_tensor_release(&s->input[i]);
    free(s);
}

/* --- one sample ------------------------------------------------------------------------------- */

static enum qs_err
read_picture(struct qs_ctx *cx, const struct qs_dataset *d, struct qs_sample *s)
{
    struct qs_image im = {0};
    char *path = qs_path_join(d->config.root, d->name[s->i]);
    enum qs_err err = qs_image_read(cx, path, d->reader->max_pixels, &im);
    if (!err) {
        s->image_w = im.w;
        s->image_h = im.h;
        s->input_name[0] = d->config.input;
        err = qs_preprocess(cx, &d->config, &im, d->reader->max_pixels, &s->input[0]);
        s->n_input = 1;
        if (err)
            (void)qs_prefix(cx, _("cannot use image '%s'"), path);
    }
    qs_image_release(&im);
    free(path);
    return err;
}

static enum qs_err
read_arrays(struct qs_ctx *cx, const struct qs_dataset *d, struct qs_sample *s)
{
    for (int k = 0; k < d->config.n_array; k++) {
        const struct qs_npy *a = &d->reader->array[k];
        int64_t dims[QS_RANK_MOST];
        memcpy(dims, a->d, sizeof(dims));
        dims[0] = 1;
        const enum qs_err err = qs_data_tensor(cx, a->dtype, a->n, dims, &s->input[k]);
        s->n_input++;
        if (err)
            return err;
        const size_t bytes = s->input[k].buf->size;
        memcpy(s->input[k].data, a->buf->data + bytes * (size_t)s->i, bytes);
        s->input_name[k] = d->config.array[k].input;
    }
    return QS_OK;
}

static void
fill_slot(struct qs_dataset_queue *q, int64_t i, struct slot *out)
{
    struct qs_sample *s = qs_xcalloc(1, sizeof(*s));
    s->i = i;
    qs_clear(&q->cx);
    out->err = q->d->config.type == QS_DATA_TENSORS ? read_arrays(&q->cx, q->d, s)
                                                    : read_picture(&q->cx, q->d, s);
    out->why = out->err ? qs_xstrdup(qs_message(&q->cx)) : NULL;
    out->sample = s;
    if (out->err) {
        qs_sample_free(s);
        out->sample = NULL;
    }
}

static void
release_slot(struct slot *s)
{
    qs_sample_free(s->sample);
    free(s->why);
    *s = (struct slot){0};
}

/* --- reading ahead ---------------------------------------------------------------------------- */

static void *
read_ahead(void *arg)
{
    struct qs_dataset_queue *q = arg;
    for (int64_t i = q->d->reader->first; i < q->d->n; i++) {
        struct slot slot = {0};
        fill_slot(q, i, &slot);
        pthread_mutex_lock(&q->lock);
        while (!q->stop && q->put - q->taken == AHEAD)
            pthread_cond_wait(&q->changed, &q->lock);
        const bool stop = q->stop;
        if (!stop) {
            q->slot[q->put++ % AHEAD] = slot;
            pthread_cond_signal(&q->changed);
        }
        pthread_mutex_unlock(&q->lock);
        if (stop) {
            release_slot(&slot);
            break;
        }
    }
    return NULL;
}

static enum qs_err
start(struct qs_ctx *cx, struct qs_dataset *d)
{
    struct qs_dataset_queue *q = qs_xcalloc(1, sizeof(*q));
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->changed, NULL);
    qs_ctx_init_child(&q->cx, cx);
    q->d = d;
    q->put = q->taken = d->reader->first;
    if (pthread_create(&q->thread, NULL, read_ahead, q) != 0) {
        free(q);
        return qs_fail(cx, QS_ERR_FAILED, _("cannot start a thread"));
    }
    d->reader->queue = q;
    return QS_OK;
}

static void
stop(struct qs_dataset_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->stop = true;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->thread, NULL);
    for (int i = 0; i < AHEAD; i++)
        release_slot(&q->slot[i]);
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->changed);
    free(q);
}

void
qs_dataset_rewind(struct qs_dataset *d)
{
    d->n_broken = 0;
    if (!d->reader)
        return;
    /* The thread reads `first`: it ends before that changes. */
    if (d->reader->queue)
        stop(d->reader->queue);
    d->reader->queue = NULL;
    d->reader->first = 0;
}

void
qs_dataset_seek(struct qs_dataset *d, int64_t i)
{
    qs_dataset_rewind(d);
    d->reader->first = i;
}

static struct slot
take(struct qs_dataset_queue *q)
{
    pthread_mutex_lock(&q->lock);
    while (q->put == q->taken)
        pthread_cond_wait(&q->changed, &q->lock);
    struct slot *from = &q->slot[q->taken++ % AHEAD];
    const struct slot slot = *from;
    *from = (struct slot){0};
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
    return slot;
}

enum qs_err
qs_dataset_next(struct qs_ctx *cx, struct qs_dataset *d, struct qs_sample **out)
{
    *out = NULL;
    enum qs_err err = qs_check_cancel(cx);
    if (!err && !d->reader->queue)
        err = start(cx, d);
    while (!err && d->reader->queue->taken < d->n) {
        struct slot slot = take(d->reader->queue);
        if (!slot.err) {
            *out = slot.sample;
            return QS_OK;
        }
        d->n_broken++;
        if (slot.err == QS_ERR_MEMORY || d->n_broken == d->n)
            err = qs_fail(cx, slot.err, "%s", slot.why);
        else
            qs_warn(cx, "%s", slot.why);
        release_slot(&slot);
        if (err && d->n > 1 && d->n_broken == d->n)
            (void)qs_prefix(cx, _("none of %lld samples can be read"), (long long)d->n);
        if (!err)
            err = qs_check_cancel(cx);
    }
    return err;
}

/* --- opening ---------------------------------------------------------------------------------- */

static enum qs_err
open_parts(struct qs_ctx *cx, struct qs_dataset *d, const char *path, int64_t samples)
{
    enum qs_err err = qs_data_config_read(cx, path, &d->config);
    if (!err && d->config.type == QS_DATA_OCR_REC)
        err = qs_dict_read(cx, d->config.dict, d->config.use_space_char, &d->dict);
    if (err)
        return err;
    return d->config.type == QS_DATA_TENSORS ? qs_arrays_open(cx, d, samples)
                                             : qs_list_read(cx, d, samples);
}

enum qs_err
qs_dataset_open(struct qs_ctx *cx, const char *path, const struct qs_dataset_options *opt,
                struct qs_dataset **out)
{
    struct qs_dataset *d = qs_xcalloc(1, sizeof(*d));
    d->arena = qs_xmalloc(sizeof(*d->arena));
    qs_arena_init(d->arena);
    d->reader = qs_xcalloc(1, sizeof(*d->reader));
    d->reader->max_pixels = opt->max_pixels > 0 ? opt->max_pixels : QS_IMAGE_PIXELS_MOST;
    const enum qs_err err = open_parts(cx, d, path, opt->samples);
    if (err)
        qs_dataset_close(d);
    else
        *out = d;
    return err;
}

void
qs_dataset_close(struct qs_dataset *d)
{
    if (!d)
        return;
    qs_dataset_rewind(d);
    for (int i = 0; d->reader->array && i < d->config.n_array; i++)
        qs_npy_release(&d->reader->array[i]);
    free(d->reader->array);
    free(d->reader);
    qs_dict_release(&d->dict);
    qs_data_config_release(&d->config);
    qs_arena_release(d->arena);
    free(d->arena);
    free(d->name);
    free(d->truth);
    free(d);
}
