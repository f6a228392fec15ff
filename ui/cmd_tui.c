/* SPDX-License-Identifier: Apache-2.0 */
/* qslim tui: starts the workbench, on the terminal or, with --script, without one. */
#include <locale.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "ui/script.h"
#include "ui/ui.h"

struct options {
    char *params, *script, *save_screen, *size;
    struct qs_strv shape;
    bool ascii;
    int color;
};

static const char *const colors[] = {"auto", "never", NULL};
enum { COLOR_AUTO, COLOR_NEVER };

#define AT(member) offsetof(struct options, member)
static const struct qs_opt opts[] = {
    {"params", 0, QS_OPT_TEXT, AT(params), 0, 0, NULL, NULL, "FILE",
     N_("the combined parameter file, when it is not beside the program")},
    {"shape", 0, QS_OPT_LIST, AT(shape), 0, 0, NULL, NULL, "NAME=DIMS",
     N_("shape of an input, as x=1,3,224,224; repeatable")},
    {"ascii", 0, QS_OPT_FLAG, AT(ascii), 0, 0, NULL, NULL, NULL,
     N_("draw with ASCII characters only")},
    {"color", 0, QS_OPT_CHOICE, AT(color), 0, 0, colors, "auto", "WHEN",
     N_("auto, or never as with NO_COLOR set")},
    {"script", 0, QS_OPT_TEXT, AT(script), 0, 0, NULL, NULL, "FILE",
     N_("press the keys in FILE, without a terminal")},
    {"save-screen", 0, QS_OPT_TEXT, AT(save_screen), 0, 0, NULL, NULL, "FILE",
     N_("with --script, write the last screen to FILE")},
    {"size", 0, QS_OPT_TEXT, AT(size), 0, 0, NULL, "80x24", "WxH",
     N_("with --script, columns and rows of the screen")},
};
#undef AT

static enum qs_err
parse_size(struct qs_ctx *cx, const char *text, struct ui_screen_options *out)
{
    enum { LARGEST = 1000 };
    char rest;
    if (sscanf(text, "%dx%d%c", &out->width, &out->height, &rest) == 2 && out->width > 0 &&
        out->height > 0 && out->width <= LARGEST && out->height <= LARGEST)
        return QS_OK;
    return qs_fail(cx, QS_ERR_USAGE, _("--size takes columns and rows such as 80x24, not '%s'"),
                   text);
}

static enum qs_err
open_screen(struct qs_ctx *cx, const struct options *opt, struct ui_screen **out)
{
    const char *no_color = getenv("NO_COLOR");
    struct ui_screen_options so = {
        .ascii = opt->ascii,
        .no_colour = opt->color == COLOR_NEVER || (no_color && *no_color),
    };
    if (opt->script && parse_size(cx, opt->size, &so) != QS_OK)
        return cx->err;
    /* what is drawn is UTF-8 whatever the locale; curses converts */
    bind_textdomain_codeset("qslim", "UTF-8");
    return ui_screen_open(cx, &so, out);
}

static enum qs_err
play(struct qs_ctx *cx, struct ui *ui, const struct options *opt)
{
    enum { LARGEST = 1 << 20 };
    char *text = NULL;
    size_t n;
    enum qs_err err = qs_read_text(cx, opt->script, _("script"), LARGEST, &text, &n);
    if (!err)
        err = ui_script_run(cx, ui, text, opt->script);
    free(text);
    if (!err && opt->save_screen) {
        ui_draw(ui);
        err = ui_screen_save(cx, ui->screen, opt->save_screen);
    }
    return err;
}

static void
take_theme(struct ui *ui)
{
    const char *theme = ui_config_get(&ui->config, "theme");
    for (int i = 0; theme && ui_theme_name[i]; i++)
        if (strcmp(ui_theme_name[i], theme) == 0)
            ui_screen_set_theme(ui->screen, (enum ui_theme)i);
}

static void
start(struct ui *ui, struct qs_opened *model)
{
    if (model)
        ui_adopt(ui, model);
    else
        ui_go(ui, UI_VIEW_MODELS);
}

static void
end_views(struct ui *ui)
{
    for (int v = 0; v < UI_N_VIEWS; v++)
        if (ui->state[v]) {
            ui_views[v].view->close(ui, ui->state[v]);
            ui->state[v] = NULL;
        }
}

static enum qs_err
run(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg, int n_arg)
{
    const struct options *opt = options;
    struct qs_opened *model = NULL;
    struct ui ui;
    enum qs_err err = ui_init(cx, &ui);
    /* opening maps and parses, no more; a model that cannot be opened leaves the screen alone */
    if (!err && n_arg > 0)
        err = qs_app_open(cx, arg[0], opt->params, &opt->shape, &model);
    if (!err)
        err = open_screen(cx, opt, &ui.screen);
    if (err) {
        qs_app_close(model);
        ui_release(&ui);
        return err;
    }
    ui.db = common->db;
    if (!opt->script)
        ui_config_load(&ui.config);
    take_theme(&ui);
    start(&ui, model);
    if (opt->script)
        err = play(cx, &ui, opt);
    else
        ui_loop(&ui);
    end_views(&ui);
    ui_config_save(&ui.config);
    /* the shell comes back before a job that has to be waited for has ended */
    ui_screen_close(ui.screen);
    const int sig = ui.killed_by;
    ui_release(&ui);
    if (sig) {
        signal(sig, SIG_DFL);
        raise(sig);
    }
    return err;
}

const struct qs_cmd qs_cmd_tui = {
    .name = "tui",
    .args = "[MODEL]",
    .summary = N_("the workbench: models, graph, layers, plan, runs on the screen"),
    .opt = opts,
    .n_opt = QS_LEN(opts),
    .opt_size = sizeof(struct options),
    .min_args = 0,
    .max_args = 1,
    .run = run,
};
