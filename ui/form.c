/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/form.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/ui.h"

static void
text_name(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, ((const struct ui_form *)arg)->opt[row]->name);
}

static void
text_value(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct ui_form *f = arg;
    const struct qs_opt *opt = f->opt[row];
    (void)c;
    if (opt->type == QS_OPT_FLAG)
        qs_str_add(out, *(const bool *)((const char *)f->base + opt->offset) ? "[x]" : "[ ]");
    else
        qs_opt_print(opt, f->base, out);
}

static enum ui_item
style_value(const struct ui_column *c, void *arg, int row)
{
    const struct ui_form *f = arg;
    (void)c;
    return qs_opt_is_default(f->opt[row], f->base) ? UI_TEXT : UI_STRONG;
}

static void
text_help(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, _(((const struct ui_form *)arg)->opt[row]->help));
}

static enum ui_item
style_help(const struct ui_column *c, void *arg, int row)
{
    (void)c;
    (void)arg;
    (void)row;
    return UI_DIM;
}

static const struct ui_column column[] = {
    {.name = "choice",
     .title = N_("choice"),
     .least = 19,
     .most = 24,
     .help = N_("name, as on the command line"),
     .text = text_name},
    {.name = "value",
     .title = N_("value"),
     .least = 10,
     .most = 24,
     .help = N_("as it is now"),
     .text = text_value,
     .style = style_value},
    {.name = "help",
     .title = N_("what it is"),
     .least = 24,
     .drop = 1,
     .help = N_("what it is"),
     .text = text_help,
     .style = style_help},
};

void
ui_form_init(struct ui_form *f, const struct qs_opt *opt, int n, const char *leave_out,
             const void *base,
             void (*set)(struct ui *ui, const struct qs_opt *opt, const char *text))
{
    *f = (struct ui_form){.base = base, .set = set};
    f->opt = qs_xcalloc((size_t)n + 1, sizeof(const struct qs_opt *));
    for (int i = 0; i < n; i++)
        if (opt[i].type != QS_OPT_LIST && !qs_in_list(leave_out, opt[i].name))
            f->opt[f->n++] = &opt[i];
    ui_table_init(&f->table, column, QS_LEN(column), f);
    ui_table_set_rows(&f->table, f->n);
}

void
ui_form_release(struct ui_form *f)
{
    ui_table_release(&f->table);
    free(f->opt);
}

static const struct qs_opt *
current(const struct ui_form *f)
{
    const int row = ui_table_row(&f->table);
    return row >= 0 ? f->opt[row] : NULL;
}

static int
int_value(const struct ui_form *f, const struct qs_opt *opt)
{
    return *(const int *)((const char *)f->base + opt->offset);
}

static int
count_choices(const struct qs_opt *opt)
{
    int n = 0;
    while (opt->choices[n])
        n++;
    return n;
}

/* A tenth of the range at first steps, rounded to what people write. */
static void
step_float(const struct ui_form *f, const struct qs_opt *opt, int step, char *out, size_t cap)
{
    const double v = *(const double *)((const char *)f->base + opt->offset);
    const double unit = pow(10, floor(log10((opt->max - opt->min) / 100)));
    double next = v + step * unit;
    next = next < opt->min ? opt->min : next > opt->max ? opt->max : next;
    snprintf(out, cap, "%.10g", next);
}

void
ui_form_step(struct ui_form *f, struct ui *ui, int step)
{
    const struct qs_opt *opt = current(f);
    char text[64] = "";
    if (!opt)
        return;
    switch (opt->type) {
    case QS_OPT_FLAG:
        snprintf(text, sizeof(text), "%s",
                 *(const bool *)((const char *)f->base + opt->offset) ? "no" : "yes");
        break;
    case QS_OPT_INT: {
        const int next = int_value(f, opt) + step;
        if (next < opt->min || next > opt->max)
            return;
        snprintf(text, sizeof(text), "%d", next);
        break;
    }
    case QS_OPT_CHOICE: {
        const int n = count_choices(opt);
        snprintf(text, sizeof(text), "%s", opt->choices[(int_value(f, opt) + step + n) % n]);
        break;
    }
    case QS_OPT_FLOAT:
        step_float(f, opt, step, text, sizeof(text));
        break;
    case QS_OPT_SIZE:
    case QS_OPT_TEXT:
    case QS_OPT_LIST:
        ui_form_edit(f, ui);
        return;
    }
    f->set(ui, opt, text);
}

/* The cursor cannot move while the prompt is open. */
static void
typed(struct ui *ui, void *arg, const char *text)
{
    struct ui_form *f = arg;
    if (current(f))
        f->set(ui, current(f), text);
}

void
ui_form_edit(struct ui_form *f, struct ui *ui)
{
    const struct qs_opt *opt = current(f);
    struct qs_str value;
    char label[160];
    if (!opt)
        return;
    if (opt->type == QS_OPT_FLAG || opt->type == QS_OPT_CHOICE) {
        ui_form_step(f, ui, 1);
        return;
    }
    qs_str_init(&value);
    qs_opt_print(opt, f->base, &value);
    snprintf(label, sizeof(label), "%s (%s): ", opt->name, opt->arg ? opt->arg : "");
    const bool path = opt->arg && strcmp(opt->arg, "FILE") == 0;
    ui_ask(ui, path ? UI_PROMPT_PATH : UI_PROMPT_TEXT, label, value.s, typed, f);
    qs_str_release(&value);
}
