/* SPDX-License-Identifier: Apache-2.0 */
/* What a key or a line of the command line does: the view first, then the list, then what works
 * everywhere; an action that needs text asks for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/text.h"
#include "ui/ui.h"

/* Actions that work in every view. */

static void
quit_now(struct ui *ui, void *arg, const char *text)
{
    (void)arg;
    (void)text;
    ui->quit = true;
}

static void
act_quit(struct ui *ui, const char *arg)
{
    if (ui_busy(ui) && !(arg && strcmp(arg, "!") == 0))
        ui_ask(ui, UI_PROMPT_YES_NO, _("a job is running; stop it and quit? (y/n) "), "", quit_now,
               NULL);
    else
        ui->quit = true;
}

static void
act_back(struct ui *ui, const char *arg)
{
    struct ui_table *t = ui_focused_table(ui);
    (void)arg;
    if (t && t->range_from >= 0) {
        t->range_from = -1;
    } else if (t && t->filter.text) {
        char why[128];
        (void)ui_table_set_filter(t, NULL, why);
    } else if (!ui_go_back(ui)) {
        act_quit(ui, NULL);
    }
}

static void
run_command_line(struct ui *ui, void *arg, const char *text)
{
    (void)arg;
    ui_command(ui, text);
}

static void
act_command(struct ui *ui, const char *arg)
{
    (void)arg;
    ui_ask(ui, UI_PROMPT_COMMAND, ":", "", run_command_line, NULL);
}

static void
act_pane(struct ui *ui, int step)
{
    const int n = UI_N_VIEWS;
    ui_go(ui, (enum ui_view_id)(((int)ui->view + step + n) % n));
}

static void
act_next_pane(struct ui *ui, const char *arg)
{
    (void)arg;
    act_pane(ui, 1);
}

static void
act_prev_pane(struct ui *ui, const char *arg)
{
    (void)arg;
    act_pane(ui, -1);
}

static void
act_theme(struct ui *ui, const char *arg)
{
    int theme = (ui->screen->theme + 1) % UI_N_THEMES;
    for (int i = 0; arg && ui_theme_name[i]; i++)
        if (strcmp(ui_theme_name[i], arg) == 0)
            theme = i;
    ui_screen_set_theme(ui->screen, (enum ui_theme)theme);
    ui_config_set(&ui->config, "theme", ui_theme_name[theme]);
    ui_redraw(ui->screen);
}

static void
act_save_screen(struct ui *ui, const char *arg)
{
    struct qs_ctx cx;
    qs_ctx_init(&cx);
    ui_pump(ui);
    ui_draw(ui);
    if (ui_screen_save(&cx, ui->screen, arg) != QS_OK)
        ui_say(ui, UI_BAD, "%s", qs_message(&cx));
}

static void
act_set(struct ui *ui, const char *arg)
{
    char name[64] = "";
    int at = 0;
    if (sscanf(arg, "%63s %n", name, &at) < 1 || at == 0)
        at = (int)strlen(arg);
    const struct qs_opt *opt = qs_opts_find(qs_plan_opts, qs_n_plan_opts, name, strlen(name));
    if (!opt)
        ui_say(ui, UI_BAD, _("the plan has no choice '%s'"), name);
    else
        ui_plan_set(ui, opt, arg + at);
}

static void
act_open(struct ui *ui, const char *arg)
{
    ui_task_open(ui, arg);
}

static void
act_eval(struct ui *ui, const char *arg)
{
    int64_t samples;
    char *data = ui_split_count(arg, &samples);
    ui_task_eval(ui, data, samples);
    free(data);
}

/* What the Sensitivity view does wherever it is asked for. */
static void
in_sensitivity(struct ui *ui, enum ui_action act, const char *arg)
{
    ui_go(ui, UI_VIEW_SENSITIVITY);
    ui_views[ui->view].view->act(ui, ui->state[ui->view], act, arg);
}

