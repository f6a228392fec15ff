/* SPDX-License-Identifier: Apache-2.0 */
/* Classic nodes from PIR operators: the table, the general rule and the special cases. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "io/pir.h"
#include "model/op.h"

typedef struct pir_reader R;
typedef struct pir_block B;

enum { WORD = 96, FOLD_MOST = 4096 /* elements of a constant that may become an attribute */ };
enum { FULL_MOST = 64 /* the same, of a constant that repeats one number */ };

#define ROW(pir, type, in, out, attr, how) \
    static enum qs_err how(R *r, B *b, const struct pir_op *op) __attribute__((unused));
#include "io/pir_ops.inc"
#undef ROW

static const struct pir_row rows[] = {
#define ROW(pir, type, in, out, attr, how) {pir, type, in, out, attr, how},
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

/* Nodes under construction */

static struct pir_node
start(const char *type)
{
    return (struct pir_node){.node = {.type = type, .is_target = -1}};
}

static void
add_slot(R *r, struct pir_node *n, bool is_out, const char *name, const int32_t *var, int n_var)
{
    struct qs_slot **list = is_out ? &n->out : &n->in;
    int *count = is_out ? &n->node.n_out : &n->node.n_in;
    struct qs_slot *s = qs_arena_grow(&r->m->arena, (void **)list, *count,
                                      is_out ? &n->cap_out : &n->cap_in, sizeof(*s));
    ++*count;
    s->name = qs_arena_strdup(&r->m->arena, name);
    s->n = n_var;
    s->var = (const int32_t *)qs_arena_memdup(&r->m->arena, var, (size_t)n_var * sizeof(*var));
}

static const struct qs_slot *
slot_of(const struct pir_node *n, const char *name)
{
    for (int i = 0; i < n->node.n_in; i++)
        if (strcmp(n->in[i].name, name) == 0)
            return &n->in[i];
    return NULL;
}

/* Programs are written with slots sorted by name. */
static int
compare_slots(const void *a, const void *b)
{
    return strcmp(((const struct qs_slot *)a)->name, ((const struct qs_slot *)b)->name);
}

static void
sort_slots(struct qs_slot *slot, int n)
{
    if (n > 1)
        qsort(slot, (size_t)n, sizeof(*slot), compare_slots);
}

static int
append(R *r, struct qs_node **list, int *n_list, int *cap, struct pir_node *n, bool known)
{
    sort_slots(n->in, n->node.n_in);
    sort_slots(n->out, n->node.n_out);
    struct qs_node *node = qs_arena_grow(&r->scratch, (void **)list, *n_list, cap, sizeof(*node));
    *node = n->node;
    node->type = qs_arena_strdup(&r->m->arena, n->node.type);
    node->op = known ? qs_op_find(node->type) : NULL;
    node->in = n->in;
    node->out = n->out;
    node->attr = n->attr;
    return (*n_list)++;
}

static int
emit(R *r, B *b, struct pir_node *n)
{
    return append(r, &b->node, &b->n_node, &b->cap_node, n, true);
}

/* A node with one input and one output. */
static void
emit_simple(R *r, B *b, const char *type, const char *in_slot, int32_t in, int32_t out)
{
    struct pir_node n = start(type);
    add_slot(r, &n, false, in_slot, &in, 1);
    add_slot(r, &n, true, "Out", &out, 1);
    emit(r, b, &n);
}

/* Inputs */

/* A list or constant is spread wherever it is read: a small file must not become a huge model. */
static enum qs_err
spend(R *r, int64_t n)
{
    if ((size_t)n > r->budget)
        return qs_fail(r->cx, QS_ERR_FORMAT, _("the program repeats its lists too often"));
    r->budget -= (size_t)n;
    return QS_OK;
}

/* A value as a slot: one variable, or those of a list. */
static enum qs_err
add_value(R *r, B *b, struct pir_node *n, bool is_out, const char *slot, struct pir_value *v)
{
    struct pir_value **item = v->item ? v->item : &v;
    const int n_item = v->item ? v->n_item : 1;
    enum qs_err err = spend(r, n_item);
    if (err)
        return err;
    int32_t *var = qs_arena_calloc(&r->scratch, (size_t)n_item + 1, sizeof(*var));
    for (int i = 0; i < n_item; i++) {
        err = pir_var(r, b, item[i], &var[i]);
        if (err)
            return err;
    }
    add_slot(r, n, is_out, slot, var, n_item);
    return QS_OK;
}

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
    enum qs_err err = spend(r, (int64_t)v->n_item + v->n_num);
    if (err)
        return err;
    const int n_num = constant(r, v, &num, &whole);
    const bool is_list = strchr("ILFD", *spec) != NULL;
    const bool can = n_num >= 0 && n_num <= FOLD_MOST && (is_list || n_num == 1);
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
    return add_value(r, b, n, false, slot, v);
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
                                     : add_value(r, b, n, false, word, op->in[i]);
        if (err)
            return err;
    }
    return QS_OK;
}

/* Outputs */

static void
bind(struct pir_value *v, const B *b, int32_t var)
{
    v->var = var;
    v->block = b->idx;
}

