/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operator vocabulary: the shape rules against tests/ops/<family>.case, one line per case:
 *
 *   types | attributes | inputs | outputs
 *
 * types      op, or ops separated by commas that behave alike
 * attributes name=5 name=0.5 name=true name="text" name=[1,2] name=[0.5,2.0];
 *            @version=2004000 is the version of the program
 * inputs     Slot=TENSOR+TENSOR...; TENSOR is 1x3x8x8, scalar or ?, then an optional :dtype, then
 *            optional {elements} (for int32 and int64)
 * outputs    like inputs (elements and dtype are compared when written), and macs=N; or
 *            "error:" and words of the message
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/op.h"
#include "model/shape.h"

enum { LIST_MOST = 64, SLOT_MOST = 16, VARS_MOST = 16 };

/* Model building */

static void
add_block(struct qs_model *m, int n_node)
{
    struct qs_block *old = m->block;
    m->block = qs_arena_calloc(&m->arena, (size_t)m->n_block + 1, sizeof(*m->block));
    if (m->n_block)
        memcpy(m->block, old, (size_t)m->n_block * sizeof(*old));
    struct qs_block *b = &m->block[m->n_block];
    b->idx = m->n_block;
    b->parent = m->n_block - 1;
    b->node = qs_arena_calloc(&m->arena, (size_t)n_node, sizeof(*b->node));
    b->n_node = n_node;
    m->n_block++;
}

static int32_t
add_tensor(struct qs_model *m, const char *name, int32_t dtype, int n, const int64_t *d)
{
    const int32_t id = qs_model_add_var(m, 0, name);
    struct qs_var *v = &m->var[id];
    v->dtype = dtype;
    v->n_dims = n;
    v->dims =
        (const int64_t *)(const void *)qs_arena_memdup(&m->arena, d, (size_t)(n > 0 ? n : 0) * 8);
    qs_model_declare(m, id);
    return id;
}

static struct qs_node *
set_node(struct qs_model *m, int block, int i, const char *type)
{
    struct qs_node *node = &m->block[block].node[i];
    qs_node_set_type(m, node, type);
    return node;
}

static void
put(struct qs_model *m, struct qs_node *node, bool out, const char *slot, int32_t var)
{
    if (out)
        qs_node_set_out(m, node, slot, &var, 1);
    else
        qs_node_set_in(m, node, slot, &var, 1);
}

static void
set_block_attr(struct qs_model *m, struct qs_node *node, const char *name, int64_t block)
{
    qs_node_set_int(m, node, name, block);
    for (int i = 0; i < node->n_attr; i++)
        if (strcmp(node->attr[i].name, name) == 0)
            ((struct qs_attr *)node->attr)[i].type = QS_ATTR_BLOCK;
}

/* Case files */

struct tensor {
    bool known, has_value;
    int32_t dtype; /* -1: not written */
    int n;
    int64_t d[LIST_MOST], value[LIST_MOST];
    int n_value;
};

struct slot {
    char name[64];
    struct tensor t[VARS_MOST];
    int n;
};

static const char *where = "";

static const char *
parse_tensor(const char *p, struct tensor *t)
{
    *t = (struct tensor){.known = true, .dtype = -1};
    if (*p == '?') {
        t->known = false;
        p++;
    } else if (strncmp(p, "scalar", 6) == 0) {
        p += 6;
    } else {
        for (;;) {
            char *end;
            t->d[t->n++] = strtoll(p, &end, 10);
            if (end == p || t->n == LIST_MOST)
                fail_msg("%s: bad shape at '%s'", where, p);
            p = end;
            if (*p != 'x')
                break;
            p++;
        }
    }
    if (*p == ':') {
        char name[16] = "";
        int used = 0;
        sscanf(p, ":%15[a-z0-9]%n", name, &used);
        t->dtype = qs_dtype_parse(name);
        p += used;
    }
    if (*p == '{') {
        t->has_value = true;
        while (*p != '}') {
            char *end;
            t->value[t->n_value++] = strtoll(p + 1, &end, 10);
            if (end == p + 1 || t->n_value == LIST_MOST)
                fail_msg("%s: bad elements at '%s'", where, p);
            p = end;
        }
        p++;
    }
    return p;
}

