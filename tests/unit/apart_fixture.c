/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apart_fixture.h"
#include "base/mem.h"
#include "model/text.h"
#include "passes/take_apart.h"

const char qdq_program[] =
    "var x 1,2,2,2\nvar x.quantized 1,2,2,2\nvar x.qd 1,2,2,2\n"
    "var y 1,2,2,2\nvar y.quantized 1,2,2,2\nvar y.qd 1,2,2,2\nvar z 1,2,2,2\n"
    "int8 w 2,2,1,1 127 -128 3 -4\nvar w.qd 2,2,1,1\n"
    "float w@scale 1,2 2 0.5\nfloat zp 2 0\nfloat zp1 1 0\n"
    "float x@scale 1 4\nfloat y@scale 0 9\n"
    "op dequantize_linear X=w Scale=w@scale ZeroPoint=zp > Y=w.qd "
    "@bit_length=8 @quant_axis=0\n"
    "op quantize_linear X=x Scale=x@scale ZeroPoint=zp1 > Y=x.quantized "
    "@bit_length=8 @quant_axis=-1\n"
    "op dequantize_linear X=x.quantized Scale=x@scale ZeroPoint=zp1 > Y=x.qd "
    "@bit_length=8 @quant_axis=-1\n"
    "op conv2d Input=x.qd Filter=w.qd > Output=y "
    "@quantization_type=qat_with_weight @groups=1\n"
    "op quantize_linear X=y Scale=y@scale ZeroPoint=zp1 > Y=y.quantized "
    "@bit_length=8 @quant_axis=-1 @only_observer=1\n"
    "op dequantize_linear X=y.quantized Scale=y@scale ZeroPoint=zp1 > Y=y.qd "
    "@bit_length=8 @quant_axis=-1 @only_observer=1\n"
    "op relu X=y.qd > Out=z\n";

const char fake_program[] =
    "var x 1,2\nvar xq 1,2\nvar y 1,3\nvar y.dequantized 1,3\nvar z 1,3\n"
    "float w 2,3 127 -127 10 0 1 -2\nfloat ws 3 1 2 4\nfloat x@scale 1 4\n"
    "op fake_quantize_range_abs_max X=x InScale=x@scale > Out=xq OutScale=x@scale @bit_length=8 "
    "@is_test=1 @round_type=1\n"
    "op mul X=xq Y=w > Out=y @x_num_col_dims=1 @quantization_type=post_kl @out_threshold=5.5 "
    "@Out0_threshold=5.5\n"
    "op fake_channel_wise_dequantize_max_abs X=y Scales=ws,x@scale > Out=y.dequantized "
    "@quant_bits=8;8 @quant_axis=1 @x_num_col_dims=1\n"
    "op relu X=y.dequantized > Out=z @Out0_threshold=3.5\n";

static struct qs_model *
new_model(void)
{
    struct qs_model *m = qs_model_new();
    m->n_block = 1;
    m->block = qs_arena_calloc(&m->arena, 1, sizeof(*m->block));
    m->block[0] = (struct qs_block){.parent = -1, .forward = -1, .has_forward = -1};
    m->has_params = true;
    return m;
}

static int
read_dims(char *text, int64_t *dims)
{
    int n = 0;
    for (char *d = strtok(text, ","); d; d = strtok(NULL, ","))
        dims[n++] = atol(d);
    return n == 1 && dims[0] == 0 ? 0 : n;
}

static void
fill(struct qs_model *m, int32_t var, int32_t dtype, char *values)
{
    struct qs_ctx cx;
    struct qs_buf *b;
    char *save = NULL, *last = strtok_r(values, " ", &save);
    const struct qs_var *v = &m->var[var];
    int64_t n = 1;
    for (int i = 0; i < v->n_dims; i++)
        n *= v->dims[i];
    qs_ctx_init(&cx);
    assert_int_equal(qs_buf_new(&cx, (size_t)n * 4, &b), QS_OK);
    for (int64_t i = 0; i < n; i++) {
        const float f = strtof(last, NULL);
        if (dtype == QS_DTYPE_float32)
            memcpy(b->data + 4 * i, &f, sizeof(f));
        else
            ((int8_t *)b->data)[i] = (int8_t)f;
        char *next = strtok_r(NULL, " ", &save);
        last = next ? next : last;
    }
    qs_model_set_data(m, var, dtype, v->n_dims, v->dims, b, 0);
}

