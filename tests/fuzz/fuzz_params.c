/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a parameter stream: read to the end record by record, and as the combined file of a
 * small program. */
#include <stdlib.h>
#include <string.h>

#include "io/format.h"
#include "io/params.h"
#include "model/quant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
add_param(struct qs_model *m, const char *name, int32_t dtype, int n_dims, const int64_t *dims)
{
    const int32_t id = qs_model_add_var(m, 0, name);
    struct qs_var *v = &m->var[id];
    v->persistable = 1;
    v->dtype = dtype;
    v->n_dims = n_dims;
    v->dims = dims;
    qs_model_declare(m, id);
}

static struct qs_model *
make_model(void)
{
    static const int64_t w_dims[] = {2, 3}, b_dims[] = {3};
    struct qs_model *m = qs_model_new();
    m->n_block = 1;
    m->block = qs_arena_calloc(&m->arena, 1, sizeof(*m->block));
    m->block[0].parent = -1;
    add_param(m, "b", QS_DTYPE_int64, 1, b_dims);
    add_param(m, "w", QS_DTYPE_float32, 2, w_dims);
    qs_model_index(m);
    m->format = "pdmodel";
    return m;
}

/* Every byte of a value is looked at. */
static void
use(const struct qs_tensor *t)
{
    struct qs_layer_stats stats;
    char hex[QS_DIGEST_HEX];
    qs_digest(t->buf->data + t->offset, t->bytes, hex);
    if (!qs_dtype_is_float(t->dtype))
        return;
    qs_layer_stats_of(t, -1, &stats);
    if (t->n_dims > 0)
        qs_layer_stats_of(t, t->n_dims - 1, &stats);
}

static void
read_records(struct qs_ctx *cx, struct qs_buf *b)
{
    struct qs_arena arena;
    struct qs_tensor t;
    size_t at = 0;
    qs_arena_init(&arena);
    while (at < b->size) {
        const size_t was = at;
        if (qs_record_read(cx, &arena, b, &at, &t) != QS_OK)
            break;
        if (at <= was || at > b->size || t.offset + t.bytes != at)
            abort();
        use(&t);
        uint8_t header[QS_RECORD_HEADER_MOST];
        if (t.n_dims <= QS_RECORD_RANK_MOST && qs_record_header(&t, header) > sizeof(header))
            abort();
    }
    qs_arena_release(&arena);
}

static void
read_combined(struct qs_ctx *cx, struct qs_buf *b)
{
    struct qs_model *m = make_model();
    if (qs_params_read_combined(cx, m, b, "fuzz") == QS_OK)
        for (int i = 0; i < m->n_var; i++)
            use(m->var[i].data);
    else if (!*qs_message(cx))
        abort();
    qs_model_unref(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qs_ctx cx;
    struct qs_buf *b;
    qs_ctx_init(&cx);
    cx.threads = 1;
    if (qs_buf_new(&cx, size, &b) != QS_OK)
        abort();
    if (size)
        memcpy(b->data, data, size);
    read_records(&cx, b);
    qs_clear(&cx);
    read_combined(&cx, b);
    qs_buf_unref(b);
    return 0;
}
