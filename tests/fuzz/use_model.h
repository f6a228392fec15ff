/* SPDX-License-Identifier: Apache-2.0 */
/* What every target that reads a program does with it: give the bytes to a reader, and on success
 * touch all that came out, for the sanitizers. */
#ifndef TESTS_FUZZ_USE_MODEL_H
#define TESTS_FUZZ_USE_MODEL_H

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "io/format.h"
#include "passes/take_apart.h"

static size_t
use_data(const struct qs_model *m)
{
    size_t sum = 0;
    for (int i = 0; i < m->n_var; i++) {
        const struct qs_tensor *t = m->var[i].data;
        for (size_t k = 0; t && k < t->bytes; k++)
            sum += t->buf->data[t->offset + k];
        sum += strlen(m->var[i].name);
    }
    return sum;
}

static void
take_apart(struct qs_ctx *cx, struct qs_model *m)
{
    struct qs_model *apart = qs_model_clone(m);
    struct qs_static_notes notes;
    qs_clear(cx);
    if (qs_static_take_apart(cx, apart, &notes) != QS_OK && !*qs_message(cx))
        abort();
    qs_static_notes_release(&notes);
    qs_model_unref(apart);
}

static void
use_model(struct qs_ctx *cx, struct qs_model *m)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    struct qs_edges *edges = qs_edges_new(m);
    volatile size_t sum = use_data(m);
    (void)sum;
    qs_edges_free(edges);
    if (qs_program_encode(cx, m, &bytes, &n) == QS_OK)
        free(bytes);
    take_apart(cx, m);
}

static void
fuzz_format(const struct qs_format *f, const uint8_t *data, size_t size)
{
    struct qs_ctx cx;
    /* the input itself, so that reading past its end is seen; never freed: one count stays */
    struct qs_buf b = {.data = (uint8_t *)data, .size = size};
    atomic_init(&b.refs, 1);
    qs_ctx_init(&cx);
    if (!f->probe(data, size))
        return;
    struct qs_model *m = qs_model_new();
    if (f->read(&cx, &b, m) == QS_OK)
        use_model(&cx, m);
    else if (!cx.message[0])
        abort(); /* a refusal without a sentence */
    qs_model_unref(m);
    if (atomic_load(&b.refs) != 1)
        abort();
}

#endif