/* Reads "Slot=T+T Slot=T ..."; macs=N goes to *macs. */
static int
parse_slots(char *text, struct slot *slot, int64_t *macs)
{
    int n = 0;
    for (char *save, *word = strtok_r(text, " \t", &save); word;
         word = strtok_r(NULL, " \t", &save)) {
        const char *equals = strchr(word, '=');
        if (!equals)
            fail_msg("%s: '%s' has no '='", where, word);
        if (macs && strncmp(word, "macs=", 5) == 0) {
            *macs = strtoll(equals + 1, NULL, 10);
            continue;
        }
        struct slot *s = &slot[n++];
        snprintf(s->name, sizeof(s->name), "%.*s", (int)(equals - word), word);
        s->n = 0;
        const char *p = equals;
        while (*p == '=' || *p == '+')
            p = parse_tensor(p + 1, &s->t[s->n++]);
        if (*p)
            fail_msg("%s: junk at '%s'", where, p);
    }
    return n;
}

/* Whether as many elements are written as the shape has. */
static bool
is_count(const struct tensor *t)
{
    int64_t count = 1;
    for (int i = 0; i < t->n; i++)
        if (__builtin_mul_overflow(count, t->d[i], &count))
            return false;
    return count == t->n_value;
}

static void
make_inputs(struct qs_ctx *cx, struct qs_model *m, struct qs_node *node, const struct slot *s)
{
    int32_t var[VARS_MOST];
    for (int i = 0; i < s->n; i++) {
        const struct tensor *t = &s->t[i];
        char name[80];
        const int32_t dtype = t->dtype >= 0 ? t->dtype : t->has_value ? QS_DTYPE_int64 : 5;
        snprintf(name, sizeof(name), "%.63s_%d", s->name, i);
        var[i] = add_tensor(m, name, dtype, t->n, t->d);
        m->var[var[i]].persistable = t->known;
        if (!t->has_value || !is_count(t))
            continue;
        struct qs_buf *buf;
        const int width = qs_dtype_bytes(dtype);
        assert_int_equal(qs_buf_new(cx, (size_t)t->n_value * (size_t)width + 1, &buf), QS_OK);
        for (int k = 0; k < t->n_value; k++)
            memcpy(buf->data + 1 + k * width, &t->value[k], (size_t)width);
        qs_model_set_data(m, var[i], dtype, t->n, t->d, buf, 1);
    }
    qs_node_set_in(m, node, s->name, var, s->n);
}

static void
make_outputs(struct qs_model *m, struct qs_node *node, const struct slot *s, int32_t *var)
{
    for (int i = 0; i < s->n; i++) {
        char name[80];
        snprintf(name, sizeof(name), "%.63s_%d", s->name, i);
        var[i] = add_tensor(m, name, QS_DTYPE_float32, -1, NULL);
    }
    qs_node_set_out(m, node, s->name, var, s->n);
}

static void
set_list(struct qs_model *m, struct qs_node *node, const char *name, const char *text)
{
    float f[LIST_MOST];
    int32_t v[LIST_MOST];
    int n = 0;
    const bool is_float = strchr(text, '.') != NULL;
    for (const char *p = text + 1; *p && *p != ']'; p += *p == ',') {
        char *end;
        f[n] = strtof(p, &end);
        v[n++] = (int32_t)strtoll(p, NULL, 10);
        if (end == p)
            fail_msg("%s: bad list '%s'", where, text);
        p = end;
    }
    if (is_float)
        qs_node_set_floats(m, node, name, f, n);
    else
        qs_node_set_ints(m, node, name, v, n);
}

static void
set_attr(struct qs_model *m, struct qs_node *node, char *word)
{
    char *value = strchr(word, '=');
    if (!value)
        fail_msg("%s: attribute '%s' has no '='", where, word);
    *value++ = '\0';
    if (strcmp(word, "@version") == 0)
        m->version = strtoll(value, NULL, 10);
    else if (*value == '[')
        set_list(m, node, word, value);
    else if (*value == '"')
        qs_node_set_str(m, node, word, (value[strlen(value) - 1] = '\0', value + 1));
    else if (*value == 't' || *value == 'f')
        qs_node_set_bool(m, node, word, *value == 't');
    else if (strchr(value, '.') || strchr(value, 'n'))
        qs_node_set_float(m, node, word, strtof(value, NULL));
    else
        qs_node_set_int(m, node, word, strtoll(value, NULL, 10));
}

