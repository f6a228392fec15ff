/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators compute what Paddle computes: tests/forward/<family>.case, one line per case as in
 * tests/ops (test_ops.c), made by tests/parity/make_forward_cases.py:
 *
 *   type | attributes | inputs | outputs
 *
 * A tensor is 2x3:float32{1,2,3,4,5,6}, or 4x1:int32@0,1,4{...} with sequence offsets.
 * @tol=1e-6 is how far an element may be off, in units of 1 + its size; without it all are equal.
 * "error:" and Slot*N ...: the operator must refuse.
 *
 * With arguments: runs those files instead, says every case that fails and sums up by operator.
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

#include "base/mem.h"
#include "model/op.h"
#include "model/shape.h"
#include "model/step.h"

enum { LIST_MOST = 4096, SLOT_MOST = 16, VARS_MOST = 16, OUT_MOST = 64 };

struct tensor {
    struct qs_value v;
    int64_t lod[64];
};

struct slot {
    char name[32];
    struct tensor *t[VARS_MOST];
    int n;
};

/* One case and the single-node model made of it. */
struct test {
    struct qs_ctx cx;
    struct qs_arena arena;
    struct qs_model *m;
    struct qs_node *node;
    struct slot in[SLOT_MOST], want[SLOT_MOST];
    int n_in, n_want;
    double tol;
    bool refuses;
    struct qs_value *var;
    struct qs_value out[OUT_MOST];
    char bad[1200]; /* why the case fails; empty: it does not */
};

#define BAD(t, ...)                                            \
    do {                                                       \
        if (!(t)->bad[0])                                      \
            snprintf((t)->bad, sizeof((t)->bad), __VA_ARGS__); \
    } while (0)

/* Reading */

static void *
element(struct qs_value *v, int64_t i)
{
    return v->u8 + i * qs_dtype_bytes(v->dtype);
}

static void
set_element(struct qs_value *v, int64_t i, const char *text, char **end)
{
    if (v->dtype == QS_DTYPE_float32) {
        v->f32[i] = strtof(text, end);
    } else if (v->dtype == QS_DTYPE_float64) {
        v->f64[i] = strtod(text, end);
    } else {
        const int64_t whole = strtoll(text, end, 10);
        memcpy(element(v, i), &whole, (size_t)qs_dtype_bytes(v->dtype));
    }
}

static const char *
read_dims(const char *p, struct qs_value *v)
{
    char *end;
    v->count = 1;
    if (strncmp(p, "scalar", 6) == 0)
        return p + 6;
    for (;; p = end + 1) {
        v->d[v->n] = strtoll(p, &end, 10);
        v->count *= v->d[v->n++];
        if (*end != 'x')
            return end;
    }
}

static const char *
read_tensor(struct test *t, const char *p, struct tensor *out)
{
    char name[16] = "";
    int used = 0;
    struct qs_value *v = &out->v;
    p = read_dims(p, v);
    sscanf(p, ":%15[a-z0-9]%n", name, &used);
    p += used;
    v->dtype = qs_dtype_parse(name);
    if (v->dtype < 0) {
        BAD(t, "bad type at '%.20s'", p);
        return p + strlen(p);
    }
    v->data = qs_arena_calloc(&t->arena, (size_t)v->count + 1, (size_t)qs_dtype_bytes(v->dtype));
    while (*p == '@' || (*p == ',' && v->n_lod)) {
        out->lod[v->n_lod++] = strtoll(p + 1, (char **)(uintptr_t)&p, 10);
        v->lod = out->lod;
    }
    char *end = (char *)(uintptr_t)p + 1;
    for (int64_t i = 0; i < v->count; i++, end += *end == ',')
        set_element(v, i, end, &end);
    if (*p != '{' || *end != '}')
        BAD(t, "bad elements at '%.20s'", end);
    return end + 1;
}