/* The elements of a result that is a list become values of their own. */
static enum qs_err
make_items(R *r, B *b, struct pir_value *v, const json_t *list, const char *stem, int *k)
{
    const int n = (int)json_array_size(list);
    v->item = qs_arena_calloc(&r->scratch, (size_t)n + 1, sizeof(struct pir_value *));
    v->n_item = n;
    v->block = b->idx;
    for (int i = 0; i < n; i++) {
        struct pir_value *e = qs_arena_calloc(&r->scratch, 1, sizeof(*e));
        *e = (struct pir_value){.type = json_array_get(list, (size_t)i), .made = true};
        char name[32];
        snprintf(name, sizeof(name), ".tmp_%d", (*k)++);
        int32_t var = -1;
        const char *full = qs_arena_printf(&r->scratch, "%s%s", stem, name);
        const enum qs_err err = pir_new_var(r, b, full, e->type, &var);
        if (err)
            return err;
        bind(e, b, var);
        v->item[i] = e;
    }
    return QS_OK;
}

/* A variable, or several, for a result. */
static enum qs_err
make_result(R *r, B *b, struct pir_value *v, const char *stem, int *k)
{
    const json_t *list = pir_list_type(v->type);
    if (list)
        return make_items(r, b, v, list, stem, k);
    int32_t var = -1;
    const char *name = qs_arena_printf(&r->scratch, "%s.tmp_%d", stem, (*k)++);
    const enum qs_err err = pir_new_var(r, b, name, v->type, &var);
    bind(v, b, var);
    return err;
}

/* Whether the result of an in-place operator must live in the variable of its operand: somebody
 * else reads that, or reads it again in the next round of a loop. */
static bool
must_alias(const B *b, const struct pir_value *in, const struct pir_value *out)
{
    return in && !in->item && (in->uses > 1 || in->block != b->idx) &&
           json_equal(in->type, out->type);
}

static enum qs_err
alias(R *r, B *b, struct pir_value *in, struct pir_value *out)
{
    int32_t var = -1;
    const enum qs_err err = pir_var(r, b, in, &var);
    bind(out, b, var);
    in->num = NULL; /* changed: no constant any more */
    return err;
}

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
    add_slot(r, n, true, slot, &var, 1);
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
    const struct qs_slot *in = same ? slot_of(n, same) : NULL;
    enum qs_err err = QS_OK;
    if (in && in->n == 1)
        bind(v, b, in->var[0]);
    else if (i == 0 && op->in_place && op->n_in > 0 && must_alias(b, op->in[0], v))
        err = alias(r, b, op->in[0], v);
    else
        err = make_result(r, b, v, stem, k);
    if (err)
        return err;
    v->made = true;
    return add_value(r, b, n, true, word, v);
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
static void
add_scope(R *r, struct pir_node *n, const json_t *list)
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
    add_scope(r, n, op->attr);
    add_scope(r, n, json_object_get(op->json, "QA"));
    return QS_OK;
}

/* The general rule */

static enum qs_err
build(R *r, B *b, const struct pir_op *op, struct pir_node *n)
{
    *n = start(op->row->type);
    enum qs_err err = add_inputs(r, b, op, n);
    if (!err)
        err = add_attrs(r, op, n);
    return err ? err : add_outputs(r, b, op, n);
}

static enum qs_err
plain(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    const enum qs_err err = build(r, b, op, &n);
    if (!err)
        emit(r, b, &n);
    return err;
}

enum qs_err
pir_make_opaque(R *r, B *b, const struct pir_op *op)
{
    /* a name of its own: the classic operator of the same name may have other slots */
    const char *type = qs_arena_printf(&r->scratch, "pd_op.%s", op->name);
    const char *stem = pir_stem(r, type);
    struct pir_node n = start(type);
    enum qs_err err = QS_OK;
    char slot[32] = "X";
    int k = 0;
    for (int i = 0; i < op->n_in && !err; i++) {
        if (op->in[i])
            err = add_value(r, b, &n, false, slot, op->in[i]);
        snprintf(slot, sizeof(slot), "X%d", i + 1);
    }
    for (int i = 0; i < op->n_out && !err; i++) {
        snprintf(slot, sizeof(slot), i ? "Out%d" : "Out", i);
        if (!op->out[i])
            continue;
        err = make_result(r, b, op->out[i], stem, &k);
        op->out[i]->made = !err;
        if (!err)
            err = add_value(r, b, &n, true, slot, op->out[i]);
    }
    if (!err)
        err = add_attrs(r, op, &n);
    if (!err)
        append(r, &b->node, &b->n_node, &b->cap_node, &n, false);
    return err;
}

/* Refusals */

static enum qs_err
malformed(R *r, const struct pir_op *op)
{
    return qs_fail(r->cx, QS_ERR_FORMAT, _("operator '%s' is malformed"), op->name);
}

static enum qs_err
need(R *r, const struct pir_op *op, int n_in, int n_out)
{
    bool good = op->n_in >= n_in && op->n_out >= n_out;
    for (int i = 0; good && i < n_in; i++)
        good = op->in[i] != NULL;
    for (int i = 0; good && i < n_out; i++)
        good = op->out[i] != NULL;
    return good ? QS_OK : malformed(r, op);
}

/* Lists */

static enum qs_err
combine(R *r, B *b, const struct pir_op *op)
{
    const enum qs_err err = need(r, op, op->n_in, 1);
    if (err)
        return err;
    struct pir_value *v = op->out[0];
    v->item = qs_arena_calloc(&r->scratch, (size_t)op->n_in + 1, sizeof(struct pir_value *));
    memcpy(v->item, op->in, (size_t)op->n_in * sizeof(struct pir_value *));
    v->n_item = op->n_in;
    v->block = b->idx;
    v->made = true;
    return QS_OK;
}