static void
check_tensor(const char *slot, int i, const struct tensor *want, const struct qs_shape *got)
{
    char a[256] = "?", b[256] = "?";
    if (want->known)
        qs_format_dims(a, sizeof(a), want->d, want->n);
    if (got->known)
        qs_format_dims(b, sizeof(b), got->d, got->n);
    if (strcmp(a, b) != 0)
        fail_msg("%s: %s %d is %s, want %s", where, slot, i, b, a);
    if (want->dtype >= 0 && want->dtype != got->dtype)
        fail_msg("%s: %s %d has type %d, want %d", where, slot, i, got->dtype, want->dtype);
    if (!want->has_value)
        return;
    if (!got->value)
        fail_msg("%s: %s %d is not known by value", where, slot, i);
    for (int k = 0; k < want->n_value; k++)
        if (got->value[k] != want->value[k])
            fail_msg("%s: %s %d element %d is %" PRId64 ", want %" PRId64, where, slot, i, k,
                     got->value[k], want->value[k]);
}

static char *
trim(char *s)
{
    s += strspn(s, " \t\n");
    for (char *end = s + strlen(s); end > s && strchr(" \t\n", end[-1]);)
        *--end = '\0';
    return s;
}

/* "Out" of a node that is expected to fail: rules ignore outputs that a node lacks. */
static int
outputs_of(char *want, struct slot *out, int64_t *macs)
{
    if (strncmp(want, "error:", 6) != 0)
        return parse_slots(want, out, macs);
    static const char *const usual[] = {"Out", "Output", "Y", "Boxes", "OutputBox", "Hidden"};
    for (size_t i = 0; i < QS_LEN(usual); i++) {
        out[i].n = 1;
        snprintf(out[i].name, sizeof(out[i].name), "%s", usual[i]);
    }
    return (int)QS_LEN(usual);
}

/* `survive`: any outcome is right. */
static void
run_case(const char *type, const char *attrs, const char *inputs, const char *wanted, bool survive)
{
    struct qs_ctx cx;
    static struct slot in[SLOT_MOST], out[SLOT_MOST];
    int32_t var[SLOT_MOST][VARS_MOST];
    int64_t macs = -1;
    char *a = qs_xstrdup(attrs), *b = qs_xstrdup(inputs), *w = qs_xstrdup(wanted), *save;
    struct qs_model *m = qs_model_new();
    struct qs_shapes *s = NULL;
    qs_ctx_init(&cx);
    add_block(m, 1);
    struct qs_node *node = set_node(m, 0, 0, type);
    if (!node->op)
        fail_msg("%s: there is no operator '%s'", where, type);
    for (char *word = strtok_r(a, " \t", &save); word; word = strtok_r(NULL, " \t", &save))
        set_attr(m, node, word);
    const int n_in = parse_slots(b, in, NULL), n_out = outputs_of(w, out, &macs);
    for (int i = 0; i < n_in; i++)
        make_inputs(&cx, m, node, &in[i]);
    for (int i = 0; i < n_out; i++)
        make_outputs(m, node, &out[i], var[i]);
    qs_model_index(m);
    const enum qs_err err = qs_infer_shapes(&cx, m, NULL, 0, &s);
    if (survive) {
        if (err && (err != QS_ERR_FORMAT || !*cx.message))
            fail_msg("%s: %s: error %d without a reason", where, type, err);
    } else if (strncmp(wanted, "error:", 6) == 0) {
        const char *text = wanted + 6 + strspn(wanted + 6, " ");
        if (err != QS_ERR_FORMAT)
            fail_msg("%s: %s: no error", where, type);
        if (!strstr(cx.message, text) || !strstr(cx.message, type))
            fail_msg("%s: message is \"%s\", want \"%s\"", where, cx.message, text);
    } else {
        if (err)
            fail_msg("%s: %s: %s", where, type, cx.message);
        for (int i = 0; i < n_out; i++)
            for (int k = 0; k < out[i].n; k++)
                check_tensor(out[i].name, k, &out[i].t[k], &s->var[var[i][k]]);
        if (macs >= 0 && s->node[0][0].macs != macs)
            fail_msg("%s: %s: %" PRId64 " macs, want %" PRId64, where, type, s->node[0][0].macs,
                     macs);
    }
    qs_shapes_free(s);
    qs_model_unref(m);
    free(a);
    free(b);
    free(w);
}

