/* SPDX-License-Identifier: Apache-2.0 */
/* Classic nodes from PIR operators: the table and the general rule. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "io/pir.h"

typedef struct pir_reader R;
typedef struct pir_block B;

enum { WORD = 96 };

static const struct pir_row rows[] = {
#define ROW(pir, type, in, out, attr, how) {pir, type, in, out, attr, pir_op_##how},
#include "io/pir_ops.inc"
#undef ROW
};

int
pir_rows(void)
{
    return (int)QS_LEN(rows);
}

int
pir_row_of_type(const char *type)
{
    for (size_t i = 0; i < QS_LEN(rows); i++)
        if (strcmp(rows[i].type, type) == 0)
            return (int)i;
    return -1;
}

static const struct pir_row *
find_row(const char *name, size_t n)
{
    for (size_t i = 0; i < QS_LEN(rows); i++)
        if (strncmp(rows[i].name, name, n) == 0 && rows[i].name[n] == '\0')
            return &rows[i];
    return NULL;
}

const struct pir_row *
pir_find(const char *id, bool *in_place)
{
    const char *name = strncmp(id, "1.", 2) == 0 ? id + 2 : id;
    const size_t n = strlen(name);
    const struct pir_row *row = find_row(name, n);
    *in_place = !row && n > 1 && name[n - 1] == '_';
    return *in_place ? find_row(name, n - 1) : row;
}

/* Words of a row */

static bool
next_word(const char **p, char word[WORD])
{
    *p += strspn(*p, " ");
    const size_t n = strcspn(*p, " ");
    snprintf(word, WORD, "%.*s", (int)n, *p);
    *p += n;
    return n > 0;
}

/* Cuts `word` at the first `c`; what follows, or NULL. */
static char *
cut(char *word, char c)
{
    char *at = word ? strchr(word, c) : NULL;
    if (at)
        *at++ = '\0';
    return at;
}

/* Inputs */

/* The elements of a constant or of a list of one-element constants; -1 when it is neither. An
 * element of a list that is no constant counts as -1, as exporters write it, and clears `whole`. */
static int
constant(R *r, const struct pir_value *v, const struct pir_num **num, bool *whole)
{
    *whole = true;
    if (!v->item) {
        *num = v->num;
        return v->num ? v->n_num : -1;
    }
    struct pir_num *list = qs_arena_calloc(&r->scratch, (size_t)v->n_item + 1, sizeof(*list));
    for (int i = 0; i < v->n_item; i++) {
        const struct pir_value *e = v->item[i];
        const bool known = e->num && e->n_num == 1;
        list[i] = known ? e->num[0] : (struct pir_num){.is_int = true, .i = -1, .d = -1};
        *whole &= known;
    }
    *num = list;
    return v->n_item;
}

/* Numbers for attributes of 32 bits: "to the end" is often written as a 64-bit extreme. */
static const struct pir_num *
clamp(R *r, const struct pir_num *num, int n)
{
    struct pir_num *list = qs_arena_calloc(&r->scratch, (size_t)n + 1, sizeof(*list));
    for (int i = 0; i < n; i++) {
        list[i] = num[i];
        list[i].i = num[i].i > INT32_MAX ? INT32_MAX : num[i].i < INT32_MIN ? INT32_MIN : num[i].i;
    }
    return list;
}

/* The attribute itself names the variables. */
static enum qs_err
add_var_attr(R *r, B *b, struct pir_node *n, const char *name, struct pir_value *v)
{
    const int n_item = v->item ? v->n_item : 1;
    struct qs_bytes *list = qs_arena_calloc(&r->m->arena, (size_t)n_item + 1, sizeof(*list));
    for (int i = 0; i < n_item; i++) {
        int32_t var = -1;
        const enum qs_err err = pir_var(r, b, v->item ? v->item[i] : v, &var);
        if (err)
            return err;
        list[i].p = r->m->var[var].name;
        list[i].n = strlen(list[i].p);
    }
    struct qs_attr *a = pir_new_attr(r, n, name, v->item ? QS_ATTR_VARS : QS_ATTR_VAR);
    if (!v->item)
        a->s = list[0];
    a->n = v->item ? n_item : 0;
    a->bytes = v->item ? list : NULL;
    return QS_OK;
}