static void
read_var(struct qs_model *m, const char *what, char *rest)
{
    char name[64], dims_text[64];
    int64_t dims[4];
    int used = 0;
    assert_int_equal(sscanf(rest, "%63s %63s %n", name, dims_text, &used), 2);
    const int32_t id = qs_model_add_var(m, 0, name);
    struct qs_var *v = &m->var[id];
    v->n_dims = read_dims(dims_text, dims);
    v->dims = (const int64_t *)qs_arena_memdup(&m->arena, dims, (size_t)v->n_dims * sizeof(*dims));
    v->persistable = strcmp(what, "var") != 0;
    qs_model_declare(m, id);
    if (v->persistable)
        fill(m, id, strcmp(what, "int8") == 0 ? QS_DTYPE_int8 : QS_DTYPE_float32, rest + used);
    qs_model_index(m);
}

static void
read_attr(struct qs_model *m, struct qs_node *node, char *text)
{
    char *eq = strchr(text, '='), *end;
    *eq = '\0';
    const long i = strtol(eq + 1, &end, 10);
    if (!*end)
        qs_node_set_int(m, node, text, i);
    else if (*end == '.')
        qs_node_set_float(m, node, text, strtof(eq + 1, NULL));
    else if (*end == ';') {
        const int32_t two[] = {(int32_t)i, (int32_t)atol(end + 1)};
        qs_node_set_ints(m, node, text, two, 2);
    } else
        qs_node_set_str(m, node, text, eq + 1);
}

static void
read_slot(struct qs_model *m, struct qs_node *node, bool out, char *text)
{
    int32_t var[4];
    int n = 0;
    char *save = NULL, *eq = strchr(text, '=');
    *eq = '\0';
    for (char *name = strtok_r(eq + 1, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        var[n] = qs_model_find_var(m, 0, name);
        if (var[n++] < 0)
            fail_msg("no variable '%s'", name);
    }
    if (out)
        qs_node_set_out(m, node, text, var, n);
    else
        qs_node_set_in(m, node, text, var, n);
}

static void
read_op(struct qs_model *m, char *rest)
{
    struct qs_block *b = &m->block[0];
    struct qs_node *list = qs_arena_calloc(&m->arena, (size_t)b->n_node + 1, sizeof(*list));
    if (b->n_node)
        memcpy(list, b->node, (size_t)b->n_node * sizeof(*list));
    b->node = list;
    struct qs_node *node = &list[b->n_node++];
    char *save = NULL;
    bool out = false;
    node->is_target = -1;
    qs_node_set_type(m, node, strtok_r(rest, " ", &save));
    for (char *t = strtok_r(NULL, " ", &save); t; t = strtok_r(NULL, " ", &save)) {
        if (*t == '>')
            out = true;
        else if (*t == '@')
            read_attr(m, node, t + 1);
        else
            read_slot(m, node, out, t);
    }
}

struct qs_model *
build(const char *text)
{
    struct qs_model *m = new_model();
    char *copy = qs_xstrdup(text), *save = NULL;
    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *rest = strchr(line, ' ');
        *rest++ = '\0';
        char *own = qs_xstrdup(rest);
        if (strcmp(line, "op") == 0)
            read_op(m, own);
        else
            read_var(m, line, own);
        free(own);
    }
    free(copy);
    qs_model_index(m);
    return m;
}

char *
program(const struct qs_model *m)
{
    struct qs_str s;
    qs_str_init(&s);
    for (int i = 0; i < m->block[0].n_node; i++) {
        qs_text_node(m, &m->block[0].node[i], true, &s);
        qs_str_add(&s, "\n");
    }
    return qs_str_take(&s);
}

void
start(struct apart *a, const char *text)
{
    *a = (struct apart){0};
    qs_ctx_init(&a->cx);
    a->from = build(text);
}

void
go(struct apart *a)
{
    a->m = qs_model_clone(a->from);
    a->err = qs_static_take_apart(&a->cx, a->m, &a->notes);
}

void
take_apart(struct apart *a, const char *text)
{
    start(a, text);
    go(a);
}

void
end(struct apart *a)
{
    qs_static_notes_release(&a->notes);
    qs_model_unref(a->m);
    qs_model_unref(a->from);
}

void
must(const struct apart *a)
{
    if (a->err)
        fail_msg("%s", qs_message(&a->cx));
}

void
check_program(const struct apart *a, const char *want)
{
    char *got = program(a->m);
    assert_string_equal(got, want);
    free(got);
}
