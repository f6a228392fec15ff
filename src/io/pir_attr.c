/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "io/framework.pb-c.h"
#include "io/pir.h"
#include "io/wire.h"

enum kind {
    KIND_UNKNOWN,
    KIND_NONE,
    KIND_NUMBER,
    KIND_NUMBERS,
    KIND_TEXT,
    KIND_DTYPE,
    KIND_ARRAY,
    KIND_SCALAR
};

static const struct attr_kind {
    const char *id;
    enum kind kind;
    char letter; /* of the classic attribute */
} kinds[] = {
    {"0.a_bool", KIND_NUMBER, 'b'},      {"0.a_i32", KIND_NUMBER, 'i'},
    {"0.a_i64", KIND_NUMBER, 'l'},       {"0.a_index", KIND_NUMBER, 'l'},
    {"0.a_f32", KIND_NUMBER, 'f'},       {"0.a_f64", KIND_NUMBER, 'd'},
    {"0.a_str", KIND_TEXT, 's'},         {"0.a_tensorname", KIND_TEXT, 's'},
    {"1.a_layout", KIND_TEXT, 's'},      {"1.a_dtype", KIND_DTYPE, 'i'},
    {"1.a_intarray", KIND_NUMBERS, 'L'}, {"0.a_array", KIND_ARRAY, 'I'},
    {"1.a_scalar", KIND_SCALAR, 'd'},    {"1.a_place", KIND_NONE, 0},
    {"0.a_type", KIND_NONE, 0},          {"0.a_pointer", KIND_NONE, 0},
};

static const struct attr_type {
    char letter;
    enum qs_attr_type type, list; /* list: what an array of such elements is */
} types[] = {
    {'b', QS_ATTR_BOOLEAN, QS_ATTR_BOOLEANS}, {'i', QS_ATTR_INT, QS_ATTR_INTS},
    {'l', QS_ATTR_LONG, QS_ATTR_LONGS},       {'f', QS_ATTR_FLOAT, QS_ATTR_FLOATS},
    {'d', QS_ATTR_FLOAT64, QS_ATTR_FLOAT64S}, {'s', QS_ATTR_STRING, QS_ATTR_STRINGS},
    {'I', QS_ATTR_INTS, QS_ATTR_INTS},        {'L', QS_ATTR_LONGS, QS_ATTR_LONGS},
    {'F', QS_ATTR_FLOATS, QS_ATTR_FLOATS},    {'D', QS_ATTR_FLOAT64S, QS_ATTR_FLOAT64S},
};

static const struct attr_kind *
find_kind(const json_t *at)
{
    static const struct attr_kind unknown = {"", KIND_UNKNOWN, 0};
    const char *id = json_string_value(json_object_get(at, "#"));
    for (size_t i = 0; id && i < QS_LEN(kinds); i++)
        if (strcmp(kinds[i].id, id) == 0)
            return &kinds[i];
    return &unknown;
}

static const struct attr_type *
find_type(char letter)
{
    for (size_t i = 0; i < QS_LEN(types); i++)
        if (types[i].letter == letter)
            return &types[i];
    return NULL;
}

static enum qs_err
wrong(struct pir_reader *r, const struct pir_op *op, const char *name)
{
    return qs_fail(r->cx, QS_ERR_FORMAT, _("attribute '%s' of operator '%s' has a wrong value"),
                   name, op->name);
}

const json_t *
pir_attr(const struct pir_op *op, const char *name)
{
    const size_t n = json_array_size(op->attr);
    for (size_t i = 0; i < n; i++) {
        const json_t *a = json_array_get(op->attr, i);
        const char *s = json_string_value(json_object_get(a, "N"));
        if (s && strcmp(s, name) == 0)
            return json_object_get(a, "AT");
    }
    return NULL;
}

const char *
pir_text(const json_t *at)
{
    const enum kind kind = find_kind(at)->kind;
    return kind == KIND_TEXT ? json_string_value(json_object_get(at, "D")) : NULL;
}

int32_t
pir_dtype_attr(const json_t *at)
{
    const char *s = json_string_value(json_object_get(at, "D"));
    return s ? qs_dtype_parse(s) : -1;
}