/* `spec` is what follows "attr=": T|Tensor|List. */
static enum qs_err
add_folded(R *r, B *b, const struct pir_op *op, struct pir_node *n, const char *name, char *spec,
           struct pir_value *v)
{
    char *tensor = cut(spec, '|'), *list = cut(tensor, '|');
    const struct pir_num *num = NULL;
    bool whole;
    enum qs_err err = pir_spend(r, (int64_t)v->n_item + v->n_num);
    if (err)
        return err;
    const int n_num = constant(r, v, &num, &whole);
    const bool is_list = strchr("ILFD", *spec) != NULL;
    const bool can = n_num >= 0 && n_num <= PIR_FOLD_MOST && (is_list || n_num == 1);
    if (can && (*spec == 'i' || *spec == 'I'))
        num = clamp(r, num, n_num);
    const char *slot = v->item ? list : tensor;
    if (can && (whole || (slot && *slot && *slot != '@'))) {
        err = pir_add_nums(r, op, n, name, *spec, num, n_num);
        if (err || whole)
            return err;
    }
    if (tensor && *tensor == '@')
        return add_var_attr(r, b, n, name, v);
    if (!slot || !*slot)
        return qs_fail(r->cx, QS_ERR_UNSUPPORTED,
                       _("'%s' of operator '%s' is computed by the program, which the classic "
                         "operator '%s' cannot take"),
                       name, op->name, op->row->type);
    return pir_add_value(r, b, n, false, slot, v);
}

static enum qs_err
add_inputs(R *r, B *b, const struct pir_op *op, struct pir_node *n)
{
    const char *p = op->row->in;
    char word[WORD];
    for (int i = 0; i < op->n_in && next_word(&p, word); i++) {
        if (!op->in[i] || strcmp(word, "-") == 0)
            continue;
        char *spec = cut(word, '=');
        const enum qs_err err = spec ? add_folded(r, b, op, n, word, spec, op->in[i])
                                     : pir_add_value(r, b, n, false, word, op->in[i]);
        if (err)
            return err;
    }
    return QS_OK;
}

/* Outputs */

/* Variable that XShape outputs have: a zero and the shape of the input. */
static enum qs_err
add_xshape(R *r, B *b, const struct pir_op *op, struct pir_node *n, const char *slot,
           const char *stem, int k)
{
    int32_t var = -1;
    const char *name = qs_arena_printf(&r->scratch, "%s.tmp_%d", stem, k);
    const json_t *type = op->n_in && op->in[0] && !op->in[0]->item ? op->in[0]->type : NULL;
    const enum qs_err err = pir_new_var(r, b, name, type, &var);
    if (err)
        return err;
    struct qs_var *v = &r->m->var[var];
    if (v->n_dims >= 0) {
        int64_t *dims = qs_arena_calloc(&r->m->arena, (size_t)v->n_dims + 1, sizeof(*dims));
        memcpy(dims + 1, v->dims, (size_t)v->n_dims * sizeof(*dims));
        v->dims = dims;
        v->n_dims++;
    }
    pir_add_slot(r, n, true, slot, &var, 1);
    return QS_OK;
}

static enum qs_err
add_output(R *r, B *b, const struct pir_op *op, struct pir_node *n, char *word, int i,
           const char *stem, int *k)
{
    char *same = cut(word, '=');
    const char *extra = cut(word, '+');
    struct pir_value *v = i < op->n_out ? op->out[i] : NULL;
    if (!v)
        return extra ? add_xshape(r, b, op, n, word, stem, (*k)++) : QS_OK;
    const struct qs_slot *in = same ? pir_in_slot(n, same) : NULL;
    enum qs_err err = QS_OK;
    if (in && in->n == 1)
        pir_bind(v, b, in->var[0]);
    else if (i == 0 && op->in_place && op->n_in > 0 && pir_must_alias(b, op->in[0], v))
        err = pir_alias(r, b, op->in[0], v);
    else
        err = pir_make_result(r, b, v, stem, k);
    if (err)
        return err;
    v->made = true;
    return pir_add_value(r, b, n, true, word, v);
}

static enum qs_err
add_outputs(R *r, B *b, const struct pir_op *op, struct pir_node *n)
{
    const char *p = op->row->out, *stem = pir_stem(r, op->row->type);
    char word[WORD];
    int k = 0;
    for (int i = 0; next_word(&p, word); i++) {
        const enum qs_err err = add_output(r, b, op, n, word, i, stem, &k);
        if (err)
            return err;
    }
    return QS_OK;
}

/* Attributes */

/* What the row says about attribute `name`: its new name in `to`, its letter (0: as it is); false
 * when the classic operator has no such attribute. */
