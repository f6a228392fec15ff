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

enum { READERS_MOST = 4, AHEAD_MOST = 4 * (READERS_MOST + 1) };

/* What a reading thread hands over: a sample, or why there is none. */
struct slot {
    struct qs_sample *sample;
    enum qs_err err;
    char *why;
    bool full;
};

struct reader {
    pthread_t thread;
    struct qs_ctx cx; /* the thread's */
    struct qs_dataset_queue *q;
};

/* A ring of samples taken in order of the list; readers take the next sample to be read whose place
 * is free. */
struct qs_dataset_queue {
    struct reader reader[READERS_MOST];
    int n_reader, ahead; /* ahead: samples that are read or being read, at most */
    pthread_mutex_t lock;
    pthread_cond_t full, free; /* a place is */
    struct slot slot[AHEAD_MOST];
    int64_t next, taken; /* to be read, to be taken */
    bool stop;
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
fill_slot(struct qs_ctx *cx, const struct qs_dataset *d, int64_t i, struct slot *out)
{
    struct qs_sample *s = qs_xcalloc(1, sizeof(*s));
    s->i = i;
    qs_clear(cx);
    out->err = d->config.type == QS_DATA_TENSORS ? read_arrays(cx, d, s) : read_picture(cx, d, s);
    out->why = out->err ? qs_xstrdup(qs_message(cx)) : NULL;
    out->sample = s;
    out->full = true;
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

/* The next sample to be read, once there is a place for it; false: there is nothing more to do. */
static bool
take_turn(struct qs_dataset_queue *q, int64_t *i)
{
    pthread_mutex_lock(&q->lock);
    while (!q->stop && q->next < q->d->n && q->next - q->taken == q->ahead)
        pthread_cond_wait(&q->free, &q->lock);
    const bool more = !q->stop && q->next < q->d->n;
    *i = more ? q->next++ : 0;
    pthread_mutex_unlock(&q->lock);
    return more;
}

static void *
read_ahead(void *arg)
{
    struct reader *r = arg;
    struct qs_dataset_queue *q = r->q;
    for (int64_t i; take_turn(q, &i);) {
        struct slot slot = {0};
        fill_slot(&r->cx, q->d, i, &slot);
        pthread_mutex_lock(&q->lock);
        q->slot[i % q->ahead] = slot;
        pthread_cond_signal(&q->full);
        pthread_mutex_unlock(&q->lock);
    }
    return NULL;
}

static void
stop(struct qs_dataset_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->stop = true;
    pthread_cond_broadcast(&q->free);
    pthread_mutex_unlock(&q->lock);
    for (int i = 0; i < q->n_reader; i++)
        pthread_join(q->reader[i].thread, NULL);
    for (int i = 0; i < q->ahead; i++)
        release_slot(&q->slot[i]);
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->full);
    pthread_cond_destroy(&q->free);
    free(q);
}

static enum qs_err
start(struct qs_ctx *cx, struct qs_dataset *d)
{
    struct qs_dataset_queue *q = qs_xcalloc(1, sizeof(*q));
    const int n = cx->threads < READERS_MOST ? cx->threads : READERS_MOST;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->full, NULL);
    pthread_cond_init(&q->free, NULL);
    q->d = d;
    q->next = q->taken = d->reader->first;
    q->ahead = 4 * (n + 1);
    for (int i = 0; i < n; i++) {
        struct reader *r = &q->reader[i];
        r->q = q;
        qs_ctx_init_child(&r->cx, cx);
        if (pthread_create(&r->thread, NULL, read_ahead, r) != 0)
            break;
        q->n_reader++;
    }
    if (q->n_reader == 0) {
        stop(q);
        return qs_fail(cx, QS_ERR_FAILED, _("cannot start a thread"));
    }
    d->reader->queue = q;
    return QS_OK;
}

void
qs_dataset_rewind(struct qs_dataset *d)
{
    d->n_broken = 0;
    if (!d->reader)
        return;
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
    struct slot *from = &q->slot[q->taken % q->ahead];
    while (!from->full)
        pthread_cond_wait(&q->full, &q->lock);
    const struct slot slot = *from;
    *from = (struct slot){0};
    q->taken++;
    pthread_cond_signal(&q->free);
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
