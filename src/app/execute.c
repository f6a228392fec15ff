/* SPDX-License-Identifier: Apache-2.0 */
/* `qslim run`: arrays in, arrays out. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "app/runnable.h"
#include "base/clock.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/npy.h"

struct inputs {
    const struct qs_model *m;
    int32_t *var;
    struct qs_npy *npy;
    struct qs_value *value;
    int n;
};

static void
inputs_start(struct inputs *in, const struct qs_model *m)
{
    in->m = m;
    in->n = qs_model_inputs(m, NULL, 0);
    const size_t n = (size_t)in->n + 1;
    in->var = qs_xcalloc(n, sizeof(*in->var));
    in->npy = qs_xcalloc(n, sizeof(*in->npy));
    in->value = qs_xcalloc(n, sizeof(*in->value));
    qs_model_inputs(m, in->var, in->n);
}

static void
inputs_release(struct inputs *in)
{
    for (int i = 0; i < in->n; i++)
        qs_npy_release(&in->npy[i]);
    free(in->var);
    free(in->npy);
    free(in->value);
}

/* Which input "NAME=FILE" or "FILE" is for; *file is where the path starts. A name may contain
 * '='; a file named like one is meant when no input has that name. */
static int
find_input(const struct inputs *in, const char *text, const char **file)
{
    for (int i = 0; i < in->n; i++) {
        const char *name = in->m->var[in->var[i]].name;
        const size_t n = strlen(name);
        if (strncmp(text, name, n) == 0 && text[n] == '=') {
            *file = text + n + 1;
            return i;
        }
    }
    *file = text;
    return in->n == 1 ? 0 : -1;
}

/* Integers and floats of the other width are converted: NumPy's defaults are the wide ones. */
static enum qs_err
convert(struct qs_ctx *cx, struct qs_npy *npy, int32_t want)
{
    const struct qs_value from = {.dtype = npy->dtype, .count = npy->count, .data = npy->buf->data};
    const bool to_float = want == QS_DTYPE_float32 && npy->dtype == QS_DTYPE_float64;
    const bool to_wide = want == QS_DTYPE_int64 && npy->dtype == QS_DTYPE_int32;
    const bool to_narrow = want == QS_DTYPE_int32 && npy->dtype == QS_DTYPE_int64;
    struct qs_buf *buf;
    if (!to_float && !to_wide && !to_narrow)
        return QS_OK;
    const enum qs_err err = qs_buf_new(cx, (size_t)npy->count * 8, &buf);
    if (err)
        return err;
    struct qs_value to = {.data = buf->data};
    for (int64_t i = 0; i < npy->count; i++)
        if (to_float)
            to.f32[i] = (float)from.f64[i];
        else if (to_wide)
            to.i64[i] = from.i32[i];
        else
            to.i32[i] = (int32_t)from.i64[i];
    qs_buf_unref(npy->buf);
    npy->buf = buf;
    npy->dtype = want;
    return QS_OK;
}

static enum qs_err
read_input(struct qs_ctx *cx, struct inputs *in, const char *text)
{
    const char *file;
    const int i = find_input(in, text, &file);
    if (i < 0 && strchr(text, '=') && in->n != 0)
        return qs_fail(cx, QS_ERR_USAGE, _("the model has no such input: '%s'"), text);
    if (i < 0)
        return qs_fail(cx, QS_ERR_USAGE, _("the model has %d inputs: name the one that is '%s'"),
                       in->n, text);
    if (in->npy[i].buf)
        return qs_fail(cx, QS_ERR_USAGE, _("input '%s' is given twice"),
                       in->m->var[in->var[i]].name);
    enum qs_err err = qs_npy_read(cx, file, &in->npy[i]);
    if (!err)
        err = convert(cx, &in->npy[i], in->m->var[in->var[i]].dtype);
    if (err)
        return err;
    const struct qs_npy *npy = &in->npy[i];
    struct qs_value *v = &in->value[i];
    *v = (struct qs_value){.dtype = npy->dtype, .n = npy->n, .count = npy->count};
    memcpy(v->d, npy->d, sizeof(v->d));
    v->data = npy->buf->data;
    return QS_OK;
}

/* Outputs */

struct output {
    const struct qs_opened *o;
    const struct qs_execute_options *opt;
    struct qs_executed *done;
    int cap;
};

static char *
file_of(const struct output *out, const char *name)
{
    char *path = qs_xasprintf("%s/%s.npy", out->opt->output, name);
    for (char *p = path + strlen(out->opt->output) + 1; *p; p++)
        if (*p == '/')
            *p = '|';
    return path;
}

static enum qs_err
write_output(struct qs_ctx *cx, struct output *out, int32_t var, const struct qs_value *v)
{
    const char *name = out->o->model->var[var].name;
    struct qs_executed *done = out->done;
    if (done->n == out->cap) {
        out->cap = out->cap ? 2 * out->cap : 16;
        done->tensor = qs_xrealloc(done->tensor, (size_t)out->cap * sizeof(*done->tensor));
    }
    struct qs_executed_tensor *t = &done->tensor[done->n++];
    *t = (struct qs_executed_tensor){.name = qs_xstrdup(name), .file = file_of(out, name)};
    t->dtype = v->dtype;
    t->n = v->n;
    memcpy(t->d, v->d, sizeof(t->d));
    return qs_npy_write(cx, t->file, out->opt->force, v->dtype, v->n, v->d, v->data);
}