static int
read_slots(struct test *t, char *text, struct slot *slot)
{
    int n = 0;
    for (char *save, *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        struct slot *s = &slot[n++];
        const size_t length = strcspn(word, "=*");
        snprintf(s->name, sizeof(s->name), "%.*s", (int)length, word);
        if (word[length] == '*') {
            s->n = atoi(word + length + 1);
            continue;
        }
        const char *p = word + length;
        while (*p == '=' || *p == '+') {
            s->t[s->n] = qs_arena_calloc(&t->arena, 1, sizeof(struct tensor));
            p = read_tensor(t, p + 1, s->t[s->n++]);
        }
    }
    return n;
}

static void
set_list(struct test *t, const char *name, const char *text)
{
    static float f[LIST_MOST];
    static int32_t v[LIST_MOST];
    int n = 0;
    const bool is_float = strpbrk(text, ".n") != NULL;
    for (const char *p = text + 1; *p && *p != ']' && n < LIST_MOST; p += *p == ',') {
        f[n] = strtof(p, NULL);
        v[n++] = (int32_t)strtoll(p, NULL, 10);
        p += strcspn(p, ",]");
    }
    if (is_float)
        qs_node_set_floats(t->m, t->node, name, f, n);
    else
        qs_node_set_ints(t->m, t->node, name, v, n);
}

static void
set_attr(struct test *t, char *word)
{
    char *value = strchr(word, '=');
    *value++ = '\0';
    if (strcmp(word, "@tol") == 0)
        t->tol = strtod(value, NULL);
    else if (*value == '[')
        set_list(t, word, value);
    else if (*value == '"')
        qs_node_set_str(t->m, t->node, word, (value[strlen(value) - 1] = '\0', value + 1));
    else if (*value == 't' || *value == 'f')
        qs_node_set_bool(t->m, t->node, word, *value == 't');
    else if (strpbrk(value, ".n"))
        qs_node_set_float(t->m, t->node, word, strtof(value, NULL));
    else
        qs_node_set_int(t->m, t->node, word, strtoll(value, NULL, 10));
}

/* The model */

static int32_t
add_var(struct test *t, const char *slot, int i, bool out)
{
    char name[48];
    snprintf(name, sizeof(name), "%s_%s_%d", out ? "out" : "in", slot, i);
    const int32_t id = qs_model_add_var(t->m, 0, name);
    qs_model_declare(t->m, id);
    return id;
}

static void
add_inputs(struct test *t, const struct slot *s)
{
    int32_t id[VARS_MOST];
    for (int i = 0; i < s->n; i++) {
        const struct qs_value *v = &s->t[i]->v;
        const size_t bytes = (size_t)v->count * (size_t)qs_dtype_bytes(v->dtype);
        struct qs_buf *buf;
        id[i] = add_var(t, s->name, i, false);
        if (qs_buf_new(&t->cx, bytes, &buf))
            return;
        memcpy(buf->data, v->data, bytes);
        t->m->var[id[i]].persistable = 1;
        qs_model_set_data(t->m, id[i], v->dtype, v->n, v->d, buf, 0);
    }
    qs_node_set_in(t->m, t->node, s->name, id, s->n);
}

static void
add_outputs(struct test *t, const struct slot *s)
{
    int32_t id[VARS_MOST];
    for (int i = 0; i < s->n; i++) {
        id[i] = add_var(t, s->name, i, true);
        t->m->var[id[i]].dtype = s->t[i] ? s->t[i]->v.dtype : QS_DTYPE_float32;
        t->m->var[id[i]].n_dims = -1;
    }
    qs_node_set_out(t->m, t->node, s->name, id, s->n);
}

static void
start_model(struct test *t, const char *type)
{
    t->m = qs_model_new();
    t->m->block = qs_arena_calloc(&t->m->arena, 1, sizeof(*t->m->block));
    t->m->block->parent = -1;
    t->m->block->node = qs_arena_calloc(&t->m->arena, 1, sizeof(struct qs_node));
    t->m->block->n_node = t->m->n_block = 1;
    t->node = t->m->block->node;
    qs_node_set_type(t->m, t->node, type);
}

/* Running */

