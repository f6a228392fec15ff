/* SPDX-License-Identifier: Apache-2.0 */
#include "graphs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { SLOT_MOST = 8 };

float
test_graph_next(struct test_random *r)
{
    r->state = r->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)((double)(r->state >> 33) / (double)(UINT64_C(1) << 30) - 1);
}

static int
read_dims(const char *text, int64_t *d)
{
    int n = 0;
    char *at = (char *)(uintptr_t)text;
    while (*at && *at != ')' && *at != ']') {
        d[n++] = strtoll(at, &at, 10);
        at += *at == ',';
    }
    return n;
}

static void
set_param(struct qs_model *m, int32_t var, const char *dims, bool positive, struct test_random *r)
{
    int64_t d[QS_RANK_MOST], count = 1;
    const int n = read_dims(dims, d);
    struct qs_ctx cx;
    struct qs_buf *buf;
    qs_ctx_init(&cx);
    for (int i = 0; i < n; i++)
        count *= d[i];
    assert_int_equal(qs_buf_new(&cx, (size_t)count * sizeof(float), &buf), QS_OK);
    for (int64_t i = 0; i < count; i++)
        ((float *)(void *)buf->data)[i] = positive ? 1.5f + test_graph_next(r) : test_graph_next(r);
    m->var[var].persistable = 1;
    qs_model_set_data(m, var, QS_DTYPE_float32, n, d, buf, 0);
}

static int32_t
variable(struct qs_model *m, const char *text, bool positive, struct test_random *r)
{
    char name[64];
    const size_t n = strcspn(text, "(");
    snprintf(name, sizeof(name), "%.*s", (int)n, text);
    for (int32_t i = 0; i < m->n_var; i++)
        if (strcmp(m->var[i].name, name) == 0)
            return i;
    const int32_t var = qs_model_add_var(m, 0, name);
    m->var[var].dtype = QS_DTYPE_float32;
    if (text[n] == '(')
        set_param(m, var, text + n + 1, positive, r);
    return var;
}

static void
set_attr(struct qs_model *m, struct qs_node *node, const char *name, const char *value)
{
    int64_t d[SLOT_MOST];
    int32_t ints[SLOT_MOST];
    float real;
    if (strcmp(value, "BLOCK1") == 0) {
        qs_node_set_int(m, node, name, 1);
        struct qs_attr *a = (struct qs_attr *)(uintptr_t)qs_node_attr(node, name);
        a->type = QS_ATTR_BLOCK;
    } else if (*value == '[' && strchr(value, '.')) {
        real = strtof(value + 1, NULL);
        const float two[] = {real, real};
        qs_node_set_floats(m, node, name, two, 2);
    } else if (*value == '[') {
        const int n = read_dims(value + 1, d);
        for (int i = 0; i < n; i++)
            ints[i] = (int32_t)d[i];
        qs_node_set_ints(m, node, name, ints, n);
    } else if (strcmp(value, "true") == 0) {
        qs_node_set_bool(m, node, name, true);
    } else if (strspn(value, "-0123456789") == strlen(value)) {
        qs_node_set_int(m, node, name, strtoll(value, NULL, 10));
    } else if (strspn(value, "-.0123456789") == strlen(value)) {
        qs_node_set_float(m, node, name, strtof(value, NULL));
    } else {
        qs_node_set_str(m, node, name, value);
    }
}

/* Variables of one slot come one after the other: X:a X:b. */
static void
add_slot(struct qs_model *m, struct qs_node *node, const char *slot, const char *var, bool out,
         struct test_random *r)
{
    const struct qs_slot *s = out ? qs_node_out(node, slot) : qs_node_in(node, slot);
    int32_t id[SLOT_MOST];
    int n = 0;
    for (; s && n < s->n; n++)
        id[n] = s->var[n];
    const bool positive =
        strcmp(slot, "Variance") == 0 || (strstr(slot, "Scale") && strstr(node->type, "quant"));
    id[n++] = variable(m, var, positive, r);
    if (out)
        qs_node_set_out(m, node, slot, id, n);
    else
        qs_node_set_in(m, node, slot, id, n);
}