static bool *covered; /* [qs_op_count()] a case that expects a shape has run */

static void
mark_covered(const char *type)
{
    for (int i = 0; i < qs_op_count(); i++)
        if (strcmp(qs_op_at(i)->name, type) == 0)
            covered[i] = true;
}

/* Changes of numbers: a copy of `text` with one or two numbers replaced by awkward ones. */

static uint32_t seed;

static uint32_t
next_random(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static void
replace_number(char *out, size_t cap, const char *text, int which)
{
    static const char *const awkward[] = {
        "0",          "-1",     "1",       "2147483647",          "-2147483648",
        "7",          "100000", "2",       "9223372036854775807", "-9223372036854775808",
        "1073741824", "-2",     "16777217"};
    const char *p = text;
    for (int i = 0; *p; i++) {
        p += strcspn(p, "-0123456789");
        const size_t n = strspn(p, "-0123456789");
        /* not the digits of a name, of a type or of a fraction */
        const char before = p > text ? (char)(p[-1] | 32) : ' ';
        const bool in_word = before == '.' || (before >= 'a' && before <= 'z' && before != 'x');
        if (i == which && n && !in_word) {
            snprintf(out, cap, "%.*s%s%s", (int)(p - text), text,
                     awkward[next_random(QS_LEN(awkward))], p + n);
            return;
        }
        p += n;
    }
    snprintf(out, cap, "%s", text);
}

static void
run_changed(const char *type, char **field)
{
    char attrs[2048], inputs[2048], again[2048];
    for (int i = 0; i < 12; i++) {
        replace_number(attrs, sizeof(attrs), field[1], (int)next_random(10));
        replace_number(again, sizeof(again), field[2], (int)next_random(12));
        replace_number(inputs, sizeof(inputs), again, i % 3 ? (int)next_random(12) : -1);
        run_case(type, attrs, inputs, field[3], true);
    }
}

static void
run_line(char *line, bool change)
{
    char *field[4], *save;
    int n = 0;
    line = trim(line);
    if (!*line || *line == '#')
        return;
    for (char *p = line; n < 4 && p; n++) {
        char *bar = n < 3 ? strchr(p, '|') : NULL;
        if (bar)
            *bar = '\0';
        field[n] = trim(p);
        p = bar ? bar + 1 : NULL;
    }
    if (n != 4)
        fail_msg("%s: a case has four fields", where);
    for (char *type = strtok_r(field[0], ", ", &save); type; type = strtok_r(NULL, ", ", &save)) {
        if (change) {
            run_changed(type, field);
            continue;
        }
        run_case(type, field[1], field[2], field[3], false);
        if (strncmp(field[3], "error:", 6) != 0)
            mark_covered(type);
    }
}

static void
run_file(const char *path, bool change)
{
    char line[2048], place[1100];
    FILE *f = fopen(path, "r");
    int number = 0;
    assert_non_null(f);
    where = place;
    while (fgets(line, sizeof(line), f)) {
        snprintf(place, sizeof(place), "%s:%d", path, ++number);
        run_line(line, change);
    }
    fclose(f);
    where = "";
}

static int
is_case(const struct dirent *e)
{
    const size_t n = strlen(e->d_name);
    return n > 5 && strcmp(e->d_name + n - 5, ".case") == 0;
}

static void
run_files(bool change)
{
    const char *top = getenv("srcdir");
    char dir[512], path[1024]; /* a name has at most 255 bytes */
    struct dirent **list;
    snprintf(dir, sizeof(dir), "%.400s/tests/ops", top ? top : ".");
    const int n = scandir(dir, &list, is_case, alphasort);
    if (n < 1)
        fail_msg("no case files in '%s'", dir);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%.511s/%.255s", dir, list[i]->d_name);
        run_file(path, change);
        free(list[i]);
    }
    free(list);
}

static void
shape_rules_give_what_the_case_files_say(void **state)
{
    (void)state;
    run_files(false);
}

static void
any_change_of_a_number_is_survived(void **state)
{
    const char *given = getenv("QSLIM_SEED");
    (void)state;
    seed = given ? (uint32_t)strtoul(given, NULL, 10) : 1;
    print_message("# QSLIM_SEED=%u repeats this run\n", seed);
    run_files(true);
}

