/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/cmd.h"

struct options {
    char *params;
    struct qs_strv shape;
};

static const struct qs_opt opts[] = {
    {"params", 0, QS_OPT_TEXT, offsetof(struct options, params), 0, 0, NULL, NULL, "FILE",
     N_("the combined parameter file, when it is not beside the program")},
    {"shape", 0, QS_OPT_LIST, offsetof(struct options, shape), 0, 0, NULL, NULL, "NAME=DIMS",
     N_("shape of an input, as x=1,3,224,224; repeatable")},
};

/* Operator types with their counts, most frequent first. */
struct op_count {
    const char *type;
    int n;
};

static int
compare_type(const void *a, const void *b)
{
    return strcmp(((const struct op_count *)a)->type, ((const struct op_count *)b)->type);
}

static int
compare_count(const void *a, const void *b)
{
    const struct op_count *x = a, *y = b;
    return x->n != y->n ? y->n - x->n : strcmp(x->type, y->type);
}

static struct op_count *
count_ops(const struct qs_model *m, int *n_types, int *n_ops)
{
    int n = 0, kept = 0;
    for (int b = 0; b < m->n_block; b++)
        n += m->block[b].n_node;
    struct op_count *c = qs_xcalloc((size_t)n, sizeof(*c));
    n = 0;
    for (int b = 0; b < m->n_block; b++)
        for (int i = 0; i < m->block[b].n_node; i++)
            c[n++] = (struct op_count){m->block[b].node[i].type, 1};
    qsort(c, (size_t)n, sizeof(*c), compare_type);
    for (int i = 0; i < n; i++)
        if (kept && strcmp(c[kept - 1].type, c[i].type) == 0)
            c[kept - 1].n++;
        else
            c[kept++] = c[i];
    qsort(c, (size_t)kept, sizeof(*c), compare_count);
    *n_types = kept;
    *n_ops = n;
    return c;
}

enum { PORTS_MOST = 64 };

struct facts {
    int32_t in[PORTS_MOST], out[PORTS_MOST];
    int n_in, n_out, n_types, n_ops;
    struct op_count *ops;
    int64_t n_params;
    struct qs_quant_info quant;
    int n_weights, n_rounded, n_observed; /* of a quantized model */
};

static void
print_quantization(const struct facts *f)
{
    const struct qs_quant_info *q = &f->quant;
    const char *between = " ";
    printf("%-13s %s", _("quantization"), qs_quant_kind_name(q->kind));
    for (int b = 1; b <= 32; b++)
        if (q->bits & (UINT64_C(1) << b)) {
            printf("%s%d", between, b);
            between = ", ";
        }
    if (q->bits)
        printf(" %s", _("bits"));
    if (q->n_layers > 0)
        printf(_(": %d layers, %d scales"), q->n_layers, q->n_scales);
    if (f->n_weights + f->n_rounded > 0)
        printf(_("; %d weights, %d activations"), f->n_weights, f->n_rounded);
    if (f->n_observed > 0)
        printf(_(", %d observed"), f->n_observed);
    putchar('\n');
}

/* What was found of an earlier quantization. */
static json_t *
quantization_json(const struct facts *f)
{
    const struct qs_quant_info *q = &f->quant;
    json_t *bits = json_array();
    for (int b = 1; b <= 32; b++)
        if (q->bits & (UINT64_C(1) << b))
            json_array_append_new(bits, json_integer(b));
    return json_pack("{s:s,s:o,s:i,s:i,s:i,s:i,s:i}", "kind", qs_quant_kind_name(q->kind), "bits",
                     bits, "scales", q->n_scales, "layers", q->n_layers, "weights", f->n_weights,
                     "activations", f->n_rounded, "observed", f->n_observed);
}

static json_t *
ports_json(const struct qs_model *m, const int32_t *var, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n && i < PORTS_MOST; i++) {
        const struct qs_var *v = &m->var[var[i]];
        const char *dtype = qs_dtype_name(v->dtype);
        json_array_append_new(
            list, json_pack("{s:o,s:s,s:o}", "name", qs_json_text(v->name), "dtype",
                            dtype ? dtype : "unknown", "dims",
                            v->n_dims >= 0 ? qs_json_dims(v->dims, v->n_dims) : json_null()));
    }
    return list;
}

static void
count_quantized(struct qs_ctx *cx, const struct qs_opened *o, struct facts *f)
{
    struct qs_apart a;
    if (qs_app_take_apart(cx, o, &a) != QS_OK) {
        qs_warn(cx, _("its quantization is not understood: %s"), qs_message(cx));
        qs_clear(cx);
    }
    f->n_weights = a.notes.n_weight;
    for (int i = 0; i < a.notes.n_act; i++)
        *(a.notes.act[i].observed ? &f->n_observed : &f->n_rounded) += 1;
    for (int i = 0; i < a.notes.n_weight; i++)
        f->quant.bits |= UINT64_C(1) << a.notes.weight[i].bits;
    qs_apart_release(&a);
}

static void
collect(struct qs_ctx *cx, const struct qs_opened *o, struct facts *f)
{
    const struct qs_model *m = o->model;
    f->n_in = qs_model_inputs(m, f->in, PORTS_MOST);
    f->n_out = qs_model_outputs(m, f->out, PORTS_MOST);
    f->ops = count_ops(m, &f->n_types, &f->n_ops);
    f->n_params = 0;
    f->n_weights = f->n_rounded = f->n_observed = 0;
    for (int i = 0; i < o->layers->n; i++) {
        const struct qs_tensor *t = m->var[o->layers->layer[i].var].data;
        f->n_params += t ? t->n : 0;
    }
    qs_quant_info_of(m, &f->quant);
    if (m->has_params && f->quant.kind != QS_QUANT_NONE)
        count_quantized(cx, o, f);
}

