/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of the workbench: what changes it, with undo, and what shows that it changed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/text.h"
#include "ui/ui.h"

void
ui_plan_changed(struct ui *ui)
{
    if (ui->model) {
        ui_model_decide(ui->model, &ui->plan.now);
        ui_task_sqnr(ui);
        if (ui->plan.now.method == QS_METHOD_STATIC)
            ui_task_seen(ui, false);
    }
    ui_emit(ui, UI_EVENT_PLAN);
}

bool
ui_plan_set(struct ui *ui, const struct qs_opt *opt, const char *text)
{
    struct qs_ctx cx;
    qs_ctx_init(&cx);
    ui_plan_keep(&ui->plan);
    if (qs_opt_set(&cx, opt, text, &ui->plan.now) != QS_OK) {
        ui_plan_forget(&ui->plan);
        ui_say(ui, UI_BAD, "%s", qs_message(&cx));
        return false;
    }
    ui_plan_changed(ui);
    return true;
}

static void
begin_command(const struct ui *ui, const char *command, struct qs_str *out)
{
    qs_str_printf(out, "qslim %s ", command);
    if (ui->model)
        qs_str_add_quoted(out, ui_below_here(ui->model->opened->path));
    else
        qs_str_add(out, "MODEL");
    qs_str_add(out, " -o FOLDER");
    if (ui->model && ui->model->opened->params) {
        qs_str_add(out, " --params ");
        qs_str_add_quoted(out, ui->model->opened->params);
    }
}

void
ui_plan_command(const struct ui *ui, struct qs_str *out)
{
    begin_command(ui, "quantize", out);
    qs_plan_print_command(&ui->plan.now, out);
}

void
ui_export_command(const struct ui *ui, struct qs_str *out)
{
    begin_command(ui, "export", out);
    qs_str_add(out, " --to fp32");
}

void
ui_rule_pattern_add(struct ui *ui, const char *pattern, const char *what)
{
    struct qs_ctx cx;
    struct qs_rule rule;
    char *text = qs_xasprintf("%s=%s", pattern, what);
    qs_ctx_init(&cx);
    if (qs_rule_parse(&cx, text, &rule) != QS_OK) {
        ui_say(ui, UI_BAD, "%s", qs_message(&cx));
        free(text);
        return;
    }
    qs_rule_release(&rule);
    free(text);
    ui_plan_keep(&ui->plan);
    ui_plan_add_rule(&ui->plan.now, pattern, what);
    ui_plan_changed(ui);
    if (ui->model && ui->model->why[0])
        ui_say(ui, UI_BAD, "%s", ui->model->why);
}

static bool
all_have_rule(const struct ui *ui, char *const *pattern, int n, const char *what)
{
    for (int i = 0; i < n; i++)
        if (!ui_plan_has_rule(&ui->plan.now, pattern[i], what))
            return false;
    return true;
}

void
ui_rule_layers(struct ui *ui, const int *layer, int n, const char *what)
{
    if (!ui->model || n == 0)
        return;
    char **pattern = qs_xcalloc((size_t)n, sizeof(*pattern));
    for (int i = 0; i < n; i++)
        pattern[i] = ui_rule_pattern(ui_layer_name(ui->model, layer[i]));
    const bool take_back = !what || all_have_rule(ui, pattern, n, what);
    ui_plan_keep(&ui->plan);
    for (int i = 0; i < n; i++) {
        if (take_back)
            ui_plan_drop_rules(&ui->plan.now, pattern[i], what);
        else
            ui_plan_add_rule(&ui->plan.now, pattern[i], what);
        free(pattern[i]);
    }
    free(pattern);
    ui_plan_changed(ui);
    if (!take_back && ui->model->why[0])
        ui_say(ui, UI_BAD, _("%s; u undoes"), ui->model->why);
    else if (take_back)
        ui_say(ui, UI_DIM, _("rules of %d layers taken back"), n);
    else
        ui_say(ui, UI_DIM, _("rule '%s' for %d layers"), what, n);
}

/* "algo:kl" or "threshold:5.75"; false: it is neither. */
static bool
calibrator_rule(const char *name, char *out, size_t cap)
{
    char *end = NULL;
    const double t = strtod(name, &end);
    if (end != name && !*end && t > 0 && isfinite(t)) {
        snprintf(out, cap, "threshold:%.9g", t);
        return true;
    }
    for (int i = 0; qs_algo_names[i]; i++)
        if (strcmp(qs_algo_names[i], name) == 0) {
            snprintf(out, cap, "algo:%s", name);
            return true;
        }
    return false;
}

void
ui_rule_calibrator(struct ui *ui, const int *layer, int n, const char *arg)
{
    char name[64] = "", pattern[512] = "", what[96];
    if (sscanf(arg, "%63s %511[^\n]", name, pattern) < 1 ||
        !calibrator_rule(name, what, sizeof(what))) {
        ui_say(ui, UI_BAD, _("'%s' is no calibrator and no threshold"), name);
        return;
    }
    if (ui->plan.now.method != QS_METHOD_STATIC)
        ui_say(ui, UI_CAUTION, _("calibrators are for method static; :set method static"));
    else if (pattern[0])
        ui_rule_pattern_add(ui, pattern, what);
    else if (n == 0)
        ui_say(ui, UI_CAUTION, _("no weight here that can be quantized"));
    else
        ui_rule_layers(ui, layer, n, what);
}

static void
save_plan(struct ui *ui, const char *path)
{
    struct qs_ctx cx;
    qs_ctx_init(&cx);
    if (qs_plan_save(&cx, &ui->plan.now, path, true) != QS_OK)
        ui_say(ui, UI_BAD, "%s", qs_message(&cx));
    else
        ui_say(ui, UI_GOOD, _("plan written to '%s'"), path);
}

static void
load_plan(struct ui *ui, const char *path)
{
    struct qs_ctx cx;
    qs_ctx_init(&cx);
    ui_plan_keep(&ui->plan);
    qs_plan_release(&ui->plan.now);
    qs_plan_init(&ui->plan.now);
    if (qs_plan_load(&cx, path, &ui->plan.now) != QS_OK) {
        ui_plan_forget(&ui->plan);
        ui_say(ui, UI_BAD, "%s", qs_message(&cx));
        return;
    }
    ui_plan_changed(ui);
    ui_say(ui, UI_GOOD, _("plan read from '%s'"), path);
}

bool
ui_plan_act(struct ui *ui, enum ui_action act, const char *arg)
{
    if (act == UI_ACT_UNDO || act == UI_ACT_REDO) {
        const bool undo = act == UI_ACT_UNDO;
        if (undo ? ui_plan_undo(&ui->plan) : ui_plan_redo(&ui->plan))
            ui_plan_changed(ui);
        else
            ui_say(ui, UI_DIM, undo ? _("nothing to undo") : _("nothing to do again"));
    } else if (act == UI_ACT_RUN) {
        ui_task_quantize(ui, arg, false);
    } else if (act == UI_ACT_SAVE_PLAN) {
        save_plan(ui, arg);
    } else if (act == UI_ACT_LOAD_PLAN) {
        load_plan(ui, arg);
    } else {
        return false;
    }
    return true;
}