/* Result `to` is element `i` of the list that the operator reads. */
static enum qs_err
take_item(R *r, B *b, const struct pir_op *op, int64_t i, struct pir_value *to)
{
    const struct pir_value *list = op->in[0];
    if (!list->item || i < 0 || i >= list->n_item)
        return malformed(r, op);
    struct pir_value *e = list->item[i];
    int32_t var = -1;
    const enum qs_err err = pir_var(r, b, e, &var);
    to->var = var;
    to->block = e->block;
    to->num = e->num;
    to->n_num = e->n_num;
    to->made = true;
    return err;
}

static enum qs_err
split(R *r, B *b, const struct pir_op *op)
{
    enum qs_err err = need(r, op, 1, 0);
    for (int i = 0; i < op->n_out && !err; i++)
        if (op->out[i])
            err = take_item(r, b, op, i, op->out[i]);
    return err;
}

static enum qs_err
pick(R *r, B *b, const struct pir_op *op)
{
    struct pir_num *num = NULL;
    int n = 0;
    enum qs_err err = need(r, op, 1, 1);
    if (!err)
        err = pir_nums(r, op, "index", pir_attr(op, "index"), &num, &n);
    if (err || n != 1)
        return err ? err : malformed(r, op);
    return take_item(r, b, op, num->i, op->out[0]);
}

/* Parameters, inputs, outputs */

/* Compressed: "A":[is_distributed,is_parameter,need_clip,name], "OA":[persistable,stop_gradient,
 * trainable]; plain: named attributes. */
static enum qs_err
parameter(R *r, B *b, const struct pir_op *op)
{
    const bool is_plain = pir_attr(op, "parameter_name") != NULL;
    const char *name = is_plain ? pir_text(pir_attr(op, "parameter_name"))
                                : json_string_value(json_array_get(op->attr, 3));
    const enum qs_err wrong = need(r, op, 0, 1);
    if (wrong || !name || !*name)
        return wrong ? wrong : malformed(r, op);
    int32_t var = -1;
    const enum qs_err err = pir_new_var(r, b, name, op->out[0]->type, &var);
    if (err)
        return err;
    struct qs_var *v = &r->m->var[var];
    const json_t *flags = json_object_get(op->json, "OA");
    v->persistable = 1;
    v->is_parameter = is_plain || json_integer_value(json_array_get(op->attr, 1)) == 1;
    v->stop_gradient = !is_plain && json_integer_value(json_array_get(flags, 1)) == 1;
    bind(op->out[0], b, var);
    op->out[0]->made = true;
    return QS_OK;
}

/* The persistable variables that feed and fetch go through. */
static int32_t
holder(R *r, B *b, int32_t *var, const char *name, enum qs_container container)
{
    if (*var >= 0 || pir_new_var(r, b, name, NULL, var))
        return *var;
    struct qs_var *v = &r->m->var[*var];
    v->container = container;
    v->dtype = -1;
    v->n_dims = -1;
    v->persistable = 1;
    return *var;
}

static enum qs_err
column(R *r, const struct pir_op *op, int otherwise, int64_t *col)
{
    const json_t *at = pir_attr(op, "col");
    struct pir_num *num = NULL;
    int n = 0;
    *col = otherwise;
    if (!at)
        return QS_OK;
    const enum qs_err err = pir_nums(r, op, "col", at, &num, &n);
    if (err || n != 1 || !num->is_int || num->i < 0 || num->i > INT32_MAX)
        return err ? err : malformed(r, op);
    *col = num->i;
    return QS_OK;
}

static enum qs_err
only_outside(R *r, const B *b, const struct pir_op *op)
{
    return b->outer
               ? qs_fail(r->cx, QS_ERR_UNSUPPORTED, _("operator '%s' in control flow"), op->name)
               : QS_OK;
}

static enum qs_err
data(R *r, B *b, const struct pir_op *op)
{
    const char *name = pir_text(pir_attr(op, "name"));
    enum qs_err err = need(r, op, 0, 1);
    if (!err)
        err = only_outside(r, b, op);
    if (err || !name || !*name)
        return err ? err : malformed(r, op);
    int64_t col;
    int32_t var = -1;
    err = column(r, op, r->n_feed, &col);
    if (!err)
        err = pir_new_var(r, b, name, op->out[0]->type, &var);
    if (err)
        return err;
    r->m->var[var].need_check_feed = 1;
    r->m->var[var].stop_gradient = 1;
    bind(op->out[0], b, var);
    op->out[0]->made = true;
    const int32_t from = holder(r, b, &r->feed_var, "feed", QS_FEED_MINIBATCH);
    struct pir_node n = start("feed");
    add_slot(r, &n, false, "X", &from, 1);
    add_slot(r, &n, true, "Out", &var, 1);
    pir_add_int(r, &n, "col", QS_ATTR_INT, col);
    append(r, &r->feed, &r->n_feed, &r->cap_feed, &n, true);
    return QS_OK;
}

