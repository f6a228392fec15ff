/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/run_output.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/sense_output.h"

char *
qs_format_time(char *out, size_t cap, double seconds)
{
    const time_t t = (time_t)seconds;
    struct tm tm;
    if (!localtime_r(&t, &tm) || strftime(out, cap, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        out[0] = '\0';
    return out;
}

enum qs_err
qs_run_id_parse(struct qs_ctx *cx, const char *text, int64_t *id)
{
    char *end;
    errno = 0;
    *id = strtoll(text, &end, 10);
    if (end == text || *end || errno || *id <= 0)
        return qs_fail(cx, QS_ERR_USAGE, _("'%s' is not a run number"), text);
    return QS_OK;
}

enum qs_err
qs_run_by_text(struct qs_ctx *cx, const char *db, const char *text, struct qs_run *run)
{
    int64_t id;
    const enum qs_err err = qs_run_id_parse(cx, text, &id);
    return err ? err : qs_app_run(cx, db, id, run);
}

static json_t *
layer_json(const struct qs_run_layer *l)
{
    json_t *o = json_object();
    json_object_set_new(o, "weight", qs_json_text(l->weight));
    json_object_set_new(o, "op_type", qs_json_text(l->op_type));
    json_object_set_new(o, "bits", l->bits ? json_integer(l->bits) : json_null());
    json_object_set_new(o, "action", qs_json_text(l->action));
    json_object_set_new(o, "scale_count", json_integer(l->scale_count));
    json_object_set_new(o, "sqnr_db", qs_json_real(l->sqnr_db));
    json_object_set_new(o, "bytes_before", json_integer(l->bytes_before));
    json_object_set_new(o, "bytes_after", json_integer(l->bytes_after));
    json_object_set_new(o, "scale_bytes", json_integer(l->scale_bytes));
    json_object_set_new(o, "reason", qs_json_text(l->reason));
    return o;
}

/* "abs_max=1.25 avg=0.98" as an object of numbers. */
static json_t *
thresholds_json(const char *text)
{
    json_t *o = json_object();
    char *copy = qs_xstrdup(text ? text : ""), *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        if (!value)
            continue;
        *value++ = '\0';
        json_object_set_new(o, word, qs_json_real(strtod(value, NULL)));
    }
    free(copy);
    return o;
}

static json_t *
activation_json(const struct qs_run_activation *a)
{
    json_t *o = json_object();
    json_object_set_new(o, "var", qs_json_text(a->var));
    json_object_set_new(o, "op_type", qs_json_text(a->op_type));
    json_object_set_new(o, "min", qs_json_real(a->min));
    json_object_set_new(o, "max", qs_json_real(a->max));
    json_object_set_new(o, "n_samples", json_integer(a->n_samples));
    json_object_set_new(o, "n_bad", json_integer(a->n_bad));
    json_object_set_new(o, "algo", qs_json_text(a->algo));
    json_object_set_new(o, "threshold", qs_json_real(a->threshold));
    json_object_set_new(o, "sqnr_db", qs_json_real(a->sqnr_db));
    json_object_set_new(o, "thresholds", thresholds_json(a->thresholds));
    return o;
}

static json_t *
metric_json(const struct qs_run_metric *m)
{
    return json_pack("{s:o,s:o,s:o}", "value", qs_json_real(m->value), "low", qs_json_real(m->low),
                     "high", qs_json_real(m->high));
}

static void
set_text(json_t *o, const char *key, const char *s)
{
    json_object_set_new(o, key, qs_json_text(s ? s : ""));
}

json_t *
qs_run_json(const struct qs_run *run, bool with_layers)
{
    json_t *o = json_object();
    json_object_set_new(o, "run_id", run->id ? json_integer(run->id) : json_null());
    json_object_set_new(o, "parent", run->parent ? json_integer(run->parent) : json_null());
    set_text(o, "kind", run->kind);
    set_text(o, "state", run->state);
    set_text(o, "model", run->model_path);
    set_text(o, "model_digest", run->model_digest);
    set_text(o, "method", run->method);
    json_object_set_new(o, "weight_bits", json_integer(run->bits));
    set_text(o, "plan", run->plan);
    set_text(o, "version", run->version);
    set_text(o, "machine", run->machine);
    set_text(o, "isa", run->isa);
    json_object_set_new(o, "threads", json_integer(run->threads));
    json_object_set_new(o, "started", qs_json_real(run->started));
    json_object_set_new(o, "seconds", qs_json_real(run->seconds));
    json_object_set_new(o, "bytes_before", json_integer(run->bytes_before));
    json_object_set_new(o, "bytes_after", json_integer(run->bytes_after));
    set_text(o, "output", run->output);
    set_text(o, "output_digest", run->output_digest);
    set_text(o, "tag", run->tag);
    set_text(o, "message", run->message);
    json_t *metrics = json_object();
    for (int i = 0; i < run->n_metric; i++)
        json_object_set_new(metrics, run->metric[i].name, metric_json(&run->metric[i]));
    json_object_set_new(o, "metrics", metrics);
    if (!with_layers)
        return o;
    json_t *layers = json_array(), *files = json_array(), *seen = json_array();
    for (int i = 0; i < run->n_layer; i++)
        json_array_append_new(layers, layer_json(&run->layer[i]));
    for (int i = 0; i < run->n_file; i++)
        json_array_append_new(
            files, json_pack("{s:o,s:I,s:s}", "path", qs_json_text(run->file[i].path), "bytes",
                             (json_int_t)run->file[i].bytes, "sha256", run->file[i].sha256));
    for (int i = 0; i < run->n_activation; i++)
        json_array_append_new(seen, activation_json(&run->activation[i]));
    json_object_set_new(o, "activations", seen);
    json_object_set_new(o, "layers", layers);
    json_object_set_new(o, "files", files);
    if (run->n_sensitivity)
        json_object_set_new(o, "sensitivity", qs_sensitivity_json(run));
    return o;
}

static void
print_layers(const struct qs_run *run)
{
    static const char *const title[] = {N_("weight"), N_("operator"), N_("becomes"),
                                        N_("bits"),   N_("scales"),   N_("SQNR dB"),
                                        N_("before"), N_("after"),    N_("reason")};
    static const enum qs_align align[] = {QS_LEFT,  QS_LEFT,  QS_LEFT,  QS_RIGHT, QS_RIGHT,
                                          QS_RIGHT, QS_RIGHT, QS_RIGHT, QS_LEFT};
    const char *shown[QS_LEN(title)];
    for (size_t i = 0; i < QS_LEN(title); i++)
        shown[i] = _(title[i]);
    struct qs_table *t = qs_table_new(QS_LEN(title), shown, align);
    for (int i = 0; i < run->n_layer; i++) {
        const struct qs_run_layer *l = &run->layer[i];
        qs_table_cell(t, "%s", l->weight);
        qs_table_cell(t, "%s", l->op_type);
        qs_table_cell(t, "%s", _(l->action));
        qs_table_cell(t, l->bits ? "%d" : "-", l->bits);
        qs_table_cell(t, l->scale_count ? "%d" : "-", l->scale_count);
        qs_table_cell(t, isnan(l->sqnr_db) ? "-" : "%.1f", l->sqnr_db);
        qs_table_cell(t, "%" PRId64, l->bytes_before);
        qs_table_cell(t, "%" PRId64, l->bytes_after);
        qs_table_cell(t, "%s", l->reason);
    }
    qs_table_print(t, stdout, false);
}

static void
print_activations(const struct qs_run *run)
{
    const char *const title[] = {_("activation"), _("operator"),   _("min"),    _("max"),
                                 _("threshold"),  _("calibrator"), _("SQNR dB")};
    static const enum qs_align align[] = {QS_LEFT,  QS_LEFT, QS_RIGHT, QS_RIGHT,
                                          QS_RIGHT, QS_LEFT, QS_RIGHT};
    struct qs_table *t = qs_table_new(QS_LEN(title), title, align);
    for (int i = 0; i < run->n_activation; i++) {
        const struct qs_run_activation *a = &run->activation[i];
        qs_table_cell(t, "%s", a->var);
        qs_table_cell(t, "%s", a->op_type);
        qs_table_cell(t, "%.5g", a->min);
        qs_table_cell(t, "%.5g", a->max);
        qs_table_cell(t, isnan(a->threshold) ? "-" : "%.5g", a->threshold);
        qs_table_cell(t, "%s", a->algo);
        qs_table_cell(t, isnan(a->sqnr_db) ? "-" : "%.1f", a->sqnr_db);
    }
    qs_table_print(t, stdout, false);
}

/* Why the file is as large as it is: where the bytes are after the run. */
static void
print_ledger(const struct qs_run *run)
{
    int64_t before = 0, after = 0, scales = 0, left = 0;
    char a[16], b[16], c[16];
    for (int i = 0; i < run->n_layer; i++) {
        const struct qs_run_layer *l = &run->layer[i];
        before += l->bytes_before;
        after += l->bytes_after;
        scales += l->scale_bytes;
        if (l->bytes_after == l->bytes_before)
            left += l->bytes_after;
    }
    printf(_("weights   %s -> %s (%s of it no smaller)\n"), qs_format_bytes(a, sizeof(a), before),
           qs_format_bytes(b, sizeof(b), after), qs_format_bytes(c, sizeof(c), left));
    printf(_("scales    %s in the program\n"), qs_format_bytes(a, sizeof(a), scales));
    printf(_("other     %s (program text, biases, parameters of normalizations)\n"),
           qs_format_bytes(a, sizeof(a), run->bytes_after - after - scales));
    printf(_("all       %s -> %s (%.1f %%)\n"), qs_format_bytes(a, sizeof(a), run->bytes_before),
           qs_format_bytes(b, sizeof(b), run->bytes_after),
           run->bytes_before ? 100.0 * (double)run->bytes_after / (double)run->bytes_before : 0.0);
}

static void
print_head(const struct qs_run *run)
{
    char when[32];
    printf("%-9s %" PRId64 " (%s, %s)\n", _("run"), run->id, _(run->kind), _(run->state));
    printf("%-9s %s\n", _("model"), run->model_path);
    printf("%-9s %s, %d %s\n", _("method"), run->method, run->bits, _("bits"));
    printf("%-9s %s, %.3f s\n", _("when"), qs_format_time(when, sizeof(when), run->started),
           run->seconds);
    printf("%-9s qslim %s, %s, %s, %d %s\n", _("by"), run->version, run->machine, run->isa,
           run->threads, _("threads"));
    if (run->tag && *run->tag)
        printf("%-9s %s\n", _("tag"), run->tag);
    if (run->message && *run->message)
        printf("%-9s %s\n", _("message"), run->message);
}

void
qs_run_print_metrics(const struct qs_run *run)
{
    for (int i = 0; i < run->n_metric; i++) {
        const struct qs_run_metric *m = &run->metric[i];
        printf("%-9s %s %.4f", i ? "" : _("metrics"), m->name, m->value);
        if (!isnan(m->low) && !isnan(m->high))
            printf(" (%.4f .. %.4f)", m->low, m->high);
        putchar('\n');
    }
}

void
qs_run_print(const struct qs_run *run, bool with_layers)
{
    if (run->id)
        print_head(run);
    qs_run_print_metrics(run);
    if (with_layers && run->n_activation)
        print_activations(run);
    if (with_layers && run->n_layer)
        print_layers(run);
    if (with_layers && run->n_sensitivity)
        qs_sensitivity_print(run, _("metric"));
    if (run->n_layer)
        print_ledger(run);
    for (int i = 0; i < run->n_file; i++)
        if (run->file[i].path)
            printf("%s  %s  %" PRId64 "\n", run->file[i].sha256, run->file[i].path,
                   run->file[i].bytes);
}
