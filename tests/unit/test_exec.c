/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single operators run by the engine against what Paddle computed: tests/exec/<family>.case,
 * written by tests/parity/make_exec.py. A case:
 *
 *   op TYPE attribute=value ...     (forms of test_ops.c; @version=2004000 for the program)
 *   in SLOT TYPE DIMS ELEMENT...    (a slot may come several times: a list)
 *   out SLOT TYPE DIMS ELEMENT...
 *
 * and an empty line. Floats agree to a relative L2 error of 1e-5, with 1 and 3 threads bit for
 * bit the same; integers agree exactly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/exec.h"
#include "kernels/gemm.h"

enum { SLOTS_MOST = 8, LIST_MOST = 32, TENSORS_MOST = 48 };

struct tensor {
    char slot[32];
    struct qs_value v; /* data owned */
};

struct one_case {
    struct qs_model *m;
    struct qs_node *node;
    char title[256];
    struct tensor in[TENSORS_MOST], out[TENSORS_MOST];
    int n_in, n_out;
};

/* Attributes */

static int
count_items(const char *list)
{
    int n = 1;
    for (; *list && *list != ']'; list++)
        n += *list == ',';
    return n;
}

static void
set_list(struct one_case *c, const char *name, const char *text)
{
    int32_t ints[LIST_MOST];
    float floats[LIST_MOST];
    const bool real = strpbrk(text, ".e") != NULL;
    const int n = text[1] == ']' ? 0 : count_items(text);
    char *at = (char *)(uintptr_t)text + 1;
    assert_true(n <= LIST_MOST);
    for (int i = 0; i < n; i++, at += *at == ',') {
        floats[i] = strtof(at, real ? &at : NULL);
        if (!real)
            ints[i] = (int32_t)strtol(at, &at, 10);
    }
    if (real)
        qs_node_set_floats(c->m, c->node, name, floats, n);
    else
        qs_node_set_ints(c->m, c->node, name, ints, n);
}

static void
set_attr(struct one_case *c, char *text)
{
    char *value = strchr(text, '=');
    assert_non_null(value);
    *value++ = '\0';
    if (strcmp(text, "@version") == 0)
        c->m->version = strtoll(value, NULL, 10);
    else if (*value == '[')
        set_list(c, text, value);
    else if (*value == '"') {
        value[strlen(value) - 1] = '\0';
        qs_node_set_str(c->m, c->node, text, value + 1);
    } else if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
        qs_node_set_bool(c->m, c->node, text, *value == 't');
    else if (strpbrk(value, ".ein"))
        qs_node_set_float(c->m, c->node, text, strtof(value, NULL));
    else
        qs_node_set_int(c->m, c->node, text, strtoll(value, NULL, 10));
}

/* Tensors */

static void
parse_dims(struct qs_value *v, const char *text)
{
    char *at = (char *)(uintptr_t)text;
    v->count = 1;
    if (strcmp(text, "scalar") == 0)
        return;
    for (; v->n < QS_RANK_MOST; at++) {
        v->d[v->n] = strtoll(at, &at, 10);
        v->count *= v->d[v->n++];
        if (*at != 'x')
            break;
    }
    assert_int_equal(*at, '\0');
}

static void
set_element(const struct qs_value *v, int64_t i, const char *text)
{
    switch (v->dtype) {
    case QS_DTYPE_float32:
        v->f32[i] = strtof(text, NULL);
        return;
    case QS_DTYPE_float64:
        v->f64[i] = strtod(text, NULL);
        return;
    case QS_DTYPE_int32:
        v->i32[i] = (int32_t)strtol(text, NULL, 10);
        return;
    case QS_DTYPE_int64:
        v->i64[i] = strtoll(text, NULL, 10);
        return;
    case QS_DTYPE_int8:
    case QS_DTYPE_uint8:
    case QS_DTYPE_bool:
        v->u8[i] = (uint8_t)strtol(text, NULL, 10);
        return;
    }
    fail_msg("type %d", v->dtype);
}

static void
parse_tensor(struct tensor *t, char *save)
{
    *t = (struct tensor){0};
    snprintf(t->slot, sizeof(t->slot), "%s", strtok_r(NULL, " ", &save));
    t->v.dtype = qs_dtype_parse(strtok_r(NULL, " ", &save));
    assert_true(t->v.dtype >= 0);
    parse_dims(&t->v, strtok_r(NULL, " ", &save));
    t->v.data = qs_xcalloc((size_t)t->v.count + 1, 8);
    for (int64_t i = 0; i < t->v.count; i++) {
        const char *text = strtok_r(NULL, " ", &save);
        assert_non_null(text);
        set_element(&t->v, i, text);
    }
}