/* Numbers */

static struct pir_num
num_of_double(double d)
{
    struct pir_num num = {.d = d};
    if (isnan(d))
        return num;
    const double limit = 9223372036854775808.0;
    num.i = d >= limit ? INT64_MAX : d <= -limit ? INT64_MIN : (int64_t)d;
    num.is_int = d > -limit && d < limit && (double)num.i == d;
    return num;
}

/* A JSON number, boolean, or number in words ("-inf", "nan", "1e5"). */
static bool
read_num(const json_t *j, struct pir_num *num)
{
    if (json_is_integer(j) || json_is_boolean(j)) {
        num->i = json_is_integer(j) ? json_integer_value(j) : json_is_true(j);
        num->d = (double)num->i;
        num->is_int = true;
        return true;
    }
    if (json_is_real(j)) {
        *num = num_of_double(json_real_value(j));
        return true;
    }
    const char *s = json_string_value(j);
    char *end = NULL;
    const double d = s ? strtod(s, &end) : 0;
    *num = num_of_double(d);
    return s && end != s && *end == '\0';
}

/* {"#":kind,"D":number}, where newer writers put what JSON cannot say under "VD". */
static bool
read_element(const json_t *at, struct pir_num *num)
{
    if (!json_is_object(at))
        return read_num(at, num);
    const json_t *d = json_object_get(at, "D");
    if (find_kind(at)->kind == KIND_SCALAR)
        d = json_array_get(d, 1);
    return read_num(d ? d : json_object_get(at, "VD"), num);
}

static enum qs_err
nums_of(struct pir_reader *r, const struct pir_op *op, const char *name, const json_t *at,
        struct pir_num **num, int *n)
{
    const json_t *d = json_object_get(at, "D");
    const enum kind kind = find_kind(at)->kind;
    const bool is_list = kind == KIND_ARRAY || kind == KIND_NUMBERS;
    if (is_list && !json_is_array(d))
        return wrong(r, op, name);
    const size_t count = is_list ? json_array_size(d) : 1;
    struct pir_num *list = qs_arena_calloc(&r->scratch, count + 1, sizeof(*list));
    for (size_t i = 0; i < count; i++)
        if (!read_element(is_list ? json_array_get(d, i) : at, &list[i]))
            return wrong(r, op, name);
    *num = list;
    *n = (int)count;
    return QS_OK;
}

enum qs_err
pir_attr_nums(struct pir_reader *r, const struct pir_op *op, const char *name, struct pir_num **num,
              int *n)
{
    return nums_of(r, op, name, pir_attr(op, name), num, n);
}

/* Adding */

struct qs_attr *
pir_new_attr(struct pir_reader *r, struct pir_node *n, const char *name, enum qs_attr_type type)
{
    struct qs_attr *a =
        qs_arena_grow(&r->m->arena, (void **)&n->attr, n->node.n_attr, &n->cap_attr, sizeof(*a));
    n->node.n_attr++;
    a->name = qs_arena_strdup(&r->m->arena, name);
    a->type = type;
    return a;
}

struct qs_attr *
pir_find_attr(const struct pir_node *n, const char *name)
{
    for (int i = 0; i < n->node.n_attr; i++)
        if (strcmp(n->attr[i].name, name) == 0)
            return &n->attr[i];
    return NULL;
}

bool
pir_has_attr(const struct pir_node *n, const char *name)
{
    return pir_find_attr(n, name) != NULL;
}

void
pir_add_int(struct pir_reader *r, struct pir_node *n, const char *name, enum qs_attr_type type,
            int64_t v)
{
    pir_new_attr(r, n, name, type)->i = v;
}

void
pir_add_text(struct pir_reader *r, struct pir_node *n, const char *name, const char *text)
{
    struct qs_attr *a = pir_new_attr(r, n, name, QS_ATTR_STRING);
    a->s.n = strlen(text);
    a->s.p = qs_arena_memdup(&r->m->arena, text, a->s.n);
}