static enum qs_err
fetch(R *r, B *b, const struct pir_op *op)
{
    int64_t col;
    int32_t var = -1;
    enum qs_err err = need(r, op, 1, 0);
    if (!err)
        err = only_outside(r, b, op);
    if (!err)
        err = column(r, op, r->n_fetch, &col);
    if (!err)
        err = pir_var(r, b, op->in[0], &var);
    if (err)
        return err;
    const int32_t to = holder(r, b, &r->fetch_var, "fetch", QS_FETCH_LIST);
    struct pir_node n = start("fetch");
    add_slot(r, &n, false, "X", &var, 1);
    add_slot(r, &n, true, "Out", &to, 1);
    pir_add_int(r, &n, "col", QS_ATTR_INT, col);
    append(r, &r->fetch, &r->n_fetch, &r->cap_fetch, &n, true);
    if (op->n_out > 0 && op->out[0]) {
        bind(op->out[0], b, var);
        op->out[0]->made = true;
    }
    return QS_OK;
}

/* Constants */

static void
keep_constant(R *r, B *b, const struct pir_op *op, struct pir_node *n, const struct pir_num *num,
              int64_t n_num)
{
    struct pir_value *v = op->out[0];
    v->num = n_num <= FOLD_MOST ? num : NULL;
    v->n_num = n_num <= FOLD_MOST ? (int)n_num : 0;
    v->maker = op->row->type;
    v->made = true;
    v->block = b->idx;
    struct pir_late *late =
        qs_arena_grow(&r->scratch, (void **)&b->late, b->n_late, &b->cap_late, sizeof(*late));
    b->n_late++;
    late->node = emit(r, b, n);
    late->value = v;
}

/* Exact text of a number of this type, as exporters write it. */
static void
add_str_value(R *r, struct pir_node *n, const struct pir_num *num, int32_t dtype)
{
    char text[40];
    if (num->is_int && !qs_dtype_is_float(dtype))
        snprintf(text, sizeof(text), "%" PRId64, num->i);
    else
        snprintf(text, sizeof(text), "%.17g", num->d);
    pir_add_text(r, n, "str_value", text);
    pir_add_int(r, n, "force_cpu", QS_ATTR_BOOLEAN, 0);
    pir_add_int(r, n, "place_type", QS_ATTR_INT, -1);
}

static const struct pir_num *
repeat(R *r, const struct pir_num *num, int64_t n)
{
    struct pir_num *list = qs_arena_calloc(&r->scratch, (size_t)n + 1, sizeof(*list));
    for (int64_t i = 0; i < n; i++)
        list[i] = *num;
    return list;
}

static int64_t
product(const struct pir_num *dim, int n)
{
    int64_t count = 1;
    for (int i = 0; i < n; i++)
        if (dim[i].i < 0 || __builtin_mul_overflow(count, dim[i].i, &count))
            return INT64_MAX;
    return count;
}

static enum qs_err
full(R *r, B *b, const struct pir_op *op)
{
    struct pir_num *shape = NULL, *value = NULL;
    int n_shape = 0, n_value = 0;
    enum qs_err err = need(r, op, 0, 1);
    if (!err)
        err = pir_nums(r, op, "shape", pir_attr(op, "shape"), &shape, &n_shape);
    if (!err)
        err = pir_nums(r, op, "value", pir_attr(op, "value"), &value, &n_value);
    if (err || n_value != 1)
        return err ? err : malformed(r, op);
    struct pir_node n = start(op->row->type);
    const int32_t dtype = pir_dtype_attr(pir_attr(op, "dtype"));
    err = pir_add_nums(r, op, &n, "shape", 'L', shape, n_shape);
    if (err)
        return err;
    pir_add_int(r, &n, "dtype", QS_ATTR_INT, dtype < 0 ? pir_dtype(op->out[0]->type) : dtype);
    pir_new_attr(r, &n, "value", QS_ATTR_FLOAT)->f = (float)value->d;
    add_str_value(r, &n, value, dtype);
    add_scope(r, &n, op->attr);
    const int64_t count = product(shape, n_shape);
    err = spend(r, count <= FULL_MOST ? count : 0);
    if (!err)
        keep_constant(r, b, op, &n, count <= FULL_MOST ? repeat(r, value, count) : NULL,
                      count <= FULL_MOST ? count : 0);
    return err;
}

static const struct value_attr {
    int32_t dtype;
    const char *name;
    char letter;
} value_attrs[] = {
    {QS_DTYPE_float32, "fp32_values", 'F'}, {QS_DTYPE_float64, "fp64_values", 'D'},
    {QS_DTYPE_int32, "int32_values", 'I'},  {QS_DTYPE_int64, "int64_values", 'L'},
    {QS_DTYPE_bool, "bool_values", 'I'},
};

/* The elements go to the attribute of their type. */
static enum qs_err
add_values(R *r, const struct pir_op *op, struct pir_node *n, int32_t dtype,
           const struct pir_num *num, int n_num)
{
    pir_add_int(r, n, "dtype", QS_ATTR_INT, dtype);
    for (size_t i = 0; i < QS_LEN(value_attrs); i++)
        if (value_attrs[i].dtype == dtype)
            return pir_add_nums(r, op, n, value_attrs[i].name, value_attrs[i].letter, num, n_num);
    return qs_fail(r->cx, QS_ERR_UNSUPPORTED,
                   _("operator '%s' makes elements of a type that is not supported"), op->name);
}