static bool
rename_attr(const char *spec, const char *name, char to[WORD], char *letter)
{
    char word[WORD];
    snprintf(to, WORD, "%s", name);
    *letter = 0;
    while (next_word(&spec, word)) {
        if (*word == '-' && strcmp(word + 1, name) == 0)
            return false;
        const char *type = cut(word, ':'), *renamed = cut(word, '>');
        if (strcmp(word, name) != 0)
            continue;
        snprintf(to, WORD, "%s", renamed ? renamed : name);
        *letter = type ? *type : 0;
    }
    return true;
}

/* The attributes that the row adds. */
static void
add_missing(R *r, const struct pir_op *op, struct pir_node *n)
{
    const char *spec = op->row->attr;
    char word[WORD];
    while (next_word(&spec, word)) {
        char *type = cut(word, ':'), *text = cut(type, '=');
        if (*word != '+' || pir_has_attr(n, word + 1))
            continue;
        const struct pir_num num = {.is_int = true, .i = atoi(text), .d = atof(text)};
        if (*type == 's')
            pir_add_text(r, n, word + 1, text);
        else /* a constant of the table always fits */
            (void)!pir_add_nums(r, op, n, word + 1, *type, &num, *text != '\0');
    }
}

/* Paddle 3 says where in the source a layer is; the classic attribute of that meaning. */
void
pir_add_scope(R *r, struct pir_node *n, const json_t *list)
{
    const struct pir_op op = {.attr = list};
    const json_t *at = pir_attr(&op, "struct_name");
    const char *text = at ? pir_text(at) : NULL;
    if (text && !pir_has_attr(n, "op_namescope"))
        pir_add_text(r, n, "op_namescope", text);
}

static enum qs_err
add_attrs(R *r, const struct pir_op *op, struct pir_node *n)
{
    const size_t count = json_array_size(op->attr);
    for (size_t i = 0; i < count; i++) {
        const json_t *a = json_array_get(op->attr, i);
        const char *name = json_string_value(json_object_get(a, "N"));
        char to[WORD], letter = 0;
        if (!name || strlen(name) >= WORD)
            return qs_fail(r->cx, QS_ERR_FORMAT,
                           _("an attribute of operator '%s' has no name or a very long one"),
                           op->name);
        if (strcmp(name, "struct_name") == 0 ||
            (op->row && !rename_attr(op->row->attr, name, to, &letter)))
            continue;
        if (!op->row)
            snprintf(to, sizeof(to), "%s", name);
        const enum qs_err err = pir_add_attr(r, op, n, to, letter, json_object_get(a, "AT"));
        if (err)
            return err;
    }
    if (op->row)
        add_missing(r, op, n);
    pir_add_scope(r, n, op->attr);
    pir_add_scope(r, n, json_object_get(op->json, "QA"));
    return QS_OK;
}

/* The general rule */

enum qs_err
pir_build(R *r, B *b, const struct pir_op *op, int n_in, int n_out, struct pir_node *n)
{
    *n = pir_start(op->row->type);
    enum qs_err err = pir_need(r, op, n_in, n_out);
    if (!err)
        err = add_inputs(r, b, op, n);
    if (!err)
        err = add_attrs(r, op, n);
    return err ? err : add_outputs(r, b, op, n);
}

enum qs_err
pir_op_plain(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    const enum qs_err err = pir_build(r, b, op, 0, 0, &n);
    if (!err)
        pir_emit(r, b, &n);
    return err;
}

enum qs_err
pir_make_opaque(R *r, B *b, const struct pir_op *op)
{
    /* a name of its own: the classic operator of the same name may have other slots */
    const char *type = qs_arena_printf(&r->scratch, "pd_op.%s", op->name);
    const char *stem = pir_stem(r, type);
    struct pir_node n = pir_start(type);
    enum qs_err err = QS_OK;
    char slot[32] = "X";
    int k = 0;
    for (int i = 0; i < op->n_in && !err; i++) {
        if (op->in[i])
            err = pir_add_value(r, b, &n, false, slot, op->in[i]);
        snprintf(slot, sizeof(slot), "X%d", i + 1);
    }
    for (int i = 0; i < op->n_out && !err; i++) {
        snprintf(slot, sizeof(slot), i ? "Out%d" : "Out", i);
        if (!op->out[i])
            continue;
        err = pir_make_result(r, b, op->out[i], stem, &k);
        op->out[i]->made = !err;
        if (!err)
            err = pir_add_value(r, b, &n, true, slot, op->out[i]);
    }
    if (!err)
        err = add_attrs(r, op, &n);
    if (!err)
        pir_append(r, &b->node, &b->n_node, &b->cap_node, &n, false);
    return err;
}
