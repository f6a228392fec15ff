/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a ProgramDesc. What is read gets weights, goes through everything that looks at a
 * program and through the passes, and is written; what was written must read back the same.
 */
#include <stdlib.h>
#include <string.h>

#include "io/format.h"
#include "model/quant_info.h"
#include "model/shape.h"
#include "model/text.h"
#include "passes/pass.h"
#include "passes/put.h"
#include "passes/take_apart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct qs_format *
format_named(const char *name)
{
    for (int i = 0; qs_format_at(i); i++)
        if (strcmp(qs_format_at(i)->name, name) == 0)
            return qs_format_at(i);
    abort();
}

static struct qs_model *
read_program(const uint8_t *data, size_t size)
{
    struct qs_ctx cx;
    struct qs_buf *b;
    struct qs_model *m = qs_model_new();
    qs_ctx_init(&cx);
    if (qs_buf_new(&cx, size, &b) != QS_OK)
        abort();
    if (size)
        memcpy(b->data, data, size);
    m->format = "pdmodel";
    m->program_path = "fuzz";
    m->program_bytes = (int64_t)size;
    const enum qs_err err = format_named("pdmodel")->read(&cx, b, m);
    qs_buf_unref(b);
    if (!err)
        return m;
    if (!*qs_message(&cx))
        abort();
    qs_model_unref(m);
    return NULL;
}

/* By variable: whether dequantize_linear reads it, which it does with int8. */
static bool *
read_as_bytes(const struct qs_model *m)
{
    bool *is = calloc((size_t)m->n_var + 1, sizeof(*is));
    if (!is)
        abort();
    for (int b = 0; b < m->n_block; b++)
        for (int i = 0; i < m->block[b].n_node; i++) {
            const struct qs_node *node = &m->block[b].node[i];
            const int32_t x = qs_node_input(node, "X", 0);
            if (x >= 0 && strcmp(node->type, "dequantize_linear") == 0)
                is[x] = true;
        }
    return is;
}

/* Small parameters get values, so that layers have something to decide on. */
static void
add_weights(struct qs_model *m)
{
    enum { MOST = 4096 };
    struct qs_ctx cx;
    int n;
    int32_t *list = qs_model_params(m, &n);
    bool *in_bytes = read_as_bytes(m);
    qs_ctx_init(&cx);
    for (int i = 0; i < n; i++) {
        const struct qs_var *v = &m->var[list[i]];
        const int bytes = qs_dtype_bytes(v->dtype);
        struct qs_buf *b;
        int64_t count;
        qs_clear(&cx);
        if (v->n_dims < 0 || bytes == 0 ||
            qs_count_elements(&cx, v->dims, v->n_dims, &count) != QS_OK || count > MOST ||
            qs_buf_new(&cx, (size_t)(count * bytes), &b) != QS_OK)
            continue;
        memset(b->data, 0x3e, b->size);
        if (v->dtype == QS_DTYPE_float32 && v->n_dims > 1)
            for (int64_t k = 0; k < count; k++) /* quantized ones hold integers */
                ((float *)(void *)b->data)[k] = (float)(k % 5 - 2);
        qs_model_set_data(m, list[i], in_bytes[list[i]] ? QS_DTYPE_int8 : v->dtype, v->n_dims,
                          v->dims, b, 0);
    }
    free(in_bytes);
    m->has_params = true;
    free(list);
}

static void
run_passes(struct qs_ctx *cx, const struct qs_model *m, const struct qs_edges *e,
           const struct qs_layers *l, const struct qs_plan *plan)
{
    struct qs_decisions *d = NULL;
    double *threshold = calloc((size_t)m->n_var + 1, sizeof(*threshold));
    if (!threshold)
        abort();
    for (int v = 0; v < m->n_var; v++)
        threshold[v] = v;
    qs_clear(cx);
    if (qs_decide(cx, m, e, l, plan, &d) != QS_OK) {
        free(threshold);
        return;
    }
    struct qs_pass_state st = {.model = qs_model_clone(m),
                               .test = qs_model_clone(m),
                               .edges = e,
                               .layers = l,
                               .plan = plan,
                               .threshold = threshold,
                               .decisions = d};
    uint8_t *bytes = NULL;
    size_t n;
    st.outcome = calloc((size_t)l->n + 1, sizeof(*st.outcome));
    if (!st.outcome)
        abort();
    if (qs_run_recipe(cx, &st) == QS_OK && qs_program_encode(cx, st.model, &bytes, &n) == QS_OK)
        qs_model_unref(read_program(bytes, n));
    free(bytes);
    free(threshold);
    free(st.outcome);
    qs_model_unref(st.model);
    qs_model_unref(st.test);
    qs_decisions_free(d);
}