/* Models: feed nodes, the operator, fetch nodes */

static void
start_case(struct one_case *c)
{
    *c = (struct one_case){.m = qs_model_new()};
    c->m->n_block = 1;
    c->m->version = 2006002;
    c->m->block = qs_arena_calloc(&c->m->arena, 1, sizeof(*c->m->block));
    c->m->block[0].parent = -1;
    c->m->block[0].node =
        qs_arena_calloc(&c->m->arena, 2 * TENSORS_MOST + 1, sizeof(struct qs_node));
    c->node = &c->m->block[0].node[TENSORS_MOST];
}

static int32_t
add_var(struct one_case *c, const char *prefix, int i, const struct tensor *t)
{
    char name[64];
    snprintf(name, sizeof(name), "%s_%s_%d", prefix, t->slot, i);
    const int32_t id = qs_model_add_var(c->m, 0, name);
    c->m->var[id].dtype = t->v.dtype;
    qs_model_declare(c->m, id);
    return id;
}

static void
add_port(struct one_case *c, struct qs_node *node, const char *type, int32_t var, int col)
{
    qs_node_set_type(c->m, node, type);
    qs_node_set_int(c->m, node, "col", col);
    if (strcmp(type, "feed") == 0)
        qs_node_set_out(c->m, node, "Out", &var, 1);
    else
        qs_node_set_in(c->m, node, "X", &var, 1);
}

/* Tensors of one slot become a list. */
static void
connect(struct one_case *c, bool out, const struct tensor *t, const int32_t *var, int n)
{
    for (int i = 0; i < n; i++) {
        int32_t list[TENSORS_MOST];
        int len = 0;
        for (int k = 0; k < n; k++)
            if (strcmp(t[k].slot, t[i].slot) == 0)
                list[len++] = var[k];
        if (out)
            qs_node_set_out(c->m, c->node, t[i].slot, list, len);
        else
            qs_node_set_in(c->m, c->node, t[i].slot, list, len);
    }
}

static void
build(struct one_case *c)
{
    int32_t in[TENSORS_MOST], out[TENSORS_MOST];
    struct qs_block *b = &c->m->block[0];
    for (int i = 0; i < c->n_in; i++)
        in[i] = add_var(c, "in", i, &c->in[i]);
    for (int i = 0; i < c->n_out; i++)
        out[i] = add_var(c, "out", i, &c->out[i]);
    connect(c, false, c->in, in, c->n_in);
    connect(c, true, c->out, out, c->n_out);
    b->node = c->node - c->n_in;
    for (int i = 0; i < c->n_in; i++)
        add_port(c, &b->node[i], "feed", in[i], i);
    for (int i = 0; i < c->n_out; i++)
        add_port(c, c->node + 1 + i, "fetch", out[i], i);
    b->n_node = c->n_in + 1 + c->n_out;
    qs_model_index(c->m);
}

static void
end_case(struct one_case *c)
{
    for (int i = 0; i < c->n_in; i++)
        free(c->in[i].v.data);
    for (int i = 0; i < c->n_out; i++)
        free(c->out[i].v.data);
    qs_model_unref(c->m);
}

/* Comparison */

static double
distance(const struct qs_value *a, const struct qs_value *b)
{
    double sum = 0, norm = 0;
    for (int64_t i = 0; i < a->count; i++) {
        const double x = qs_value_real(a, i), y = qs_value_real(b, i);
        if (x == y || (isnan(x) && isnan(y)))
            continue;
        sum += (x - y) * (x - y);
    }
    for (int64_t i = 0; i < b->count; i++)
        if (isfinite(qs_value_real(b, i)))
            norm += qs_value_real(b, i) * qs_value_real(b, i);
    return sum == 0 ? 0 : sqrt(sum) / fmax(sqrt(norm), 1e-30);
}

static bool
same_shape(const struct qs_value *a, const struct qs_value *b)
{
    return a->dtype == b->dtype && a->n == b->n &&
           memcmp(a->d, b->d, (size_t)a->n * sizeof(*a->d)) == 0;
}

