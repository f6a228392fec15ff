/* SPDX-License-Identifier: Apache-2.0 */
#include "model/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { LIST_MOST = 16 };

static const char *const bookkeeping[] = {
    "op_role", "op_role_var", "op_namescope", "op_callstack", "op_device", "with_quant_attr",
};

bool
qs_text_is_bookkeeping(const char *attr)
{
    for (size_t i = 0; i < QS_LEN(bookkeeping); i++)
        if (strcmp(attr, bookkeeping[i]) == 0)
            return true;
    return false;
}

static void
add_text(struct qs_bytes b, int most, struct qs_str *out)
{
    const size_t n = most && b.n > (size_t)most ? (size_t)most : b.n;
    qs_str_add(out, "\"");
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)b.p[i];
        if (c == '"' || c == '\\')
            qs_str_printf(out, "\\%c", c);
        else if (c == '\n')
            qs_str_add(out, "\\n");
        else if (c < 0x20 || c == 0x7F)
            qs_str_printf(out, "\\x%02x", c);
        else
            qs_str_addn(out, (const char *)&c, 1);
    }
    qs_str_add(out, n < b.n ? "...\"" : "\"");
}

static void
add_element(const struct qs_attr *a, int i, int most, struct qs_str *out)
{
    switch (a->type) {
    case QS_ATTR_INTS:
    case QS_ATTR_BLOCKS:
        qs_str_printf(out, "%" PRId32, a->ints[i]);
        break;
    case QS_ATTR_FLOATS:
        qs_str_printf(out, "%.9g", a->floats[i]);
        break;
    case QS_ATTR_STRINGS:
    case QS_ATTR_VARS:
        add_text(a->bytes[i], most, out);
        break;
    case QS_ATTR_BOOLEANS:
        qs_str_add(out, a->bools[i] ? "true" : "false");
        break;
    case QS_ATTR_LONGS:
        qs_str_printf(out, "%" PRId64, a->longs[i]);
        break;
    case QS_ATTR_FLOAT64S:
        qs_str_printf(out, "%.17g", a->doubles[i]);
        break;
    case QS_ATTR_INT:
    case QS_ATTR_FLOAT:
    case QS_ATTR_STRING:
    case QS_ATTR_BOOLEAN:
    case QS_ATTR_BLOCK:
    case QS_ATTR_LONG:
    case QS_ATTR_VAR:
    case QS_ATTR_FLOAT64:
    case QS_ATTR_SCALAR:
    case QS_ATTR_SCALARS:
        break; /* no lists */
    }
}

static void
add_list(const struct qs_attr *a, int most, struct qs_str *out)
{
    const int n = most && a->n > LIST_MOST ? LIST_MOST : a->n;
    qs_str_add(out, "[");
    for (int i = 0; i < n; i++) {
        qs_str_add(out, i ? "," : "");
        add_element(a, i, most, out);
    }
    if (n < a->n)
        qs_str_printf(out, ",... %d in all", a->n);
    qs_str_add(out, "]");
}

void
qs_text_attr(const struct qs_attr *a, int most, struct qs_str *out)
{
    if (a->raw.p) {
        qs_str_printf(out, "<type %d, %zu bytes>", (int)a->type, a->raw.n);
        return;
    }
    switch (a->type) {
    case QS_ATTR_INT:
    case QS_ATTR_LONG:
        qs_str_printf(out, "%" PRId64, a->i);
        break;
    case QS_ATTR_BOOLEAN:
        qs_str_add(out, a->i ? "true" : "false");
        break;
    case QS_ATTR_BLOCK:
        qs_str_printf(out, "block %" PRId64, a->i);
        break;
    case QS_ATTR_FLOAT:
        qs_str_printf(out, "%.9g", a->f);
        break;
    case QS_ATTR_FLOAT64:
        qs_str_printf(out, "%.17g", a->d);
        break;
    case QS_ATTR_STRING:
    case QS_ATTR_VAR:
        add_text(a->s, most, out);
        break;
    case QS_ATTR_INTS:
    case QS_ATTR_FLOATS:
    case QS_ATTR_STRINGS:
    case QS_ATTR_BOOLEANS:
    case QS_ATTR_BLOCKS:
    case QS_ATTR_LONGS:
    case QS_ATTR_FLOAT64S:
    case QS_ATTR_VARS:
        add_list(a, most, out);
        break;
    case QS_ATTR_SCALAR:
    case QS_ATTR_SCALARS:
        break; /* raw */
    }
}

static void
add_names(const struct qs_model *m, const struct qs_slot *slot, int n, struct qs_str *out)
{
    for (int s = 0; s < n; s++) {
        qs_str_add(out, s ? ", " : "");
        qs_str_add_printable(out, slot[s].name);
        qs_str_add(out, ":");
        for (int k = 0; k < slot[s].n; k++) {
            qs_str_add(out, " ");
            qs_str_add_printable(out, m->var[slot[s].var[k]].name);
        }
    }
}

void
qs_text_node(const struct qs_model *m, const struct qs_node *node, bool all_attrs,
             struct qs_str *out)
{
    qs_str_add_printable(out, node->type);
    qs_str_add(out, "(");
    add_names(m, node->in, node->n_in, out);
    qs_str_add(out, ") -> (");
    add_names(m, node->out, node->n_out, out);
    qs_str_add(out, ")");
    for (int i = 0; i < node->n_attr; i++) {
        if (!all_attrs && qs_text_is_bookkeeping(node->attr[i].name))
            continue;
        qs_str_add(out, " ");
        qs_str_add_printable(out, node->attr[i].name);
        qs_str_add(out, "=");
        qs_text_attr(&node->attr[i], all_attrs ? 0 : 64, out);
    }
}

static void
add_var(const struct qs_var *v, struct qs_str *out)
{
    char dims[128] = "?";
    const struct qs_tensor *t = v->data;
    const int32_t dtype = t ? t->dtype : v->dtype;
    if (t)
        qs_format_dims(dims, sizeof(dims), t->dims, t->n_dims);
    else if (v->n_dims >= 0)
        qs_format_dims(dims, sizeof(dims), v->dims, v->n_dims);
    qs_str_add(out, qs_var_is_param(v) ? "  param " : "  var ");
    qs_str_add_printable(out, v->name);
    if (v->container == QS_LOD_TENSOR && qs_dtype_name(dtype))
        qs_str_printf(out, " %s %s", qs_dtype_name(dtype), dims);
    else
        qs_str_printf(out, " type %d", v->container);
    qs_str_add(out, "\n");
}

void
qs_text_model(const struct qs_model *m, bool all_attrs, struct qs_str *out)
{
    qs_str_printf(out, "program version %" PRId64 "\n", m->has_version >= 0 ? m->version : -1);
    for (int b = 0; b < m->n_block; b++) {
        const struct qs_block *block = &m->block[b];
        qs_str_printf(out, "block %d parent %d\n", block->idx, block->parent);
        for (int i = 0; i < block->n_var; i++)
            add_var(&m->var[block->var[i]], out);
        for (int i = 0; i < block->n_node; i++) {
            qs_str_printf(out, "  %d: ", i);
            qs_text_node(m, &block->node[i], all_attrs, out);
            qs_str_add(out, "\n");
        }
    }
}
