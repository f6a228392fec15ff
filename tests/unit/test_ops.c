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
#include "ops_fixture.h"

enum { LIST_MOST = 64, SLOT_MOST = 16, VARS_MOST = 16 };

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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_sorted_and_every_row_is_found),
        cmocka_unit_test(weight_axis_heeds_transposition),
        cmocka_unit_test(shape_rules_give_what_the_case_files_say),
        cmocka_unit_test(every_shape_rule_has_a_case),
        cmocka_unit_test(any_change_of_a_number_is_survived),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    covered = qs_xcalloc((size_t)qs_op_count(), sizeof(*covered));
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(covered);
    return failed;
}