static struct qs_value *
out_of(struct test *t, int32_t var)
{
    int at = 0;
    for (int s = 0; s < t->node->n_out; s++)
        for (int i = 0; i < t->node->out[s].n; i++, at++)
            if (t->node->out[s].var[i] == var)
                return &t->out[at];
    return NULL;
}

static enum qs_err
make(struct qs_step *st, int32_t var, int32_t dtype, int n, const int64_t *d)
{
    struct test *t = st->run;
    struct qs_value *v = out_of(t, var);
    free(v->data);
    *v = (struct qs_value){.dtype = dtype, .n = n, .count = 1};
    for (int i = 0; i < n; i++)
        v->count *= v->d[i] = d[i];
    /* of the exact size, and never zero by chance */
    const size_t bytes = (size_t)v->count * (size_t)qs_dtype_bytes(dtype);
    v->data = qs_xmalloc(bytes + 1);
    memset(v->data, 0x5a, bytes);
    return QS_OK;
}

static enum qs_err
infer_outputs(struct test *t, struct qs_step *st)
{
    struct qs_shapes *s = NULL;
    enum qs_err err = qs_infer_shapes(&t->cx, t->m, NULL, 0, &s);
    for (int k = 0; k < t->node->n_out && !err; k++)
        for (int i = 0; i < t->node->out[k].n && !err; i++) {
            const int32_t var = t->node->out[k].var[i];
            if (s->var[var].known)
                err = make(st, var, s->var[var].dtype, s->var[var].n, s->var[var].d);
        }
    qs_shapes_free(s);
    return err;
}

static enum qs_err
run_node(struct test *t)
{
    struct qs_arena scratch;
    struct qs_step st = {.cx = &t->cx,
                         .model = t->m,
                         .node = t->node,
                         .var = t->var,
                         .out = t->out,
                         .scratch = &scratch,
                         .make = make,
                         .run = t};
    qs_arena_init(&scratch);
    for (int s = 0; s < t->n_in; s++)
        for (int i = 0; i < t->in[s].n; i++)
            t->var[qs_node_input(t->node, t->in[s].name, i)] = t->in[s].t[i]->v;
    enum qs_err err = infer_outputs(t, &st);
    if (!err)
        err = t->node->op->forward(&st);
    qs_arena_release(&scratch);
    return err;
}

static void
check_output(struct test *t, const char *slot, int i, const struct qs_value *want)
{
    const struct qs_value *got = out_of(t, qs_node_output(t->node, slot, i));
    char a[128], b[128];
    if (!got || !got->data) {
        BAD(t, "%s %d was not computed", slot, i);
        return;
    }
    qs_format_dims(a, sizeof(a), want->d, want->n);
    qs_format_dims(b, sizeof(b), got->d, got->n);
    if (strcmp(a, b) != 0 || got->dtype != want->dtype) {
        BAD(t, "%s %d is %s of %s, want %s of %s", slot, i, b, qs_dtype_name(got->dtype), a,
            qs_dtype_name(want->dtype));
        return;
    }
    for (int64_t k = 0; k < want->count; k++) {
        const double x = qs_value_real(got, k), y = qs_value_real(want, k);
        const bool same =
            qs_dtype_is_float(want->dtype)
                ? x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= t->tol * (1 + fabs(y))
                : qs_value_int(got, k) == qs_value_int(want, k);
        if (!same)
            BAD(t, "%s %d element %" PRId64 " is %.9g, want %.9g", slot, i, k, x, y);
    }
}

static void
check(struct test *t, enum qs_err err)
{
    if (t->refuses != (err != QS_OK))
        BAD(t, "%s", err ? t->cx.message : "it does not refuse");
    for (int s = 0; s < t->n_want && !t->refuses && !err; s++)
        for (int i = 0; i < t->want[s].n; i++)
            check_output(t, t->want[s].name, i, &t->want[s].t[i]->v);
}

static void
release(struct test *t)
{
    for (int i = 0; i < OUT_MOST; i++)
        free(t->out[i].data);
    free(t->var);
    qs_model_unref(t->m);
    qs_arena_release(&t->arena);
}