static bool
is_output(const struct qs_model *m, int32_t var)
{
    bool found = false;
    const int n = qs_model_outputs(m, NULL, 0);
    int32_t *id = qs_xcalloc((size_t)n + 1, sizeof(*id));
    qs_model_outputs(m, id, n);
    for (int i = 0; i < n; i++)
        found = found || id[i] == var;
    free(id);
    return found;
}

/* Writes what no later node of the program replaces and is no output. */
static enum qs_err
see_tensor(struct qs_ctx *cx, void *arg, int32_t node, int32_t var, const struct qs_value *v)
{
    struct output *out = arg;
    const struct qs_edges *e = out->o->edges;
    const int n = e->n_writer[var];
    for (int i = 0; i < n; i++)
        if (e->writer[var][i].block == 0 && e->writer[var][i].node > node)
            return QS_OK;
    if (qs_var_is_param(&out->o->model->var[var]) || is_output(out->o->model, var))
        return QS_OK;
    return write_output(cx, out, var, v);
}

static enum qs_err
write_outputs(struct qs_ctx *cx, struct output *out, const struct qs_engine *e)
{
    const int n = qs_engine_n_out(e);
    int32_t *var = qs_xcalloc((size_t)n + 1, sizeof(*var));
    enum qs_err err = QS_OK;
    qs_model_outputs(out->o->model, var, n);
    for (int i = 0; i < n && !err; i++) {
        const struct qs_value *v = qs_engine_out(e, i);
        if (!v->data)
            err = qs_fail(cx, QS_ERR_FORMAT, _("the model did not compute its output '%s'"),
                          out->o->model->var[var[i]].name);
        else
            err = write_output(cx, out, var[i], v);
    }
    free(var);
    return err;
}

/* Before anything runs. */
static enum qs_err
check_output(struct qs_ctx *cx, const struct output *out)
{
    const struct qs_model *m = out->o->model;
    const int n = qs_model_outputs(m, NULL, 0);
    int32_t *var = qs_xcalloc((size_t)n + 1, sizeof(*var));
    enum qs_err err = qs_make_folders(cx, out->opt->output);
    qs_model_outputs(m, var, n);
    for (int i = 0; i < n && !err && !out->opt->force; i++) {
        char *file = file_of(out, m->var[var[i]].name);
        if (qs_exists(file))
            err = qs_fail(cx, QS_ERR_EXISTS, _("cannot write '%s': it exists (use --force)"), file);
        free(file);
    }
    free(var);
    return err;
}

static enum qs_err
run_engine(struct qs_ctx *cx, struct output *out, const struct inputs *in, struct qs_engine *e)
{
    const struct qs_watch watch = {see_tensor, out};
    const double start = qs_seconds_now();
    const enum qs_err err = qs_engine_run(cx, e, in->value, in->n, out->opt->all ? &watch : NULL);
    if (err)
        return err;
    out->done->seconds = qs_seconds_now() - start;
    out->done->engine = qs_engine_kind(e);
    out->done->param_bytes = qs_engine_param_bytes(e);
    out->done->peak_bytes = qs_engine_peak_bytes(e);
    return write_outputs(cx, out, e);
}

static enum qs_err
run_model(struct qs_ctx *cx, struct output *out, const struct inputs *in)
{
    const struct qs_engine_options how = {.exact = out->opt->exact || out->opt->all};
    struct qs_engine *e = NULL;
    struct qs_runnable r;
    enum qs_err err = qs_runnable_init(cx, &r, out->o, out->opt->precision);
    if (!err)
        err = qs_runnable_engine(cx, &r, &how, &e);
    if (!err)
        err = run_engine(cx, out, in, e);
    qs_engine_free(e);
    qs_runnable_release(&r);
    return err;
}

enum qs_err
qs_app_execute(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_execute_options *opt,
               struct qs_executed *done)
{
    struct inputs in = {0};
    struct output out = {.o = o, .opt = opt, .done = done};
    *done = (struct qs_executed){0};
    enum qs_err err = qs_app_need_params(cx, o);
    if (err)
        return err;
    inputs_start(&in, o->model);
    for (int i = 0; i < opt->inputs->n && !err; i++)
        err = read_input(cx, &in, opt->inputs->v[i]);
    if (!err)
        err = check_output(cx, &out);
    if (!err)
        err = run_model(cx, &out, &in);
    inputs_release(&in);
    if (err)
        qs_executed_release(done);
    return err;
}

void
qs_executed_release(struct qs_executed *done)
{
    for (int i = 0; i < done->n; i++) {
        free(done->tensor[i].name);
        free(done->tensor[i].file);
    }
    free(done->tensor);
    *done = (struct qs_executed){0};
}