static bool
compare(const struct one_case *c, int i, const struct qs_value *got)
{
    const struct qs_value *want = &c->out[i].v;
    if (!got->data || !same_shape(got, want)) {
        char dims[128];
        print_message("# %s: %s has shape %s of %s\n", c->title, c->out[i].slot,
                      qs_format_dims(dims, sizeof(dims), got->d, got->n),
                      qs_dtype_name(got->dtype));
        return false;
    }
    const double error = distance(got, want);
    const bool good = qs_dtype_is_float(want->dtype) ? error <= 1e-5 : error == 0;
    if (!good)
        print_message("# %s: %s is off by %g\n", c->title, c->out[i].slot, error);
    return good;
}

static bool
same_bits(const struct qs_value *a, const struct qs_value *b)
{
    return same_shape(a, b) &&
           memcmp(a->data, b->data, (size_t)a->count * (size_t)qs_dtype_bytes(a->dtype)) == 0;
}

static struct qs_exec *
execute(const struct one_case *c, int threads)
{
    struct qs_value in[TENSORS_MOST];
    struct qs_exec *e = NULL;
    struct qs_ctx cx;
    qs_ctx_init(&cx);
    cx.threads = threads;
    for (int i = 0; i < c->n_in; i++)
        in[i] = c->in[i].v;
    if (qs_exec_new(&cx, c->m, &e) || qs_exec_run(&cx, e, in, c->n_in, NULL)) {
        print_message("# %s: %s\n", c->title, qs_message(&cx));
        qs_exec_free(e);
        return NULL;
    }
    return e;
}

static bool
check_case(struct one_case *c)
{
    build(c);
    struct qs_exec *one = execute(c, 1), *three = one ? execute(c, 3) : NULL;
    bool good = one && three;
    for (int i = 0; good && i < c->n_out; i++)
        good = compare(c, i, qs_exec_out(one, i)) &&
               same_bits(qs_exec_out(one, i), qs_exec_out(three, i));
    qs_exec_free(one);
    qs_exec_free(three);
    return good;
}

/* Files */

static void
parse_line(struct one_case *c, char *line)
{
    char *save = NULL;
    const char *word = strtok_r(line, " ", &save);
    if (strcmp(word, "op") == 0) {
        start_case(c);
        snprintf(c->title, sizeof(c->title), "%s", save);
        qs_node_set_type(c->m, c->node, strtok_r(NULL, " ", &save));
        for (char *attr; (attr = strtok_r(NULL, " ", &save));)
            set_attr(c, attr);
    } else if (strcmp(word, "in") == 0 && c->n_in < TENSORS_MOST) {
        parse_tensor(&c->in[c->n_in++], save);
    } else if (strcmp(word, "out") == 0 && c->n_out < TENSORS_MOST) {
        parse_tensor(&c->out[c->n_out++], save);
    } else {
        fail_msg("line '%s'", word);
    }
}

static void
check_file(void **state)
{
    struct qs_ctx cx;
    char *text = NULL;
    size_t n;
    int cases = 0, bad = 0;
    struct one_case *c = qs_xcalloc(1, sizeof(*c));
    qs_ctx_init(&cx);
    assert_int_equal(qs_read_text(&cx, *state, "cases", 64 << 20, &text, &n), QS_OK);
    for (char *line = text, *end; line && *line; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        if (*line == '#')
            continue;
        if (*line) {
            parse_line(c, line);
            continue;
        }
        cases++;
        bad += !check_case(c);
        end_case(c);
        memset(c, 0, sizeof(*c));
    }
    free(text);
    free(c);
    assert_true(cases > 0);
    assert_int_equal(bad, 0);
}

/* The executor */

static void
missing_operators_are_named_together(void **state)
{
    struct one_case c;
    struct qs_exec *e = NULL;
    struct qs_ctx cx;
    (void)state;
    qs_ctx_init(&cx);
    start_case(&c);
    qs_node_set_type(c.m, &c.node[0], "zeta");
    qs_node_set_type(c.m, &c.node[1], "alpha");
    qs_node_set_type(c.m, &c.node[2], "zeta");
    c.m->block[0].node = c.node;
    c.m->block[0].n_node = 3;
    assert_int_equal(qs_exec_new(&cx, c.m, &e), QS_ERR_UNSUPPORTED);
    assert_non_null(strstr(qs_message(&cx), "'alpha', 'zeta'"));
    end_case(&c);
}