/* Runs a line; its fields are cut in place. t->bad tells the result. */
static void
run_case(struct test *t, char *line)
{
    char *field[4], *save;
    memset(t, 0, sizeof(*t));
    qs_ctx_init(&t->cx);
    qs_arena_init(&t->arena);
    line[strcspn(line, "\n")] = '\0';
    for (int i = 0; i < 4; i++) {
        char *next = i < 3 ? strstr(line, " | ") : NULL;
        field[i] = line;
        if (next)
            *next = '\0';
        line = next ? next + 3 : line + strlen(line);
    }
    start_model(t, field[0]);
    for (char *word = strtok_r(field[1], " ", &save); word; word = strtok_r(NULL, " ", &save))
        set_attr(t, word);
    t->refuses = strncmp(field[3], "error:", 6) == 0;
    t->n_in = read_slots(t, field[2], t->in);
    t->n_want = read_slots(t, field[3] + (t->refuses ? 6 : 0), t->want);
    for (int i = 0; i < t->n_in; i++)
        add_inputs(t, &t->in[i]);
    for (int i = 0; i < t->n_want; i++)
        add_outputs(t, &t->want[i]);
    qs_model_index(t->m);
    t->var = qs_xcalloc((size_t)t->m->n_var + 1, sizeof(*t->var));
    if (!t->node->op || !t->node->op->forward)
        BAD(t, "the operator can not run");
    if (!t->bad[0])
        check(t, run_node(t));
}

/* Files */

struct tally {
    char type[64];
    int n, bad;
};

static struct tally tally[512];

static struct tally *
tally_of(const char *type)
{
    struct tally *t = tally;
    while (t->type[0] && strcmp(t->type, type) != 0)
        t++;
    snprintf(t->type, sizeof(t->type), "%s", type);
    return t;
}

/* Cases that fail. */
static int
run_file(const char *path, bool loud)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    int number = 0, bad = 0;
    if (!f)
        return -1;
    while (getline(&line, &cap, f) > 0) {
        static struct test t;
        char type[64] = "";
        number++;
        if (*line == '#' || *line == '\n')
            continue;
        sscanf(line, "%63s", type);
        run_case(&t, line);
        struct tally *all = tally_of(type);
        all->n++;
        if (t.bad[0]) {
            bad++;
            all->bad++;
            print_message("%s:%d: %s: %s\n", path, number, type, t.bad);
        } else if (loud && t.refuses) {
            print_message("%s:%d: %s refused: %s\n", path, number, type, t.cx.message);
        }
        release(&t);
    }
    free(line);
    fclose(f);
    return bad;
}

static void
run_family(void **state)
{
    assert_int_equal(run_file(*state, false), 0);
}

static const char *
case_folder(void)
{
    static char path[512];
    const char *src = getenv("srcdir");
    snprintf(path, sizeof(path), "%s/tests/forward", src ? src : ".");
    return path;
}

static int
sum_up(int argc, char **argv)
{
    int bad = 0;
    for (int i = 1; i < argc; i++)
        bad += run_file(argv[i], getenv("LOUD") != NULL);
    for (struct tally *t = tally; t->type[0]; t++)
        printf("%-50s %5d cases, %d fail\n", t->type, t->n, t->bad);
    return bad != 0;
}

int
main(int argc, char **argv)
{
    if (argc > 1)
        return sum_up(argc, argv);
    struct CMUnitTest test[64];
    struct dirent **list;
    size_t n = 0;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const int n_file = scandir(case_folder(), &list, NULL, alphasort);
    for (int i = 0; i < n_file && n < QS_LEN(test); i++) {
        const char *dot = strrchr(list[i]->d_name, '.');
        if (!dot || strcmp(dot, ".case") != 0)
            continue;
        char *path = qs_xasprintf("%s/%s", case_folder(), list[i]->d_name);
        test[n++] = (struct CMUnitTest){qs_xasprintf("%.*s operators compute what Paddle computes",
                                                     (int)(dot - list[i]->d_name), list[i]->d_name),
                                        run_family, NULL, NULL, path};
    }
    return n == 0 ? 1 : _cmocka_run_group_tests("forward", test, n, NULL, NULL);
}