static enum qs_err
full_int_array(R *r, B *b, const struct pir_op *op)
{
    struct pir_num *value = NULL;
    int n_value = 0;
    enum qs_err err = need(r, op, 0, 1);
    if (!err)
        err = pir_nums(r, op, "value", pir_attr(op, "value"), &value, &n_value);
    if (err)
        return err;
    struct pir_node n = start(op->row->type);
    const struct pir_num shape = {.is_int = true, .i = n_value};
    const int32_t dtype = pir_dtype_attr(pir_attr(op, "dtype"));
    err = add_values(r, op, &n, dtype, value, n_value);
    if (!err)
        err = pir_add_nums(r, op, &n, "shape", 'I', &shape, 1);
    if (err)
        return err;
    add_scope(r, &n, op->attr);
    keep_constant(r, b, op, &n, value, n_value);
    return QS_OK;
}

static enum qs_err
assign_value(R *r, B *b, const struct pir_op *op)
{
    struct pir_num *value = NULL;
    int n_value = 0, k = 0;
    enum qs_err err = need(r, op, 0, 1);
    if (!err)
        err = pir_nums(r, op, "values", pir_attr(op, "values"), &value, &n_value);
    if (err)
        return err;
    struct pir_node n = start(op->row->type);
    struct pir_value *out = op->out[0], *in = op->n_in ? op->in[0] : NULL;
    err = add_values(r, op, &n, pir_dtype_attr(pir_attr(op, "dtype")), value, n_value);
    if (!err)
        err = pir_add_attr(r, op, &n, "shape", 'I', pir_attr(op, "shape"));
    if (!err)
        err = in && must_alias(b, in, out) ? alias(r, b, in, out)
                                           : make_result(r, b, out, pir_stem(r, n.node.type), &k);
    out->made = true;
    if (!err)
        err = add_value(r, b, &n, true, "Out", out);
    if (err)
        return err;
    add_scope(r, &n, op->attr);
    emit(r, b, &n);
    return QS_OK;
}

static enum qs_err
full_with_tensor(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    enum qs_err err = need(r, op, 2, 1);
    if (!err)
        err = build(r, b, op, &n);
    if (err)
        return err;
    if (op->in[0]->num && op->in[0]->n_num == 1)
        add_str_value(r, &n, op->in[0]->num, pir_dtype_attr(pir_attr(op, "dtype")));
    emit(r, b, &n);
    return QS_OK;
}

/* Finishers */

/* What was the second operand is now the result, in the variable of the second operand. */
static enum qs_err
assign_out(R *r, B *b, const struct pir_op *op)
{
    int32_t from = -1;
    int k = 0;
    enum qs_err err = need(r, op, 2, 1);
    if (!err)
        err = pir_var(r, b, op->in[0], &from);
    if (err)
        return err;
    struct pir_value *out = op->out[0];
    err = must_alias(b, op->in[1], out) ? alias(r, b, op->in[1], out)
                                        : make_result(r, b, out, pir_stem(r, "assign"), &k);
    if (err || out->item)
        return err ? err : malformed(r, op);
    out->made = true;
    emit_simple(r, b, "assign", "X", from, out->var);
    return QS_OK;
}

/* A variable like `like`, of another element type, that a cast makes. */
static enum qs_err
add_cast(R *r, B *b, int32_t from, int32_t to)
{
    struct pir_node n = start("cast");
    add_slot(r, &n, false, "X", &from, 1);
    add_slot(r, &n, true, "Out", &to, 1);
    pir_add_int(r, &n, "in_dtype", QS_ATTR_INT, r->m->var[from].dtype);
    pir_add_int(r, &n, "out_dtype", QS_ATTR_INT, r->m->var[to].dtype);
    emit(r, b, &n);
    return QS_OK;
}

static enum qs_err
var_like(R *r, B *b, const char *type, const json_t *like, int32_t dtype, int32_t *var)
{
    const char *name = qs_arena_printf(&r->scratch, "%s.tmp_0", pir_stem(r, type));
    const enum qs_err err = pir_new_var(r, b, name, like, var);
    if (!err)
        r->m->var[*var].dtype = dtype;
    return err;
}

/* The classic operator gives int32. */
static enum qs_err
shape64(R *r, B *b, const struct pir_op *op)
{
    int32_t in = -1, small = -1, k = 0;
    enum qs_err err = need(r, op, 1, 1);
    if (!err)
        err = pir_var(r, b, op->in[0], &in);
    if (!err)
        err = var_like(r, b, "shape", op->out[0]->type, QS_DTYPE_int32, &small);
    if (!err)
        err = make_result(r, b, op->out[0], pir_stem(r, "cast"), &k);
    if (err || op->out[0]->item)
        return err ? err : malformed(r, op);
    op->out[0]->made = true;
    emit_simple(r, b, "shape", "Input", in, small);
    return add_cast(r, b, small, op->out[0]->var);
}

static enum qs_err
cast(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    enum qs_err err = need(r, op, 1, 1);
    if (!err)
        err = build(r, b, op, &n);
    if (err)
        return err;
    pir_add_int(r, &n, "in_dtype", QS_ATTR_INT, pir_dtype(op->in[0]->type));
    emit(r, b, &n);
    return QS_OK;
}