/* relu after relu, and so on: with two tensors alive at once, whatever the length. */
static void
memory_is_used_again(void **state)
{
    enum { LENGTH = 20 };
    struct one_case c;
    struct qs_exec *e = NULL;
    struct qs_ctx cx;
    float x[1000] = {0};
    const struct qs_value in = {
        .dtype = QS_DTYPE_float32, .n = 1, .d = {1000}, .count = 1000, .data = x};
    const struct tensor t = {.slot = "X", .v = in};
    int32_t var = 0;
    (void)state;
    qs_ctx_init(&cx);
    start_case(&c);
    struct qs_node *node = c.m->block[0].node;
    for (int i = 0; i <= LENGTH; i++) {
        const int32_t next = add_var(&c, "v", i, &t);
        qs_node_set_type(c.m, &node[i], i ? "relu" : "feed");
        if (i)
            qs_node_set_in(c.m, &node[i], "X", &var, 1);
        qs_node_set_out(c.m, &node[i], "Out", &next, 1);
        var = next;
    }
    add_port(&c, &node[LENGTH + 1], "fetch", var, 0);
    c.m->block[0].n_node = LENGTH + 2;
    qs_model_index(c.m);
    assert_int_equal(qs_exec_new(&cx, c.m, &e), QS_OK);
    for (int run = 0; run < 3; run++)
        assert_int_equal(qs_exec_run(&cx, e, &in, 1, NULL), QS_OK);
    assert_true(qs_exec_peak_bytes(e) <= 3 * (int64_t)sizeof(x));
    qs_exec_free(e);
    end_case(&c);
}

/* Products */

static void
fill(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = (float)((i * 7919 + 13) % 1000) / 500 - 1;
}

static void
products_of_library_and_plain_loop_agree(void **state)
{
    enum { MOST = 40 };
    static float a[MOST * MOST], b[MOST * MOST], got[MOST * MOST], want[MOST * MOST];
    const int sizes[][3] = {{1, 1, 1},   {3, 5, 7},  {40, 33, 17},
                            {16, 1, 40}, {2, 40, 0}, {1, 37, 29}};
    (void)state;
    fill(a, MOST * MOST);
    fill(b, MOST * MOST);
    for (int i = 0; i < 6 * 4; i++) {
        const int m = sizes[i / 4][0], n = sizes[i / 4][1], k = sizes[i / 4][2];
        const struct qk_matrix x = {a, MOST, i & 1}, y = {b, MOST, i >> 1 & 1};
        fill(got, MOST * MOST);
        fill(want, MOST * MOST);
        qk_sgemm(m, n, k, 0.5F, x, y, 2, got, MOST);
        qk_sgemm_scalar(m, n, k, 0.5F, x, y, 2, want, MOST);
        for (int e = 0; e < MOST * MOST; e++)
            assert_true(fabsf(got[e] - want[e]) <= 1e-5F);
    }
}

static int
is_case_file(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && strcmp(dot, ".case") == 0;
}

int
main(void)
{
    const char *top = getenv("srcdir");
    struct CMUnitTest test[64] = {{0}};
    struct dirent **entry = NULL;
    char *folder = qs_xasprintf("%s/tests/exec", top ? top : ".");
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const int n = scandir(folder, &entry, is_case_file, alphasort);
    if (n < 1 || n > 60)
        return 1;
    for (int i = 0; i < n; i++) {
        test[i] =
            (struct CMUnitTest){.name = qs_xasprintf("%s: what Paddle computes", entry[i]->d_name),
                                .test_func = check_file,
                                .initial_state = qs_xasprintf("%s/%s", folder, entry[i]->d_name)};
        free(entry[i]);
    }
    free(entry);
    free(folder);
    const struct CMUnitTest others[] = {
        cmocka_unit_test(missing_operators_are_named_together),
        cmocka_unit_test(memory_is_used_again),
        cmocka_unit_test(products_of_library_and_plain_loop_agree),
    };
    memcpy(&test[n], others, sizeof(others));
    const int failed =
        _cmocka_run_group_tests("exec", test, (size_t)n + QS_LEN(others), NULL, NULL);
    for (int i = 0; i < n; i++) {
        free((char *)(uintptr_t)test[i].name);
        free(test[i].initial_state);
    }
    return failed;
}