static enum qs_err
print_json(struct qs_ctx *cx, const struct qs_opened *o, const struct facts *f)
{
    const struct qs_model *m = o->model;
    json_t *ops = json_object();
    for (int i = 0; i < f->n_types; i++)
        json_object_set_new(ops, f->ops[i].type, json_integer(f->ops[i].n));
    const bool macs = o->shapes && o->shapes->macs >= 0;
    json_t *root = json_pack(
        "{s:s,s:I,s:o,s:o,s:o,s:i,s:o,s:o,s:I,s:o,s:s?,s:o,s:i,s:o}", "format", m->format,
        "version", (json_int_t)m->version, "inputs", ports_json(m, f->in, f->n_in), "outputs",
        ports_json(m, f->out, f->n_out), "ops", ops, "n_ops", f->n_ops, "n_params",
        m->has_params ? json_integer(f->n_params) : json_null(), "params_bytes",
        m->has_params ? json_integer(m->params_bytes) : json_null(), "program_bytes",
        (json_int_t)m->program_bytes, "macs", macs ? json_integer(o->shapes->macs) : json_null(),
        "assumed_shapes", o->shapes ? o->shapes->assumed : NULL, "quantization",
        quantization_json(f), "blocks", m->n_block, "program", qs_json_text(o->path));
    return qs_print_json(cx, root);
}

static void
print_ports(const char *title, const struct qs_model *m, const int32_t *var, int n)
{
    for (int i = 0; i < n && i < PORTS_MOST; i++) {
        char dims[128] = "?";
        const struct qs_var *v = &m->var[var[i]];
        struct qs_str line;
        if (v->n_dims >= 0)
            qs_format_dims(dims, sizeof(dims), v->dims, v->n_dims);
        qs_str_init(&line);
        qs_str_add_printable(&line, v->name);
        printf("%-13s %s %s %s\n", i ? "" : title, line.s,
               qs_dtype_name(v->dtype) ? qs_dtype_name(v->dtype) : "?", dims);
        qs_str_release(&line);
    }
}

static void
print_version(const struct qs_model *m)
{
    if (m->has_version < 0)
        printf("%-13s %s\n", _("version"), _("none written"));
    else if (m->version == 0)
        printf("%-13s %s\n", _("version"), _("0 (a development build)"));
    else
        printf("%-13s %" PRId64 ".%" PRId64 ".%" PRId64 "\n", _("version"), m->version / 1000000,
               m->version / 1000 % 1000, m->version % 1000);
}

static void
print_costs(const struct qs_opened *o)
{
    char number[16];
    if (!o->shapes) {
        printf("%-13s %s\n", _("MACs"), o->shapes_message);
        return;
    }
    if (o->shapes->macs < 0)
        printf("%-13s %s\n", _("MACs"), _("not known for every operator"));
    else
        printf("%-13s %s\n", _("MACs"), qs_format_count(number, sizeof(number), o->shapes->macs));
    if (o->shapes->assumed)
        printf("%-13s %s\n", _("  assuming"), o->shapes->assumed);
}

static void
print_text(const struct qs_opened *o, const struct facts *f)
{
    const struct qs_model *m = o->model;
    char program[16], params[16], count[16];
    printf("%-13s %s\n", _("program"), o->path);
    printf("%-13s %s\n", _("format"), m->format);
    print_version(m);
    print_ports(_("inputs"), m, f->in, f->n_in);
    print_ports(_("outputs"), m, f->out, f->n_out);
    printf("%-13s %d", _("operators"), f->n_ops);
    for (int i = 0; i < f->n_types; i++)
        printf("%s%s %d", i ? ", " : ": ", f->ops[i].type, f->ops[i].n);
    printf("\n%-13s %d\n", _("blocks"), m->n_block);
    qs_format_bytes(program, sizeof(program), m->program_bytes);
    qs_format_bytes(params, sizeof(params), m->params_bytes);
    if (m->has_params)
        printf("%-13s %s (%s, %s)\n", _("parameters"),
               qs_format_count(count, sizeof(count), f->n_params), params,
               m->separate ? _("one file each") : _("one file"));
    else
        printf("%-13s %s\n", _("parameters"), _("none beside the program"));
    printf("%-13s %s\n", _("program size"), program);
    print_costs(o);
    print_quantization(f);
}

static enum qs_err
run(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg, int n_arg)
{
    const struct options *opt = options;
    struct qs_opened *o = NULL;
    struct facts f;
    (void)n_arg;
    enum qs_err err = qs_app_open(cx, arg[0], opt->params, &opt->shape, &o);
    if (err)
        return err;
    if (!o->model->has_params)
        qs_warn(cx, _("no parameter file beside '%s': only the program is read"),
                o->model->program_path);
    collect(cx, o, &f);
    if (common->json)
        err = print_json(cx, o, &f);
    else
        print_text(o, &f);
    free(f.ops);
    qs_app_close(o);
    return err;
}

const struct qs_cmd qs_cmd_info = {
    .name = "info",
    .args = "MODEL",
    .summary = N_("what a model is: inputs, operators, parameters, sizes, earlier quantization"),
    .opt = opts,
    .n_opt = QS_LEN(opts),
    .opt_size = sizeof(struct options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