static struct qs_attr *
find_attr(struct pir_node *n, const char *name)
{
    for (int i = 0; i < n->node.n_attr; i++)
        if (strcmp(n->attr[i].name, name) == 0)
            return &n->attr[i];
    return NULL;
}

/* No axes means all of them, which the classic operators want to be told. */
static enum qs_err
reduce(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    enum qs_err err = need(r, op, 1, 1);
    if (!err)
        err = build(r, b, op, &n);
    if (err)
        return err;
    const struct qs_attr *dim = find_attr(&n, "dim"), *out = find_attr(&n, "out_dtype");
    const bool is_list = dim && (dim->type == QS_ATTR_INTS || dim->type == QS_ATTR_LONGS);
    const int64_t all = !dim || (is_list && dim->n == 0);
    const int64_t in_dtype = out && out->i >= 0 ? pir_dtype(op->in[0]->type) : -1;
    struct qs_attr *given = find_attr(&n, "reduce_all");
    if (given)
        given->i |= all;
    else
        pir_add_int(r, &n, "reduce_all", QS_ATTR_BOOLEAN, all);
    if (!find_attr(&n, "out_dtype"))
        pir_add_int(r, &n, "out_dtype", QS_ATTR_INT, -1);
    pir_add_int(r, &n, "in_dtype", QS_ATTR_INT, in_dtype);
    emit(r, b, &n);
    return QS_OK;
}

/* The variables of a slot, cast to the element type that the classic operator reads. */
static enum qs_err
convert(R *r, B *b, struct pir_node *n, const char *slot, int32_t dtype)
{
    for (int s = 0; s < n->node.n_in; s++) {
        if (strcmp(n->in[s].name, slot) != 0)
            continue;
        int32_t *var = qs_arena_calloc(&r->m->arena, (size_t)n->in[s].n + 1, sizeof(*var));
        for (int i = 0; i < n->in[s].n; i++) {
            const int32_t from = var[i] = n->in[s].var[i];
            if (r->m->var[from].dtype == dtype)
                continue;
            enum qs_err err = var_like(r, b, "cast", NULL, dtype, &var[i]);
            if (err)
                return err;
            r->m->var[var[i]].n_dims = r->m->var[from].n_dims;
            r->m->var[var[i]].dims = r->m->var[from].dims;
            err = add_cast(r, b, from, var[i]);
            if (err)
                return err;
        }
        n->in[s].var = var;
    }
    return QS_OK;
}

static enum qs_err
interp(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    enum qs_err err = build(r, b, op, &n);
    if (!err)
        err = convert(r, b, &n, "OutSize", QS_DTYPE_int32);
    if (!err)
        err = convert(r, b, &n, "SizeTensor", QS_DTYPE_int32);
    if (!err)
        emit(r, b, &n);
    return err;
}

/* The classic operator counts in the type of its inputs. */
static enum qs_err
arange(R *r, B *b, const struct pir_op *op)
{
    static const char *const slots[] = {"Start", "End", "Step"};
    struct pir_node n;
    enum qs_err err = need(r, op, 3, 1);
    if (!err)
        err = build(r, b, op, &n);
    for (size_t i = 0; i < QS_LEN(slots) && !err; i++)
        err = convert(r, b, &n, slots[i], pir_dtype(op->out[0]->type));
    if (!err)
        emit(r, b, &n);
    return err;
}

/* Without a mask it is the operator's first version. */
static enum qs_err
deformable(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    const enum qs_err err = build(r, b, op, &n);
    if (err)
        return err;
    if (!slot_of(&n, "Mask"))
        n.node.type = "deformable_conv_v1";
    emit(r, b, &n);
    return QS_OK;
}

/* infer_flags: 1 for axes with constant bounds, -1 for computed ones. */
static void
set_infer_flags(R *r, struct pir_node *n)
{
    const bool computed = slot_of(n, "StartsTensor") || slot_of(n, "EndsTensor") ||
                          slot_of(n, "StartsTensorList") || slot_of(n, "EndsTensorList") ||
                          slot_of(n, "StridesTensor") || slot_of(n, "StridesTensorList");
    const struct qs_attr *axes = find_attr(n, "axes");
    const int count = axes && axes->type == QS_ATTR_INTS ? axes->n : 0;
    struct qs_attr *flags = find_attr(n, "infer_flags");
    if (flags && !computed)
        return;
    int32_t *list = qs_arena_calloc(&r->m->arena, (size_t)count + 1, sizeof(*list));
    for (int i = 0; i < count; i++)
        list[i] = computed ? -1 : 1;
    if (!flags)
        flags = pir_new_attr(r, n, "infer_flags", QS_ATTR_INTS);
    flags->type = QS_ATTR_INTS;
    flags->n = count;
    flags->ints = list;
}

static enum qs_err
slice(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    const enum qs_err err = build(r, b, op, &n);
    if (err)
        return err;
    set_infer_flags(r, &n);
    emit(r, b, &n);
    return QS_OK;
}

/* Backwards to the very beginning: an end far below zero, for which the classic operator wants -1
 * (it would stop before the first element otherwise). */