/* Those that need more than one node: tested below. */
static const char *const by_hand[] = {"conditional_block", "conditional_block_infer", "feed",
                                      "while"};

static void
every_shape_rule_has_a_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < QS_LEN(by_hand); i++)
        mark_covered(by_hand[i]);
    for (int i = 0; i < qs_op_count(); i++)
        if (qs_op_at(i)->shape && !covered[i])
            fail_msg("operator '%s' has a shape rule but no case", qs_op_at(i)->name);
}

static void
table_is_sorted_and_every_row_is_found(void **state)
{
    (void)state;
    for (int i = 0; i < qs_op_count(); i++) {
        assert_ptr_equal(qs_op_find(qs_op_at(i)->name), qs_op_at(i));
        if (i > 0)
            assert_true(strcmp(qs_op_at(i - 1)->name, qs_op_at(i)->name) < 0);
    }
    assert_null(qs_op_find("no_such_operator"));
    assert_null(qs_op_find(""));
}

static void
weight_axis_heeds_transposition(void **state)
{
    static const struct {
        const char *type, *attr;
        int rank, want;
    } row[] = {
        {"conv2d", NULL, 4, 0},
        {"conv2d_transpose", NULL, 4, 1},
        {"depthwise_conv2d", NULL, 4, 0},
        {"mul", NULL, 2, 1},
        {"matmul", NULL, 2, 1},
        {"matmul", "transpose_Y", 2, 0},
        {"matmul_v2", NULL, 3, 2},
        {"matmul_v2", "trans_y", 3, 1},
        {"matmul_v2", "trans_y", 1, 0},
        {"fc", NULL, 2, 1},
        {"lookup_table_v2", NULL, 2, 1},
        {"rnn", NULL, 2, 0},
        {"lstm", NULL, 2, 1},
        {"lstm", NULL, 1, -1},
        {"relu", NULL, 4, -1},
        {"conv2d", NULL, 0, -1},
    };
    struct qs_model *m = qs_model_new();
    (void)state;
    add_block(m, (int)QS_LEN(row));
    for (int i = 0; i < (int)QS_LEN(row); i++) {
        struct qs_node *node = set_node(m, 0, i, row[i].type);
        if (row[i].attr)
            qs_node_set_bool(m, node, row[i].attr, true);
        if (qs_weight_axis(node, row[i].rank) != row[i].want)
            fail_msg("row %d: axis %d, want %d", i, qs_weight_axis(node, row[i].rank), row[i].want);
    }
    qs_model_unref(m);
}

/* Whole programs */

/* feed x; conv2d (filter [4, 3, 3, 3], stride 2); relu; fetch */
static struct qs_model *
small_program(int n_dims, const int64_t *dims)
{
    static const int64_t filter[4] = {4, 3, 3, 3};
    struct qs_model *m = qs_model_new();
    add_block(m, 4);
    const int32_t feed = add_tensor(m, "feed", -1, -1, NULL);
    const int32_t fetch = add_tensor(m, "fetch", -1, -1, NULL);
    const int32_t x = add_tensor(m, "x", QS_DTYPE_float32, n_dims, dims);
    const int32_t w = add_tensor(m, "w", QS_DTYPE_float32, 4, filter);
    const int32_t a = add_tensor(m, "a", QS_DTYPE_float32, -1, NULL);
    const int32_t b = add_tensor(m, "b", QS_DTYPE_float32, -1, NULL);
    m->var[feed].container = QS_FEED_MINIBATCH;
    m->var[fetch].container = QS_FETCH_LIST;
    m->var[w].persistable = 1;
    struct qs_node *node = set_node(m, 0, 0, "feed");
    put(m, node, false, "X", feed);
    put(m, node, true, "Out", x);
    node = set_node(m, 0, 1, "conv2d");
    put(m, node, false, "Input", x);
    put(m, node, false, "Filter", w);
    put(m, node, true, "Output", a);
    qs_node_set_ints(m, node, "strides", (const int32_t[]){2, 2}, 2);
    node = set_node(m, 0, 2, "relu");
    put(m, node, false, "X", a);
    put(m, node, true, "Out", b);
    node = set_node(m, 0, 3, "fetch");
    put(m, node, false, "X", b);
    put(m, node, true, "Out", fetch);
    qs_model_index(m);
    return m;
}