static void
act_scan(struct ui *ui, const char *arg)
{
    in_sensitivity(ui, UI_ACT_SCAN, arg);
}

static void
act_resume_scan(struct ui *ui, const char *arg)
{
    in_sensitivity(ui, UI_ACT_RESUME_SCAN, arg);
}

static void
act_propose(struct ui *ui, const char *arg)
{
    in_sensitivity(ui, UI_ACT_PROPOSE, arg);
}

static void
act_calibrate(struct ui *ui, const char *arg)
{
    int64_t samples;
    char *data = ui_split_count(arg, &samples);
    ui_task_calibrate(ui, data, samples);
    free(data);
}

static void
act_wait(struct ui *ui, const char *arg)
{
    (void)arg;
    ui_wait_idle(ui);
}

static void
act_redraw(struct ui *ui, const char *arg)
{
    (void)arg;
    ui_redraw(ui->screen);
}

static void
act_suspend(struct ui *ui, const char *arg)
{
    (void)arg;
    ui_screen_suspend(ui->screen);
}

static const struct {
    enum ui_action act;
    void (*run)(struct ui *ui, const char *arg);
} global[] = {
    {UI_ACT_BACK, act_back},           {UI_ACT_NEXT_PANE, act_next_pane},
    {UI_ACT_PREV_PANE, act_prev_pane}, {UI_ACT_COMMAND, act_command},
    {UI_ACT_OPEN, act_open},           {UI_ACT_EVAL, act_eval},
    {UI_ACT_CALIBRATE, act_calibrate}, {UI_ACT_SET, act_set},
    {UI_ACT_THEME, act_theme},         {UI_ACT_SAVE_SCREEN, act_save_screen},
    {UI_ACT_WAIT, act_wait},           {UI_ACT_REDRAW, act_redraw},
    {UI_ACT_SCAN, act_scan},           {UI_ACT_RESUME_SCAN, act_resume_scan},
    {UI_ACT_PROPOSE, act_propose},     {UI_ACT_SUSPEND, act_suspend},
    {UI_ACT_QUIT, act_quit},
};

static bool
act_global(struct ui *ui, enum ui_action act, const char *arg)
{
    if (act >= UI_ACT_VIEW_MODELS) {
        ui_go(ui, (enum ui_view_id)(act - UI_ACT_VIEW_MODELS));
        return true;
    }
    for (size_t i = 0; i < QS_LEN(global); i++)
        if (global[i].act == act) {
            global[i].run(ui, arg);
            return true;
        }
    return ui_plan_act(ui, act, arg);
}

/* Actions of lists that take text. */
static bool
act_list(struct ui *ui, struct ui_table *t, enum ui_action act, const char *arg)
{
    char why[128] = "";
    if (act == UI_ACT_FILTER) {
        if (!ui_table_set_filter(t, arg, why))
            ui_say(ui, UI_BAD, _("bad pattern '%s': %s"), arg, why);
        return true;
    }
    if (act == UI_ACT_SORT) {
        const int c = arg && *arg ? ui_table_find_column(t, arg) : -1;
        if (c < 0 && arg && *arg)
            ui_say(ui, UI_BAD, _("no column '%s' here"), arg);
        else
            ui_table_sort_by(t, c);
        return true;
    }
    if (act == UI_ACT_SEARCH && !ui_table_set_search(t, arg, why)) {
        ui_say(ui, UI_BAD, _("bad pattern '%s': %s"), arg, why);
        return true;
    }
    if (act == UI_ACT_SEARCH || act == UI_ACT_SEARCH_NEXT || act == UI_ACT_SEARCH_PREV) {
        if (!ui_table_search(t, act == UI_ACT_SEARCH_PREV ? -1 : 1))
            ui_say_missed(ui, t);
        return true;
    }
    return ui_table_act(t, act);
}