static void
set_backward_ends(R *r, struct pir_node *n)
{
    struct qs_attr *ends = find_attr(n, "ends");
    const struct qs_attr *strides = find_attr(n, "strides");
    const bool known = ends && strides && ends->type == QS_ATTR_INTS &&
                       strides->type == QS_ATTR_INTS && ends->n == strides->n;
    if (!known)
        return;
    int32_t *list = qs_arena_calloc(&r->m->arena, (size_t)ends->n + 1, sizeof(*list));
    for (int i = 0; i < ends->n; i++)
        list[i] = strides->ints[i] < 0 && ends->ints[i] < INT32_MIN / 2 ? -1 : ends->ints[i];
    ends->ints = list;
}

static enum qs_err
strided_slice(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    const enum qs_err err = build(r, b, op, &n);
    if (err)
        return err;
    set_infer_flags(r, &n);
    set_backward_ends(r, &n);
    if (!pir_has_attr(&n, "decrease_axis"))
        pir_new_attr(r, &n, "decrease_axis", QS_ATTR_INTS);
    emit(r, b, &n);
    return QS_OK;
}

static enum qs_err
set_value(R *r, B *b, const struct pir_op *op)
{
    struct pir_node n;
    struct pir_num *value = NULL;
    int n_value = 0;
    enum qs_err err = need(r, op, 1, 1);
    if (!err)
        err = build(r, b, op, &n);
    if (err)
        return err;
    const int32_t dtype = pir_dtype(op->in[0]->type);
    const json_t *at = pir_attr(op, "values");
    if (at)
        err = pir_nums(r, op, "values", at, &value, &n_value);
    if (!err)
        pir_add_scalars(r, &n, "values", dtype, value, n_value);
    pir_add_int(r, &n, "dtype", QS_ATTR_INT, dtype);
    if (!err)
        emit(r, b, &n);
    return err;
}

/* Control flow */

