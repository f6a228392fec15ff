/* SPDX-License-Identifier: Apache-2.0 */
#include "model/shape_input.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"

/* Image sizes for programs that do not say: those of classifiers, of text line recognisers (a
 * program that squeezes the height away accepts one height only) and of detectors. */
static const struct size {
    int64_t height, width;
} image_size[QS_GUESS_ATTEMPTS] = {{224, 224}, {32, 320}, {48, 320}, {640, 640}, {320, 320}};

enum {
    LINE_HEIGHT_MOST = 64, /* an image of fixed height up to this is a line of text */
    SEQUENCE = 128,        /* tokens or frames */
    CHANNELS = 3,
};

/* Text form */

static enum qs_err
parse_dims(struct qs_ctx *cx, const char *text, const char *dims, struct qs_input_shape *out)
{
    const char *p = dims;
    for (out->n = 0; out->n < QS_RANK_MOST; p++) {
        char *end;
        errno = 0;
        const long long v = strtoll(p, &end, 10);
        if (end == p || *p == '+' || *p == ' ' || errno || v < 1 || v > INT32_MAX)
            break;
        out->d[out->n++] = v;
        p = end;
        if (*p == '\0')
            return QS_OK;
        if (*p != ',' && *p != 'x')
            break;
    }
    return qs_fail(cx, QS_ERR_USAGE,
                   _("'%s' is not a shape: write NAME=1,3,224,224 (at most %d positive sizes)"),
                   text, QS_RANK_MOST);
}

enum qs_err
qs_input_shape_parse(struct qs_ctx *cx, struct qs_arena *arena, const char *text,
                     struct qs_input_shape *out)
{
    const char *equals = strrchr(text, '=');
    *out = (struct qs_input_shape){0};
    if (equals == text)
        return qs_fail(cx, QS_ERR_USAGE, _("'%s' has no input name before the '='"), text);
    if (equals)
        out->name = qs_arena_memdup(arena, text, (size_t)(equals - text));
    return parse_dims(cx, text, equals ? equals + 1 : text, out);
}

/* Inputs and outputs of a model */

struct port {
    int64_t col;
    int32_t var;
    int order;
};