static void
costs_are_those_of_the_convolution(void **state)
{
    struct qs_ctx cx;
    struct qs_shapes *s;
    struct qs_model *m = small_program(4, (const int64_t[]){1, 3, 9, 9});
    (void)state;
    qs_ctx_init(&cx);
    assert_int_equal(qs_infer_shapes(&cx, m, NULL, 0, &s), QS_OK);
    assert_null(s->assumed);
    assert_int_equal(s->n_unknown, 0);
    const struct qs_node_cost *c = &s->node[0][1];
    assert_true(c->known);
    assert_int_equal(c->params, 4 * 3 * 3 * 3);
    assert_int_equal(c->param_bytes, 4 * c->params);
    assert_int_equal(c->out_bytes, 4 * (4 * 4 * 4));
    assert_int_equal(c->macs, (4 * 4 * 4) * (3 * 3 * 3));
    assert_int_equal(s->macs, c->macs);
    assert_int_equal(c->out.d[2], 4);
    qs_shapes_free(s);
    qs_model_unref(m);
}

static void
inputs_are_guessed_given_or_refused(void **state)
{
    static const struct {
        int n;
        int64_t d[4];
        const char *given, *assumed;
        enum qs_err err;
    } row[] = {
        {4, {1, 3, 9, 9}, NULL, NULL, QS_OK},
        {4, {-1, 3, 9, 9}, NULL, "x 1x3x9x9", QS_OK},
        {4, {-1, 3, -1, -1}, NULL, "x 1x3x224x224", QS_OK},
        {4, {-1, 3, 32, -1}, NULL, "x 1x3x32x320", QS_OK},
        {4, {-1, -1, 160, -1}, NULL, "x 1x3x160x160", QS_OK},
        {4, {-1, 3, -1, -1}, "2,3,32,32", NULL, QS_OK},
        {4, {-1, 3, -1, -1}, "x=2,3,32,32", NULL, QS_OK},
        {4, {-1, 3, -1, -1}, "y=2,3,32,32", NULL, QS_ERR_NOT_FOUND},
        {4, {-1, 3, -1, -1}, "2,3,32", NULL, QS_ERR_USAGE},
        {4, {-1, 3, -1, -1}, "1,1,32,32", NULL, QS_ERR_FORMAT},
        {4, {-1, 1, -1, -1}, NULL, NULL, QS_ERR_FORMAT},
        {4, {1, 3, INT64_MAX, INT64_MAX}, NULL, NULL, QS_OK},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct qs_ctx cx;
        struct qs_shapes *s = NULL;
        struct qs_input_shape given;
        struct qs_arena arena;
        struct qs_model *m = small_program(row[i].n, row[i].d);
        qs_arena_init(&arena);
        qs_ctx_init(&cx);
        if (row[i].given)
            assert_int_equal(qs_input_shape_parse(&cx, &arena, row[i].given, &given), QS_OK);
        const enum qs_err err = qs_infer_shapes(&cx, m, &given, row[i].given != NULL, &s);
        if (err != row[i].err)
            fail_msg("row %zu: error %d (%s), want %d", i, err, cx.message, row[i].err);
        if (!err && row[i].assumed)
            assert_string_equal(s->assumed, row[i].assumed);
        else if (!err)
            assert_null(s->assumed);
        qs_shapes_free(err ? NULL : s);
        qs_model_unref(m);
        qs_arena_release(&arena);
    }
}

static void
a_node_that_does_not_fit_is_named(void **state)
{
    struct qs_ctx cx;
    struct qs_shapes *s;
    struct qs_model *m = small_program(4, (const int64_t[]){1, 8, 9, 9});
    (void)state;
    qs_ctx_init(&cx);
    assert_int_equal(qs_infer_shapes(&cx, m, NULL, 0, &s), QS_ERR_FORMAT);
    assert_string_equal(cx.message, "operator 'conv2d' (number 1, output 'a'): filter takes 3 "
                                    "channels, the input has 8");
    qs_model_unref(m);
}

static void
an_unknown_operator_leaves_what_follows_unknown(void **state)
{
    struct qs_ctx cx;
    struct qs_shapes *s;
    struct qs_model *m = small_program(4, (const int64_t[]){1, 3, 9, 9});
    (void)state;
    qs_ctx_init(&cx);
    qs_node_set_type(m, &m->block[0].node[1], "some_custom_op");
    assert_int_equal(qs_infer_shapes(&cx, m, NULL, 0, &s), QS_OK);
    assert_int_equal(s->n_unknown, 2);
    assert_int_equal(s->macs, 0);
    assert_false(s->var[qs_model_find_var(m, 0, "b")].known);
    qs_shapes_free(s);
    qs_model_unref(m);
}

