/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/run_output.h"

static const struct qs_run_layer *
find_layer(const struct qs_run *run, const char *weight)
{
    for (int i = 0; i < run->n_layer; i++)
        if (strcmp(run->layer[i].weight, weight) == 0)
            return &run->layer[i];
    return NULL;
}

static bool
layers_differ(const struct qs_run_layer *a, const struct qs_run_layer *b)
{
    if (!a || !b)
        return true;
    const bool same_error = (isnan(a->sqnr_db) && isnan(b->sqnr_db)) || a->sqnr_db == b->sqnr_db;
    return a->bits != b->bits || strcmp(a->action, b->action) != 0 || !same_error ||
           a->bytes_after != b->bytes_after;
}

static json_t *
compare_json(const struct qs_run *run, int n)
{
    json_t *runs = json_array(), *layers = json_array(), *plans = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(runs, qs_run_json(&run[i], false));
    for (int i = 1; i < n; i++) {
        char *diff = qs_app_plan_diff(run[0].plan, run[i].plan);
        json_array_append_new(plans, qs_json_text(diff));
        free(diff);
    }
    for (int k = 0; k < run[0].n_layer; k++) {
        json_t *cells = json_array();
        bool differ = false;
        for (int i = 0; i < n; i++) {
            const struct qs_run_layer *l = find_layer(&run[i], run[0].layer[k].weight);
            differ = differ || layers_differ(&run[0].layer[k], l);
            json_array_append_new(
                cells, l ? json_pack("{s:o,s:s,s:o,s:I}", "bits",
                                     l->bits ? json_integer(l->bits) : json_null(), "action",
                                     l->action, "sqnr_db", qs_json_real(l->sqnr_db), "bytes_after",
                                     (json_int_t)l->bytes_after)
                         : json_null());
        }
        json_array_append_new(layers, json_pack("{s:o,s:b,s:o}", "weight",
                                                qs_json_text(run[0].layer[k].weight), "differs",
                                                differ, "runs", cells));
    }
    return json_pack("{s:o,s:o,s:o}", "runs", runs, "plan_differences", plans, "layers", layers);
}

static void
print_totals(const struct qs_run *run, int n)
{
    for (int i = 0; i < n; i++) {
        char size[16];
        printf(_("run %" PRId64 "  %s %d bits  %s  %.1f %%  %.3f s%s%s\n"), run[i].id,
               run[i].method, run[i].bits, qs_format_bytes(size, sizeof(size), run[i].bytes_after),
               run[i].bytes_before
                   ? 100.0 * (double)run[i].bytes_after / (double)run[i].bytes_before
                   : 0.0,
               run[i].seconds, *run[i].tag ? "  " : "", run[i].tag);
    }
    for (int i = 1; i < n; i++) {
        char *diff = qs_app_plan_diff(run[0].plan, run[i].plan);
        printf(_("plan of %" PRId64 " -> %" PRId64 ":\n%s"), run[0].id, run[i].id,
               *diff ? diff : _("no difference\n"));
        free(diff);
    }
}

static void
print_compare(const struct qs_run *run, int n)
{
    enum { MOST = 16 };
    char head[MOST][64];
    const char *title[2 * MOST + 1] = {_("weight")};
    enum qs_align align[2 * MOST + 1] = {QS_LEFT};
    for (int i = 0; i < n; i++) {
        snprintf(head[i], sizeof(head[i]), "%" PRId64, run[i].id);
        title[1 + 2 * i] = head[i];
        title[2 + 2 * i] = "dB";
        align[1 + 2 * i] = QS_LEFT;
        align[2 + 2 * i] = QS_RIGHT;
    }
    print_totals(run, n);
    struct qs_table *t = qs_table_new(1 + 2 * n, title, align);
    int equal = 0;
    for (int k = 0; k < run[0].n_layer; k++) {
        const char *weight = run[0].layer[k].weight;
        bool differ = false;
        for (int i = 1; i < n; i++)
            differ = differ || layers_differ(&run[0].layer[k], find_layer(&run[i], weight));
        equal += !differ;
        if (!differ)
            continue;
        qs_table_cell(t, "%s", weight);
        for (int i = 0; i < n; i++) {
            const struct qs_run_layer *l = find_layer(&run[i], weight);
            qs_table_cell(t, l && l->bits ? "%s %d" : "%s", l ? _(l->action) : "-",
                          l ? l->bits : 0);
            qs_table_cell(t, l && !isnan(l->sqnr_db) ? "%.1f" : "-", l ? l->sqnr_db : 0.0);
        }
    }
    qs_table_print(t, stdout, false);
    printf(_("layers that are the same in all: %d\n"), equal);
}

static enum qs_err
run_compare(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg,
            int n_arg)
{
    struct qs_run *run = qs_xcalloc((size_t)n_arg, sizeof(*run));
    enum qs_err err = QS_OK;
    (void)options;
    for (int i = 0; i < n_arg && !err; i++)
        err = qs_run_by_text(cx, common->db, arg[i], &run[i]);
    if (!err && common->json)
        err = qs_print_json(cx, compare_json(run, n_arg));
    else if (!err)
        print_compare(run, n_arg);
    for (int i = 0; i < n_arg; i++)
        qs_run_release(&run[i]);
    free(run);
    return err;
}

const struct qs_cmd qs_cmd_compare = {
    .name = "compare",
    .args = "ID1 ID2 [...]",
    .summary = N_("runs side by side: plans, sizes, and the layers that differ"),
    .min_args = 2,
    .max_args = 16,
    .run = run_compare,
};