static bool
fits(const struct pir_num *num, enum qs_attr_type type)
{
    switch (type) {
    case QS_ATTR_BOOLEAN:
    case QS_ATTR_BOOLEANS:
        return num->is_int && (num->i == 0 || num->i == 1);
    case QS_ATTR_INT:
    case QS_ATTR_INTS:
        return num->is_int && num->i >= INT32_MIN && num->i <= INT32_MAX;
    case QS_ATTR_LONG:
    case QS_ATTR_LONGS:
        return num->is_int;
    case QS_ATTR_FLOAT:
    case QS_ATTR_FLOATS:
    case QS_ATTR_FLOAT64:
    case QS_ATTR_FLOAT64S:
        return true;
    case QS_ATTR_STRING:
    case QS_ATTR_STRINGS:
    case QS_ATTR_BLOCK:
    case QS_ATTR_BLOCKS:
    case QS_ATTR_VAR:
    case QS_ATTR_VARS:
    case QS_ATTR_SCALAR:
    case QS_ATTR_SCALARS:
        break;
    }
    return false;
}

/* The elements as an array of the list type. */
static const void *
make_list(struct qs_arena *arena, enum qs_attr_type type, const struct pir_num *num, int n)
{
    int64_t *longs = qs_arena_calloc(arena, (size_t)n + 1, sizeof(*longs));
    int32_t *ints = (int32_t *)longs;
    float *floats = (float *)longs;
    double *doubles = (double *)longs;
    for (int i = 0; i < n; i++)
        if (type == QS_ATTR_LONGS)
            longs[i] = num[i].i;
        else if (type == QS_ATTR_FLOATS)
            floats[i] = (float)num[i].d;
        else if (type == QS_ATTR_FLOAT64S)
            doubles[i] = num[i].d;
        else
            ints[i] = (int32_t)num[i].i;
    return longs;
}

static bool
is_scalar(enum qs_attr_type type)
{
    return type == QS_ATTR_BOOLEAN || type == QS_ATTR_INT || type == QS_ATTR_LONG ||
           type == QS_ATTR_FLOAT || type == QS_ATTR_FLOAT64;
}

static enum qs_err
add_typed(struct pir_reader *r, const struct pir_op *op, struct pir_node *n, const char *name,
          enum qs_attr_type type, const struct pir_num *num, int n_num)
{
    if (is_scalar(type) && n_num != 1)
        return wrong(r, op, name);
    for (int i = 0; i < n_num; i++)
        if (!fits(&num[i], type))
            return wrong(r, op, name);
    struct qs_attr *a = pir_new_attr(r, n, name, type);
    if (is_scalar(type)) {
        a->i = num->i;
        a->f = (float)num->d;
        a->d = num->d;
        return QS_OK;
    }
    a->n = n_num;
    a->longs = make_list(&r->m->arena, type, num, n_num);
    return QS_OK;
}

enum qs_err
pir_add_nums(struct pir_reader *r, const struct pir_op *op, struct pir_node *n, const char *name,
             char letter, const struct pir_num *num, int n_num)
{
    return add_typed(r, op, n, name, find_type(letter)->type, num, n_num);
}

/* Scalars are kept as the bytes of their message. Types of a scalar: BOOLEAN 1, LONG 2, FLOAT64 3.
 */
static PaddlePb__Scalar *
make_scalar(struct pir_reader *r, const struct pir_num *num, int32_t dtype)
{
    PaddlePb__Scalar *s = qs_arena_alloc(&r->scratch, sizeof(*s));
    paddle_pb__scalar__init(s);
    s->has_r = qs_dtype_is_float(dtype);
    s->has_b = dtype == QS_DTYPE_bool;
    s->has_i = !s->has_r && !s->has_b;
    s->type = s->has_r ? 3 : s->has_b ? 1 : 2;
    s->r = num->d;
    s->i = num->i;
    s->b = num->i != 0;
    return s;
}