static int
compare_port(const void *a, const void *b)
{
    const struct port *x = a, *y = b;
    if (x->col != y->col)
        return x->col < y->col ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static int
write_ports(struct port *port, int n, int32_t *out, int most)
{
    qsort(port, (size_t)n, sizeof(*port), compare_port);
    for (int i = 0; i < n && i < most; i++)
        out[i] = port[i].var;
    free(port);
    return n;
}

static int
find_ports(const struct qs_model *m, const char *type, struct port **out)
{
    int n = 0;
    *out = NULL;
    if (m->n_block == 0)
        return 0;
    const struct qs_block *b = &m->block[0];
    *out = qs_xmalloc(((size_t)b->n_node + 1) * sizeof(**out));
    for (int i = 0; i < b->n_node; i++) {
        const struct qs_node *node = &b->node[i];
        if (strcmp(node->type, type) != 0)
            continue;
        const int32_t var = strcmp(type, "feed") == 0 ? qs_node_output(node, "Out", 0)
                                                      : qs_node_input(node, "X", 0);
        if (var >= 0)
            (*out)[n] = (struct port){qs_attr_int(node, "col", 0), var, n}, n++;
    }
    return n;
}

int
qs_model_inputs(const struct qs_model *m, int32_t *out, int most)
{
    struct port *port;
    const int n = find_ports(m, "feed", &port);
    return write_ports(port, n, out, most);
}

int
qs_model_outputs(const struct qs_model *m, int32_t *out, int most)
{
    struct port *port;
    const int n = find_ports(m, "fetch", &port);
    return write_ports(port, n, out, most);
}

/* Guesses */

static bool
is_ids(const struct qs_var *v)
{
    return (v->dtype == QS_DTYPE_int64 || v->dtype == QS_DTYPE_int32) && v->n_dims == 2;
}

static bool
any_ids(const struct qs_model *m, const struct qs_guess *g)
{
    for (int i = 0; i < g->n; i++)
        if (is_ids(&m->var[g->var[i]]))
            return true;
    return false;
}

/* Height d[2] and width d[3] of an NCHW image; one that is known says something of the other. */
static void
guess_image(struct qs_guess *g, int attempt, int64_t *d)
{
    const bool no_h = d[2] < 0, no_w = d[3] < 0;
    if (d[1] < 0)
        d[1] = CHANNELS;
    g->image_guessed = g->image_guessed || no_h || no_w;
    if (no_h && no_w) {
        d[2] = image_size[attempt].height;
        d[3] = image_size[attempt].width;
    } else if (no_w) {
        d[3] = d[2] <= LINE_HEIGHT_MOST ? 320 : d[2];
    } else if (no_h) {
        d[2] = d[3];
    }
}

static void
guess_dims(struct qs_guess *g, int attempt, bool text_model, struct qs_shape *x)
{
    if (x->n > 0 && x->d[0] < 0)
        x->d[0] = 1;
    if (x->n == 4 && !text_model)
        guess_image(g, attempt, x->d);
    for (int i = 1; i < x->n; i++)
        if (x->d[i] < 0)
            x->d[i] = SEQUENCE;
}

static void
note_guess(struct qs_guess *g, const char *name, const struct qs_shape *x)
{
    char dims[QS_RANK_MOST * 21 + 8];
    qs_str_printf(&g->text, "%s%s %s", g->text.n ? "; " : "", name,
                  qs_format_dims(dims, sizeof(dims), x->d, x->n));
}

/* From the declaration: unknown dims of a program are negative. No dims at all, or more than
 * rules handle, leave the input unknown. */
static void
declared_shape(const struct qs_model *m, struct qs_guess *g, int i, int attempt, bool has_ids)
{
    const struct qs_var *v = &m->var[g->var[i]];
    struct qs_shape *x = &g->input[i];
    bool guessed = false;
    x->dtype = v->dtype;
    if (v->n_dims < 1 || v->n_dims > QS_RANK_MOST)
        return;
    x->n = v->n_dims;
    for (int k = 0; k < x->n; k++) {
        if (v->dims[k] > INT32_MAX)
            return;
        x->d[k] = v->dims[k];
        guessed = guessed || x->d[k] < 0;
    }
    x->known = true;
    if (!guessed)
        return;
    guess_dims(g, attempt, has_ids, x);
    note_guess(g, v->name, x);
}

static enum qs_err
find_given(struct qs_ctx *cx, const struct qs_model *m, const struct qs_guess *g,
           const struct qs_input_shape *given, int *at)
{
    if (!given->name && g->n == 1) {
        *at = 0;
        return QS_OK;
    }
    if (!given->name)
        return qs_fail(cx, QS_ERR_USAGE, _("the model has %d inputs: write NAME= before the shape"),
                       g->n);
    for (*at = 0; *at < g->n; ++*at)
        if (strcmp(m->var[g->var[*at]].name, given->name) == 0)
            return QS_OK;
    return qs_fail(cx, QS_ERR_NOT_FOUND, _("the model has no input '%s'"), given->name);
}

static enum qs_err
take_given(struct qs_ctx *cx, const struct qs_model *m, struct qs_guess *g,
           const struct qs_input_shape *given)
{
    int at = 0;
    const enum qs_err err = find_given(cx, m, g, given, &at);
    if (err)
        return err;
    const struct qs_var *v = &m->var[g->var[at]];
    struct qs_shape *x = &g->input[at];
    if (v->n_dims > 0 && v->n_dims != given->n)
        return qs_fail(cx, QS_ERR_USAGE, _("input '%s' has %d dimensions, %d are given"), v->name,
                       v->n_dims, given->n);
    *x = (struct qs_shape){.known = true, .dtype = v->dtype, .n = given->n};
    int64_t count = 1;
    for (int i = 0; i < given->n; i++) {
        x->d[i] = given->d[i];
        if (x->d[i] < 0 || x->d[i] > INT32_MAX || __builtin_mul_overflow(count, x->d[i], &count) ||
            count > INT64_C(1) << 40)
            return qs_fail(cx, QS_ERR_USAGE, _("the shape given for input '%s' is out of range"),
                           v->name);
    }
    return QS_OK;
}

/* Declared sizes as they come from a file: too many elements leave the input unknown. */
static void
drop_too_large(struct qs_shape *x)
{
    int64_t count = 1;
    for (int i = 0; i < x->n; i++)
        if (x->d[i] && (__builtin_mul_overflow(count, x->d[i], &count) || count > INT64_C(1) << 40))
            x->known = false;
}

enum qs_err
qs_guess_inputs(struct qs_ctx *cx, const struct qs_model *m, const struct qs_input_shape *given,
                int n_given, int attempt, struct qs_guess *out)
{
    *out = (struct qs_guess){0};
    qs_str_init(&out->text);
    out->n = qs_model_inputs(m, NULL, 0);
    out->var = qs_xmalloc(((size_t)out->n + 1) * sizeof(*out->var));
    out->input = qs_xcalloc((size_t)out->n + 1, sizeof(*out->input));
    qs_model_inputs(m, out->var, out->n);
    for (int i = 0; i < n_given; i++) {
        const enum qs_err err = take_given(cx, m, out, &given[i]);
        if (err)
            return err;
    }
    const bool has_ids = any_ids(m, out);
    for (int i = 0; i < out->n; i++) {
        if (out->input[i].known)
            continue;
        declared_shape(m, out, i, attempt, has_ids);
        drop_too_large(&out->input[i]);
    }
    return QS_OK;
}

void
qs_guess_release(struct qs_guess *g)
{
    free(g->var);
    free(g->input);
    qs_str_release(&g->text);
}
