/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"

static const char *const modes[] = {"both", "weights", "activations", "each", NULL};
static const char *const weight_types[] = {"channel_wise_abs_max", "abs_max", NULL};

#define AT(member) offsetof(struct ui_scan_choices, member)
const struct qs_opt ui_scan_opts[] = {
    {"data", 0, QS_OPT_TEXT, AT(data), 0, 0, NULL, NULL, "FILE",
     N_("the data file: samples, and labels for a metric that needs them")},
    {"samples", 0, QS_OPT_INT, AT(samples), 0, 1 << 30, NULL, "0", "N",
     N_("use the first N samples; 0: all")},
    {"metric", 0, QS_OPT_TEXT, AT(metric), 0, 0, NULL, NULL, "M",
     N_("what to measure; empty: the first metric that the labels allow, else cosine")},
    {"mode", 0, QS_OPT_CHOICE, AT(mode), 0, 0, modes, "both", "MODE",
     N_("what of a layer is quantized; each: weights, activations and both in turn")},
    {"bits", 0, QS_OPT_TEXT, AT(bits), 0, 0, NULL, "8", "N,...", N_("bits to try, 2 to 16")},
    {"weight-type", 0, QS_OPT_CHOICE, AT(weight_type), 0, 0, weight_types, "channel_wise_abs_max",
     "TYPE", N_("one scale for each output channel, or abs_max: one for the tensor")},
    {"algo", 0, QS_OPT_CHOICE, AT(algo), 0, 0, qs_algo_names, "avg", "ALGO",
     N_("how thresholds of activations are chosen")},
    {"top", 0, QS_OPT_INT, AT(top), 0, 1 << 30, NULL, "0", "K",
     N_("evaluate only the K layers with the largest error of their own; 0: every one")},
    {"others", 0, QS_OPT_FLAG, AT(others), 0, 0, NULL, NULL, NULL,
     N_("also evaluate with all layers but the one quantized")},
    {"precision", 0, QS_OPT_CHOICE, AT(precision), 0, 0, qs_precision_names, "fp32", "PRECISION",
     N_("arithmetic of the layers that are quantized")},
    {"op-types", 0, QS_OPT_TEXT, AT(op_types), 0, 0, NULL, NULL, "LIST",
     N_("operator types to try; empty: convolutions and products with a weight")},
};
#undef AT
const int ui_n_scan_opts = QS_LEN(ui_scan_opts);

void
ui_scan_init(struct ui_scan *s)
{
    *s = (struct ui_scan){0};
    qs_opts_init(ui_scan_opts, ui_n_scan_opts, &s->choices);
}

void
ui_scan_clear(struct ui_scan *s)
{
    qs_run_release(&s->run);
    s->run = (struct qs_run){0};
    if (s->proposed) {
        qs_proposal_release(&s->proposal);
        qs_plan_release(&s->base);
    }
    s->proposed = false;
    s->read = false;
    s->task = NULL;
}

void
ui_scan_release(struct ui_scan *s)
{
    ui_scan_clear(s);
    qs_opts_release(ui_scan_opts, ui_n_scan_opts, &s->choices);
}

char *
ui_scan_metric(const struct qs_run *run)
{
    static const char line[] = "# metric = ";
    const char *at = run->plan ? strstr(run->plan, line) : NULL;
    at = at ? at + sizeof(line) - 1 : "";
    return qs_xasprintf("%.*s", (int)strcspn(at, "\n"), at);
}

/* The larger first, what is no number last. */
static int
falling(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (isnan(a) != 0) - (isnan(b) != 0);
    return (a < b) - (a > b);
}

static int
worst_first(const void *pa, const void *pb)
{
    const struct qs_run_sensitivity *a = pa, *b = pb;
    int c = falling(a->drop, b->drop);
    c = c ? c : falling(1 - a->cosine, 1 - b->cosine);
    c = c ? c : falling(-a->sqnr_db, -b->sqnr_db);
    c = c ? c : strcmp(a->weight, b->weight);
    c = c ? c : strcmp(a->mode, b->mode);
    return c ? c : a->bits - b->bits;
}

void
ui_scan_sort(struct qs_run_sensitivity *row, int n)
{
    if (n > 0)
        qsort(row, (size_t)n, sizeof(*row), worst_first);
}