static int
compare_ids(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* The variables of outer blocks that the nodes of a finished block read, once each. */
static int32_t *
outer_reads(R *r, int32_t block, int *n)
{
    const struct qs_block *b = &r->m->block[block];
    size_t most = 0;
    for (int i = 0; i < b->n_node; i++)
        for (int s = 0; s < b->node[i].n_in; s++)
            most += (size_t)b->node[i].in[s].n;
    int32_t *list = qs_arena_calloc(&r->scratch, most + 1, sizeof(*list));
    int count = 0;
    for (int i = 0; i < b->n_node; i++)
        for (int s = 0; s < b->node[i].n_in; s++)
            for (int k = 0; k < b->node[i].in[s].n; k++)
                if (r->m->var[b->node[i].in[s].var[k]].block != block)
                    list[count++] = b->node[i].in[s].var[k];
    if (count)
        qsort(list, (size_t)count, sizeof(*list), compare_ids);
    *n = 0;
    for (int i = 0; i < count; i++)
        if (i == 0 || list[i] != list[i - 1])
            list[(*n)++] = list[i];
    return list;
}

static enum qs_err
scope_var(R *r, B *b, const char *type, int32_t *var)
{
    const char *name = qs_arena_printf(&r->scratch, "%s.scope", pir_stem(r, type));
    const enum qs_err err = pir_new_var(r, b, name, NULL, var);
    if (err)
        return err;
    r->m->var[*var].container = QS_STEP_SCOPES;
    r->m->var[*var].dtype = -1;
    return QS_OK;
}

static enum qs_err
open_block(R *r, B *outer, const struct pir_op *op, int region, B *inner, const json_t **json)
{
    if (outer->depth >= PIR_NESTING_MOST)
        return qs_fail(r->cx, QS_ERR_FORMAT, _("control flow is nested more than %d deep"),
                       PIR_NESTING_MOST);
    const enum qs_err err = pir_region(r, op, region, json);
    *inner = (B){.outer = outer, .depth = outer->depth + 1, .idx = r->m->n_block++};
    return err;
}

/* Region `i` as a conditional_block that leaves its results in `result`. */
static enum qs_err
branch(R *r, B *b, const struct pir_op *op, int i, int32_t cond, const int32_t *result)
{
    B inner;
    const json_t *json = NULL;
    struct pir_value **yield = NULL;
    int n_yield = 0, n_read = 0;
    enum qs_err err = open_block(r, b, op, i, &inner, &json);
    if (!err)
        err = pir_read_ops(r, &inner, json_object_get(json, "ops"), &yield, &n_yield);
    if (!err && n_yield != op->n_out)
        err = malformed(r, op);
    for (int k = 0; k < n_yield && !err; k++) {
        int32_t var = -1;
        err = yield[k] ? pir_var(r, &inner, yield[k], &var) : malformed(r, op);
        if (!err)
            emit_simple(r, &inner, "assign", "X", var, result[k]);
    }
    int32_t scope = -1;
    if (!err)
        err = pir_finish(r, &inner);
    if (!err)
        err = scope_var(r, b, "conditional_block", &scope);
    if (err)
        return err;
    struct pir_node n = start("conditional_block");
    const int32_t *read = outer_reads(r, inner.idx, &n_read);
    add_slot(r, &n, false, "Cond", &cond, 1);
    add_slot(r, &n, false, "Input", read, n_read);
    add_slot(r, &n, true, "Out", result, op->n_out);
    add_slot(r, &n, true, "Scope", &scope, 1);
    pir_add_int(r, &n, "is_scalar_condition", QS_ATTR_BOOLEAN, 1);
    pir_add_int(r, &n, "sub_block", QS_ATTR_BLOCK, inner.idx);
    emit(r, b, &n);
    return QS_OK;
}

/* Two conditional blocks, on the condition and on its opposite, that write the same variables. */
static enum qs_err
if_else(R *r, B *b, const struct pir_op *op)
{
    int32_t cond = -1, no = -1;
    int k = 0;
    int32_t *result = qs_arena_calloc(&r->scratch, (size_t)op->n_out + 1, sizeof(*result));
    const char *stem = pir_stem(r, "conditional_block");
    enum qs_err err = need(r, op, 1, op->n_out);
    if (!err)
        err = pir_var(r, b, op->in[0], &cond);
    for (int i = 0; i < op->n_out && !err; i++) {
        err = make_result(r, b, op->out[i], stem, &k);
        if (!err && op->out[i]->item)
            err = malformed(r, op);
        result[i] = op->out[i]->var;
    }
    if (!err)
        err = branch(r, b, op, 0, cond, result);
    if (!err)
        err = var_like(r, b, "logical_not", op->in[0]->type, QS_DTYPE_bool, &no);
    if (err)
        return err;
    emit_simple(r, b, "logical_not", "X", cond, no);
    err = branch(r, b, op, 1, no, result);
    for (int i = 0; i < op->n_out && !err; i++)
        op->out[i]->made = true;
    return err;
}

/* The variables that a loop carries: copies of what goes in; block arguments and results. */
static enum qs_err
carry(R *r, B *b, const struct pir_op *op, B *inner, const json_t *args, int32_t *var)
{
    const char *stem = pir_stem(r, "while");
    enum qs_err err = need(r, op, op->n_in, op->n_out);
    if (!err && (op->n_in != op->n_out + 1 || (int)json_array_size(args) != op->n_out))
        err = malformed(r, op);
    int k = 0;
    for (int i = 0; i < op->n_in && !err; i++) {
        const char *name = qs_arena_printf(&r->scratch, "%s.tmp_%d", stem, k++);
        int32_t from = -1;
        err = pir_var(r, b, op->in[i], &from);
        if (!err)
            err = pir_new_var(r, b, name, op->in[i]->type, &var[i]);
        if (err)
            break;
        emit_simple(r, b, "assign", "X", from, var[i]);
        if (i == 0)
            continue;
        struct pir_value *arg = pir_value_of(r, json_array_get(args, (size_t)i - 1));
        if (!arg)
            return malformed(r, op);
        bind(arg, b, var[i]);
        arg->block = inner->idx; /* it is read there only */
        arg->made = true;
    }
    return err;
}

/* The yielded values replace the carried ones, all at once: those that are carried variables
 * themselves go through copies. */
static enum qs_err
renew(R *r, B *inner, const struct pir_op *op, const int32_t *var, struct pir_value **yield,
      int n_yield)
{
    if (n_yield != op->n_in)
        return malformed(r, op);
    int32_t *from = qs_arena_calloc(&r->scratch, (size_t)n_yield + 1, sizeof(*from));
    for (int i = 0; i < n_yield; i++) {
        enum qs_err err = yield[i] ? pir_var(r, inner, yield[i], &from[i]) : malformed(r, op);
        if (err)
            return err;
        const struct qs_var *v = &r->m->var[from[i]];
        if (v->block == inner->idx || from[i] == var[i])
            continue;
        int32_t copy = -1;
        err = var_like(r, inner, "assign", yield[i]->type, v->dtype, &copy);
        if (err)
            return err;
        emit_simple(r, inner, "assign", "X", from[i], copy);
        from[i] = copy;
    }
    for (int i = 0; i < n_yield; i++)
        if (from[i] != var[i])
            emit_simple(r, inner, "assign", "X", from[i], var[i]);
    return QS_OK;
}

static enum qs_err
while_loop(R *r, B *b, const struct pir_op *op)
{
    B inner;
    const json_t *json = NULL;
    struct pir_value **yield = NULL;
    int n_yield = 0, n_read = 0;
    int32_t scope = -1;
    int32_t *var = qs_arena_calloc(&r->scratch, (size_t)op->n_in + 1, sizeof(*var));
    enum qs_err err = need(r, op, 1, 0);
    if (!err)
        err = open_block(r, b, op, 0, &inner, &json);
    if (!err)
        err = carry(r, b, op, &inner, json_object_get(json, "args"), var);
    if (!err)
        err = pir_read_ops(r, &inner, json_object_get(json, "ops"), &yield, &n_yield);
    if (!err)
        err = renew(r, &inner, op, var, yield, n_yield);
    if (!err)
        err = pir_finish(r, &inner);
    if (!err)
        err = scope_var(r, b, "while", &scope);
    if (err)
        return err;
    struct pir_node n = start("while");
    const int32_t *read = outer_reads(r, inner.idx, &n_read);
    add_slot(r, &n, false, "X", read, n_read);
    add_slot(r, &n, false, "Condition", var, 1);
    add_slot(r, &n, true, "Out", var + 1, op->n_out);
    add_slot(r, &n, true, "StepScopes", &scope, 1);
    pir_add_int(r, &n, "is_test", QS_ATTR_BOOLEAN, 1);
    pir_add_int(r, &n, "sub_block", QS_ATTR_BLOCK, inner.idx);
    emit(r, b, &n);
    for (int i = 0; i < op->n_out; i++) {
        bind(op->out[i], b, var[i + 1]);
        op->out[i]->made = true;
    }
    return QS_OK;
}