/* Taken apart and put together in both forms; what is written can be taken apart again. */
static void
change_form(struct qs_ctx *cx, const struct qs_model *m)
{
    static const struct qs_put_options opt = {.observers = true};
    struct qs_static_notes notes, again;
    struct qs_model *apart = qs_model_clone(m);
    qs_clear(cx);
    enum qs_err err = qs_static_take_apart(cx, apart, &notes);
    for (int form = 0; form < 2 && !err; form++) {
        struct qs_model *put = qs_model_clone(apart);
        uint8_t *bytes = NULL;
        size_t n;
        qs_clear(cx);
        const enum qs_err wrong =
            form ? qs_put_qdq(cx, put, &notes, &opt) : qs_put_fakequant(cx, put, &notes, &opt);
        if (!wrong && qs_program_encode(cx, put, &bytes, &n) == QS_OK)
            qs_model_unref(read_program(bytes, n));
        free(bytes);
        if (!wrong) {
            qs_clear(cx);
            if (qs_static_take_apart(cx, put, &again) != QS_OK)
                abort();
            qs_static_notes_release(&again);
        }
        qs_model_unref(put);
    }
    if (err && !*qs_message(cx))
        abort();
    qs_static_notes_release(&notes);
    qs_model_unref(apart);
}

static void
look(const struct qs_model *m)
{
    static const char *const plans[] = {
        "method = dynamic\ntarget = lite-arm\n",
        "method = weight-only\nweight-bits = 4\nweight-type = abs_max\n",
        "method = static\nobservers = yes\n",
        "method = static\nformat = fakequant\ncompat = paddle\nweight-bits = 12\n",
    };
    int32_t ports[4];
    struct qs_ctx cx;
    struct qs_str text;
    struct qs_shapes *shapes = NULL;
    struct qs_quant_info info;
    struct qs_edges *e = qs_edges_new(m);
    struct qs_layers *l = qs_layers_new(m, e);
    qs_ctx_init(&cx);
    cx.threads = 1;
    qs_str_init(&text);
    qs_text_model(m, true, &text);
    qs_quant_info_of(m, &info);
    qs_model_inputs(m, ports, 4);
    qs_model_outputs(m, ports, 4);
    if (qs_infer_shapes(&cx, m, NULL, 0, &shapes) == QS_OK)
        qs_shapes_free(shapes);
    for (size_t i = 0; i < sizeof(plans) / sizeof(*plans); i++) {
        struct qs_plan plan;
        qs_plan_init(&plan);
        qs_clear(&cx);
        if (qs_plan_parse(&cx, plans[i], "fuzz", &plan) != QS_OK)
            abort();
        run_passes(&cx, m, e, l, &plan);
        qs_plan_release(&plan);
    }
    change_form(&cx, m);
    qs_str_release(&text);
    qs_layers_free(l);
    qs_edges_free(e);
}

/* Written, read and written again: the same bytes. */
static void
write_again(const struct qs_model *m)
{
    struct qs_ctx cx;
    uint8_t *first = NULL, *second = NULL;
    size_t n_first, n_second;
    qs_ctx_init(&cx);
    if (qs_program_encode(&cx, m, &first, &n_first) != QS_OK)
        abort();
    struct qs_model *again = read_program(first, n_first);
    if (!again || qs_program_encode(&cx, again, &second, &n_second) != QS_OK ||
        n_second != n_first || memcmp(first, second, n_first) != 0)
        abort();
    qs_model_unref(again);
    free(first);
    free(second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qs_model *m = read_program(data, size);
    if (!m)
        return 0;
    write_again(m);
    add_weights(m);
    look(m);
    qs_model_unref(m);
    return 0;
}