static void
add_node(struct qs_model *m, const char *line, struct test_random *r)
{
    struct qs_block *b = &m->block[strncmp(line, "| ", 2) == 0];
    struct qs_node *node = &b->node[b->n_node++];
    char *text = qs_xstrdup(line + (b == m->block ? 0 : 2)), *save = NULL;
    bool out = false;
    qs_node_set_type(m, node, strtok_r(text, " ", &save));
    for (char *word; (word = strtok_r(NULL, " ", &save));) {
        char *colon = strchr(word, ':'), *equals = strchr(word, '=');
        if (strcmp(word, ">") == 0) {
            out = true;
            continue;
        }
        char *cut = colon ? colon : equals;
        assert_non_null(cut);
        *cut = '\0';
        if (colon)
            add_slot(m, node, word, colon + 1, out, r);
        else
            set_attr(m, node, word, equals + 1);
    }
    free(text);
}

struct qs_model *
test_graph(const char *input, const char *const *line, int n, struct test_random *r)
{
    struct qs_model *m = qs_model_new();
    m->block = qs_arena_calloc(&m->arena, 2, sizeof(*m->block));
    m->block[0].parent = -1;
    m->block[1].idx = 1;
    for (int i = 0; i < 2; i++)
        m->block[i].node = qs_arena_calloc(&m->arena, (size_t)n + 2, sizeof(*m->block[i].node));
    m->n_block = 1;
    for (int i = 0; i < n && line[i]; i++)
        m->n_block = *line[i] == '|' ? 2 : m->n_block;
    m->has_params = true;
    m->version = 2006000;
    add_node(m, "feed X:feed > Out:x col=0", r);
    const int32_t x = variable(m, "x", false, r);
    int64_t *d = qs_arena_calloc(&m->arena, QS_RANK_MOST, sizeof(*d));
    m->var[x].n_dims = read_dims(input, d);
    m->var[x].dims = d;
    for (int i = 0; i < n && line[i]; i++)
        add_node(m, line[i], r);
    add_node(m, "fetch X:y > Out:fetch col=0", r);
    qs_model_index(m);
    return m;
}

void
test_graph_input(const char *input, struct test_random *r, struct qs_value *v)
{
    *v = (struct qs_value){.dtype = QS_DTYPE_float32, .count = 1};
    v->n = read_dims(input, v->d);
    for (int i = 0; i < v->n; i++)
        v->count *= v->d[i];
    v->data = aligned_alloc(64, ((size_t)v->count * sizeof(float) + 63) / 64 * 64);
    assert_non_null(v->data);
    for (int64_t i = 0; i < v->count; i++)
        v->f32[i] = 2 * test_graph_next(r);
}

void
test_graph_near(const struct qs_value *got, const struct qs_value *want, const char *what)
{
    double sum = 0, diff = 0;
    assert_int_equal(got->count, want->count);
    assert_int_equal(got->n, want->n);
    for (int i = 0; i < got->n; i++)
        assert_int_equal(got->d[i], want->d[i]);
    for (int64_t i = 0; i < got->count; i++) {
        sum += (double)want->f32[i] * (double)want->f32[i];
        diff += pow((double)got->f32[i] - (double)want->f32[i], 2);
    }
    if (!(diff <= 1e-10 * sum))
        fail_msg("%s: relative error %g", what, sqrt(diff / sum));
}

struct qs_engine *
test_graph_engine(struct qs_ctx *cx, const struct qs_model *m, bool exact, const bool *keep)
{
    const struct qs_engine_options opt = {.exact = exact, .keep = keep};
    struct qs_engine *e = NULL;
    if (qs_engine_new(cx, m, &opt, &e) != QS_OK)
        fail_msg("%s", qs_message(cx));
    return e;
}
