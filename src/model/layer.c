/* SPDX-License-Identifier: Apache-2.0 */
#include "model/layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/op.h"

/* Operators whose integer weights Paddle-Lite turns into floats when it loads a model
 * (lite/api/light_api.cc, DequantizeWeight), with the rank it takes. */
static const struct {
    const char *type;
    int rank;
} lite_reads[] = {
    {"conv2d", 4}, {"depthwise_conv2d", 4}, {"mul", 2}, {"fc", 2}, {"lookup_table", 2},
};

static bool
lite_takes(const struct qs_node *node, int rank)
{
    for (size_t i = 0; i < QS_LEN(lite_reads); i++)
        if (strcmp(node->type, lite_reads[i].type) == 0 && rank == lite_reads[i].rank)
            return qs_attr_int(node, "y_num_col_dims", 1) == 1;
    return false;
}

static const char *
slot_of(const struct qs_node *node, int32_t var)
{
    for (int s = 0; s < node->n_in; s++)
        for (int k = 0; k < node->in[s].n; k++)
            if (node->in[s].var[k] == var)
                return node->in[s].name;
    return "";
}

static bool
is_quant_node(const struct qs_node *node)
{
    return strncmp(node->type, "fake_", 5) == 0 || strcmp(node->type, "quantize_linear") == 0 ||
           strcmp(node->type, "dequantize_linear") == 0;
}

static void
say(struct qs_layer *l, const char *fmt, const char *a)
{
    snprintf(l->reason, sizeof(l->reason), fmt, a);
}

static bool
uses_as_weight(const struct qs_node *node, const char *slot)
{
    return node->op && node->op->weight_slot && strcmp(node->op->weight_slot, slot) == 0;
}

/* Why the value itself cannot be quantized; true when it can. */
static bool
value_fits(const struct qs_var *v, struct qs_layer *l)
{
    const struct qs_tensor *t = v->data;
    if (!t)
        say(l, "%s", _("the model came without parameters"));
    else if (t->dtype == QS_DTYPE_int8 || t->dtype == QS_DTYPE_int16)
        say(l, _("already integers (%s)"), qs_dtype_name(t->dtype));
    else if (t->dtype != QS_DTYPE_float32)
        say(l, _("its type is %s, not float32"), qs_dtype_name(t->dtype));
    else if (t->n == 0)
        say(l, "%s", _("it has no elements"));
    else
        return true;
    return false;
}

/* Looks at one reader; false when it rules quantization out. */
static bool
reader_fits(const struct qs_node *node, const char *slot, int rank, struct qs_layer *l)
{
    if (is_quant_node(node)) {
        say(l, _("already quantized: read by %s"), node->type);
        return false;
    }
    if (!node->op) {
        say(l, _("operator %s is not known"), node->type);
        return false;
    }
    if (!uses_as_weight(node, slot)) {
        snprintf(l->reason, sizeof(l->reason), _("%s of %s is not a weight"), slot, node->type);
        return false;
    }
    if (rank < 2) {
        snprintf(l->reason, sizeof(l->reason),
                 _("%s of %s has %d dimensions, at least 2 are needed"), slot, node->type, rank);
        return false;
    }
    return true;
}

static void
look(const struct qs_model *m, const struct qs_edges *e, struct qs_layer *l)
{
    const struct qs_var *v = &m->var[l->var];
    const int rank = v->data ? v->data->n_dims : v->n_dims;
    const int n = e->n_reader[l->var];
    bool fits = value_fits(v, l);
    l->int_loadable = n > 0;
    l->secondary = rank < 2;
    if (fits && n == 0)
        say(l, "%s", _("no operator reads it"));
    if (fits && e->n_writer[l->var] > 0) {
        say(l, "%s", _("the program itself changes it"));
        fits = false;
    }
    const struct qs_node *blocker = NULL;
    for (int i = 0; i < n; i++) {
        const struct qs_ref r = e->reader[l->var][i];
        const struct qs_node *node = &m->block[r.block].node[r.node];
        if (!lite_takes(node, rank)) {
            l->int_loadable = false;
            blocker = node;
        }
        if (fits)
            fits = reader_fits(node, slot_of(node, l->var), rank, l);
    }
    l->quantizable = fits && n > 0;
    if (l->quantizable && blocker)
        say(l, _("Paddle-Lite does not read integer weights of %s"), blocker->type);
}

static void
find_channels(const struct qs_model *m, struct qs_layer *l)
{
    const struct qs_var *v = &m->var[l->var];
    l->axis = -1;
    l->n_channels = 1;
    if (l->user.block < 0 || !v->data || v->data->n_dims < 1)
        return;
    const struct qs_node *node = &m->block[l->user.block].node[l->user.node];
    if (!uses_as_weight(node, l->slot))
        return;
    l->axis = qs_weight_axis(node, v->data->n_dims);
    if (l->axis >= 0)
        l->n_channels = v->data->dims[l->axis];
}

static int
compare_first_use(const void *a, const void *b)
{
    const struct qs_layer *x = a, *y = b;
    const int32_t xb = x->user.block < 0 ? INT32_MAX : x->user.block;
    const int32_t yb = y->user.block < 0 ? INT32_MAX : y->user.block;
    if (xb != yb)
        return xb < yb ? -1 : 1;
    if (x->user.node != y->user.node)
        return x->user.node < y->user.node ? -1 : 1;
    return (x->var > y->var) - (x->var < y->var);
}

struct qs_layers *
qs_layers_new(const struct qs_model *m, const struct qs_edges *e)
{
    struct qs_layers *ls = qs_xcalloc(1, sizeof(*ls));
    int32_t *var = qs_model_params(m, &ls->n);
    ls->layer = qs_xcalloc((size_t)ls->n, sizeof(*ls->layer));
    for (int i = 0; i < ls->n; i++) {
        struct qs_layer *l = &ls->layer[i];
        l->var = var[i];
        l->n_users = e->n_reader[l->var];
        l->user = l->n_users ? e->reader[l->var][0] : (struct qs_ref){-1, -1};
        l->slot = l->n_users ? slot_of(&m->block[l->user.block].node[l->user.node], l->var) : "";
        find_channels(m, l);
        look(m, e, l);
    }
    free(var);
    qsort(ls->layer, (size_t)ls->n, sizeof(*ls->layer), compare_first_use);
    return ls;
}

void
qs_layers_free(struct qs_layers *l)
{
    if (!l)
        return;
    free(l->layer);
    free(l);
}