static void
input_shapes_parse_or_are_refused(void **state)
{
    static const struct {
        const char *text, *name;
        int n;
        int64_t last;
    } row[] = {
        {"1,3,224,224", NULL, 4, 224}, {"x=1,3,32,320", "x", 4, 320},
        {"a=b=5", "a=b", 1, 5},        {"7", NULL, 1, 7},
        {"1x2x3", NULL, 3, 3},         {"", NULL, -1, 0},
        {"x=", NULL, -1, 0},           {"=1,2", NULL, -1, 0},
        {"1,,2", NULL, -1, 0},         {"1,2,", NULL, -1, 0},
        {"0,3", NULL, -1, 0},          {"-1,3", NULL, -1, 0},
        {"1,3k", NULL, -1, 0},         {"99999999999", NULL, -1, 0},
        {"+3", NULL, -1, 0},           {"1,1,1,1,1,1,1,1,1,1", NULL, -1, 0},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct qs_ctx cx;
        struct qs_arena arena;
        struct qs_input_shape out;
        qs_ctx_init(&cx);
        qs_arena_init(&arena);
        const enum qs_err err = qs_input_shape_parse(&cx, &arena, row[i].text, &out);
        if ((err == QS_OK) != (row[i].n >= 0))
            fail_msg("'%s': error %d", row[i].text, err);
        if (!err) {
            assert_int_equal(out.n, row[i].n);
            assert_int_equal(out.d[out.n - 1], row[i].last);
            if (row[i].name)
                assert_string_equal(out.name, row[i].name);
            else
                assert_null(out.name);
        }
        qs_arena_release(&arena);
    }
}

/* Two feeds and two fetches whose columns are not in file order. */
static void
inputs_and_outputs_come_by_column(void **state)
{
    struct qs_model *m = qs_model_new();
    int32_t got[2], var[4];
    static const char *const name[] = {"a", "b", "c", "d"};
    (void)state;
    add_block(m, 4);
    for (int i = 0; i < 4; i++) {
        var[i] = add_tensor(m, name[i], 5, -1, NULL);
        struct qs_node *node = set_node(m, 0, i, i < 2 ? "feed" : "fetch");
        put(m, node, i < 2, i < 2 ? "Out" : "X", var[i]);
        qs_node_set_int(m, node, "col", i < 2 ? 1 - i : 3 - i);
    }
    qs_model_index(m);
    assert_int_equal(qs_model_inputs(m, got, 2), 2);
    assert_int_equal(got[0], var[1]);
    assert_int_equal(got[1], var[0]);
    assert_int_equal(qs_model_outputs(m, got, 1), 2);
    assert_int_equal(got[0], var[3]);
    assert_int_equal(qs_model_inputs(m, NULL, 0), 2);
    qs_model_unref(m);
}

/* Block 0: a = 1x2 (fill), [while or conditional_block] over block 1, r = relu(a).
 * Block 1: a = concat(a, a) on axis 1, or a = relu(a); then c = relu(a). */
static struct qs_model *
sub_block_program(const char *type, bool grows)
{
    struct qs_model *m = qs_model_new();
    add_block(m, 3);
    add_block(m, 2);
    const int32_t a = add_tensor(m, "a", 5, -1, NULL), r = add_tensor(m, "r", 5, -1, NULL);
    const int32_t c = add_tensor(m, "c", 5, -1, NULL);
    struct qs_node *node = set_node(m, 0, 0, "fill_constant");
    put(m, node, true, "Out", a);
    qs_node_set_ints(m, node, "shape", (const int32_t[]){1, 2}, 2);
    node = set_node(m, 0, 1, type);
    put(m, node, true, "Out", a);
    set_block_attr(m, node, "sub_block", 1);
    node = set_node(m, 0, 2, "relu");
    put(m, node, false, "X", a);
    put(m, node, true, "Out", r);
    node = set_node(m, 1, 0, grows ? "concat" : "relu");
    qs_node_set_in(m, node, "X", (const int32_t[]){a, a}, grows ? 2 : 1);
    put(m, node, true, "Out", a);
    qs_node_set_int(m, node, "axis", 1);
    node = set_node(m, 1, 1, "relu");
    put(m, node, false, "X", a);
    put(m, node, true, "Out", c);
    qs_model_index(m);
    return m;
}