void
pir_add_scalars(struct pir_reader *r, struct pir_node *n, const char *name, int32_t dtype,
                const struct pir_num *num, int n_num)
{
    PaddlePb__OpAttr msg = PADDLE_PB__OP_ATTR__INIT;
    msg.name = (char *)name;
    msg.type = QS_ATTR_SCALARS;
    msg.n_scalars = (size_t)n_num;
    msg.scalars = qs_arena_calloc(&r->scratch, (size_t)n_num + 1, sizeof(*msg.scalars));
    for (int i = 0; i < n_num; i++)
        msg.scalars[i] = make_scalar(r, &num[i], dtype);
    pir_new_attr(r, n, name, QS_ATTR_SCALARS)->raw = qs_wire_keep(&r->m->arena, &msg.base);
}

static enum qs_err
add_texts(struct pir_reader *r, const struct pir_op *op, struct pir_node *n, const char *name,
          const json_t *list)
{
    const size_t count = json_array_size(list);
    struct qs_bytes *text = qs_arena_calloc(&r->m->arena, count + 1, sizeof(*text));
    for (size_t i = 0; i < count; i++) {
        const char *s = pir_text(json_array_get(list, i));
        if (!s)
            return wrong(r, op, name);
        text[i].n = strlen(s);
        text[i].p = qs_arena_memdup(&r->m->arena, s, text[i].n);
    }
    struct qs_attr *a = pir_new_attr(r, n, name, QS_ATTR_STRINGS);
    a->n = (int)count;
    a->bytes = text;
    return QS_OK;
}

/* The letter of an array: that of its widest element, so that mixed numbers keep their values. */
static char
array_letter(const json_t *list)
{
    static const char order[] = "bilfd";
    const char *widest = order;
    const size_t n = json_array_size(list);
    for (size_t i = 0; i < n; i++) {
        const char letter = find_kind(json_array_get(list, i))->letter;
        const char *at = letter ? strchr(order, letter) : NULL;
        if (!at)
            return letter == 's' ? 's' : 'i';
        widest = at > widest ? at : widest;
    }
    return n ? *widest : 'i';
}

static enum qs_err
add_array(struct pir_reader *r, const struct pir_op *op, struct pir_node *n, const char *name,
          char letter, const json_t *at)
{
    const json_t *list = json_object_get(at, "D");
    struct pir_num *num = NULL;
    int n_num = 0;
    if (!letter && array_letter(list) == 's')
        return add_texts(r, op, n, name, list);
    const enum qs_err err = nums_of(r, op, name, at, &num, &n_num);
    if (err)
        return err;
    const enum qs_attr_type type =
        letter ? find_type(letter)->type : find_type(array_letter(list))->list;
    return add_typed(r, op, n, name, type, num, n_num);
}

static enum qs_err
add_numbers(struct pir_reader *r, const struct pir_op *op, struct pir_node *n, const char *name,
            char letter, const json_t *at)
{
    struct pir_num *num = NULL;
    int n_num = 0;
    const enum qs_err err = nums_of(r, op, name, at, &num, &n_num);
    return err ? err : pir_add_nums(r, op, n, name, letter, num, n_num);
}

enum qs_err
pir_add_attr(struct pir_reader *r, const struct pir_op *op, struct pir_node *n, const char *name,
             char letter, const json_t *at)
{
    const struct attr_kind *k = find_kind(at);
    const char *text = json_string_value(json_object_get(at, "D"));
    const char as = letter ? letter : k->letter;
    switch (k->kind) {
    case KIND_NONE:
        return QS_OK;
    case KIND_TEXT:
        if (!text)
            return wrong(r, op, name);
        pir_add_text(r, n, name, text);
        return QS_OK;
    case KIND_DTYPE:
        if (!text)
            return wrong(r, op, name);
        pir_add_int(r, n, name, QS_ATTR_INT, qs_dtype_parse(text));
        return QS_OK;
    case KIND_NUMBER:
    case KIND_NUMBERS:
    case KIND_SCALAR:
        return add_numbers(r, op, n, name, as, at);
    case KIND_ARRAY:
        return add_array(r, op, n, name, letter, at);
    case KIND_UNKNOWN:
        break;
    }
    return qs_fail(r->cx, QS_ERR_UNSUPPORTED,
                   _("attribute '%s' of operator '%s' is of a kind that is not supported"), name,
                   op->name);
}