static void
act_with_text(struct ui *ui, void *arg, const char *text)
{
    const enum ui_action act = (enum ui_action)(intptr_t)arg;
    const bool may_be_empty = ui_actions[act].arg[0] == '[';
    if (*text || may_be_empty)
        ui_act(ui, act, text);
}

/* What stands in the line when an action asks. */
static void
initial_text(const struct ui *ui, enum ui_action act, struct qs_str *out)
{
    const struct ui_table *t = ui_focused_table(ui);
    const struct qs_plan *plan = &ui->plan.now;
    if ((act == UI_ACT_CALIBRATE || act == UI_ACT_SCAN) && plan->data) {
        qs_str_add(out, plan->data);
        if (plan->samples)
            qs_str_printf(out, " %d", plan->samples);
    } else if (act == UI_ACT_FILTER && t && t->filter.text) {
        qs_str_add(out, t->filter.text);
    }
}

void
ui_ask_argument(struct ui *ui, enum ui_action act)
{
    const struct ui_action_row *row = &ui_actions[act];
    char label[160];
    if (act == UI_ACT_SEARCH || act == UI_ACT_FILTER)
        snprintf(label, sizeof(label), "%s", act == UI_ACT_SEARCH ? "/" : "\\");
    else
        snprintf(label, sizeof(label), "%s (%s): ", _(row->help), row->arg);
    struct qs_str initial;
    qs_str_init(&initial);
    initial_text(ui, act, &initial);
    ui_ask(ui, ui_takes_path(act) ? UI_PROMPT_PATH : UI_PROMPT_TEXT, label, initial.s,
           act_with_text, (void *)(intptr_t)act);
    qs_str_release(&initial);
}

/* An action that needs text asks for it when a key gave it. */
static bool
needs_argument(enum ui_action act)
{
    const char *arg = ui_actions[act].arg;
    return arg && (arg[0] != '[' || act == UI_ACT_FILTER);
}

bool
ui_act(struct ui *ui, enum ui_action act, const char *arg)
{
    const struct ui_view *v = ui_views[ui->view].view;
    ui->dirty = true;
    if (!arg && needs_argument(act)) {
        ui_ask_argument(ui, act);
        return true;
    }
    if (v->act && v->act(ui, ui->state[ui->view], act, arg))
        return true;
    struct ui_table *t = ui_focused_table(ui);
    if (t && act_list(ui, t, act, arg))
        return true;
    return act_global(ui, act, arg);
}

/* The name may be one of other views. */
static void
say_no_command(struct ui *ui, const char *name)
{
    const unsigned views = (1U << UI_N_VIEWS) - 1;
    const enum ui_action act = ui_action_find(name, views | UI_IN_LIST | UI_IN_DRAWN);
    struct qs_str where;
    if (act == UI_ACT_NONE || !(ui_actions[act].where & views)) {
        ui_say(ui, UI_BAD, _("no command '%s' here; Tab completes, ? lists them"), name);
        return;
    }
    qs_str_init(&where);
    for (int v = 0; v < UI_N_VIEWS; v++)
        if (ui_actions[act].where & 1U << v)
            qs_str_printf(&where, "%s%s", where.n ? ", " : "", _(ui_views[v].title));
    ui_say(ui, UI_BAD, _("command '%s' is for: %s"), ui_actions[act].name, where.s);
    qs_str_release(&where);
}

void
ui_command(struct ui *ui, const char *line)
{
    char name[64] = "";
    int at = 0;
    while (*line == ':' || *line == ' ')
        line++;
    if (!*line)
        return;
    if (sscanf(line, "%63s %n", name, &at) < 1 || at == 0)
        at = (int)strlen(line);
    const enum ui_action act = ui_action_find(name, ui_where(ui));
    if (act == UI_ACT_NONE) {
        say_no_command(ui, name);
        return;
    }
    const char *arg = line + at;
    /* what needs text asks for it, as a key would */
    ui_act(ui, act, *arg || (ui_actions[act].arg && ui_actions[act].arg[0] == '[') ? arg : NULL);
}