static void
what_a_sub_block_changes_becomes_unknown(void **state)
{
    static const char *const type[] = {"while", "conditional_block", "conditional_block_infer"};
    (void)state;
    for (size_t i = 0; i < 2 * QS_LEN(type); i++) {
        const bool grows = i & 1;
        struct qs_ctx cx;
        struct qs_shapes *s;
        struct qs_model *m = sub_block_program(type[i / 2], grows);
        qs_ctx_init(&cx);
        assert_int_equal(qs_infer_shapes(&cx, m, NULL, 0, &s), QS_OK);
        assert_int_equal(s->var[qs_model_find_var(m, 0, "r")].known, !grows);
        assert_true(s->node[1][1].known); /* as in the first turn */
        assert_int_equal(s->node[1][1].out.d[1], grows ? 4 : 2);
        assert_int_equal(s->n_unknown, grows ? 2 : 0);
        assert_null(s->var[qs_model_find_var(m, 0, "a")].value);
        qs_shapes_free(s);
        qs_model_unref(m);
    }
}

/* A block that contains itself, one that does not exist, and a chain that is too deep. */
static void
bad_sub_blocks_do_not_loop(void **state)
{
    static const struct {
        int64_t sub[2];
        enum qs_err err;
    } row[] = {
        {{1, 1}, QS_OK},         {{1, 0}, QS_OK},          {{0, 0}, QS_OK},
        {{2, 0}, QS_ERR_FORMAT}, {{-1, 0}, QS_ERR_FORMAT},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct qs_ctx cx;
        struct qs_shapes *s = NULL;
        struct qs_model *m = sub_block_program("while", false);
        qs_ctx_init(&cx);
        set_block_attr(m, &m->block[0].node[1], "sub_block", row[i].sub[0]);
        set_node(m, 1, 1, "while");
        set_block_attr(m, &m->block[1].node[1], "sub_block", row[i].sub[1]);
        assert_int_equal(qs_infer_shapes(&cx, m, NULL, 0, &s), row[i].err);
        qs_shapes_free(s);
        qs_model_unref(m);
    }
}

static void
deeply_nested_blocks_are_refused(void **state)
{
    struct qs_ctx cx;
    struct qs_shapes *s = NULL;
    struct qs_model *m = qs_model_new();
    enum { DEEP = 200 };
    (void)state;
    qs_ctx_init(&cx);
    for (int i = 0; i < DEEP; i++)
        add_block(m, 1);
    for (int i = 0; i < DEEP; i++)
        set_block_attr(m, set_node(m, i, 0, "while"), "sub_block", i + 1);
    qs_model_index(m);
    assert_int_equal(qs_infer_shapes(&cx, m, NULL, 0, &s), QS_ERR_FORMAT);
    assert_non_null(strstr(cx.message, "nested"));
    qs_model_unref(m);
}

int
main(void)
{
    const struct CMUnitTest test[] = {
        cmocka_unit_test(table_is_sorted_and_every_row_is_found),
        cmocka_unit_test(weight_axis_heeds_transposition),
        cmocka_unit_test(shape_rules_give_what_the_case_files_say),
        cmocka_unit_test(every_shape_rule_has_a_case),
        cmocka_unit_test(any_change_of_a_number_is_survived),
        cmocka_unit_test(costs_are_those_of_the_convolution),
        cmocka_unit_test(inputs_are_guessed_given_or_refused),
        cmocka_unit_test(a_node_that_does_not_fit_is_named),
        cmocka_unit_test(an_unknown_operator_leaves_what_follows_unknown),
        cmocka_unit_test(input_shapes_parse_or_are_refused),
        cmocka_unit_test(inputs_and_outputs_come_by_column),
        cmocka_unit_test(what_a_sub_block_changes_becomes_unknown),
        cmocka_unit_test(bad_sub_blocks_do_not_loop),
        cmocka_unit_test(deeply_nested_blocks_are_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    covered = qs_xcalloc((size_t)qs_op_count(), sizeof(*covered));
    const int failed = cmocka_run_group_tests(test, NULL, NULL);
    free(covered);
    return failed;
}
