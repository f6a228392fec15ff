/* SPDX-License-Identifier: Apache-2.0 */
/* Runs: every run of the store. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/text.h"
#include "ui/ui.h"

static const struct qs_run *
at(void *arg, int row)
{
    return &((struct ui_list *)arg)->ui->runs.run[row];
}

static double
ratio(const struct qs_run *r)
{
    return r->bytes_after > 0 ? (double)r->bytes_before / (double)r->bytes_after : NAN;
}

/* Numbers by column->data; NaN: none. */
enum number { ID, BITS, BEFORE, AFTER, RATIO, SECONDS, STARTED, PARENT };

static double
number(const struct qs_run *r, int which)
{
    const double v[] = {(double)r->id,
                        r->bits > 0 ? r->bits : NAN,
                        (double)r->bytes_before,
                        (double)r->bytes_after,
                        ratio(r),
                        r->seconds,
                        r->started,
                        r->parent > 0 ? (double)r->parent : NAN};
    return v[which];
}

static double
value_number(const struct ui_column *c, void *arg, int row)
{
    return number(at(arg, row), c->data);
}

static void
text_number(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct qs_run *r = at(arg, row);
    const double v = number(r, c->data);
    if (isnan(v) || (v <= 0 && c->data != SECONDS))
        return;
    if (c->data == BEFORE || c->data == AFTER)
        ui_add_bytes(out, (int64_t)v);
    else if (c->data == RATIO)
        qs_str_printf(out, "%.2f", v);
    else if (c->data == SECONDS)
        qs_str_printf(out, "%.2f s", v);
    else if (c->data == STARTED)
        ui_add_time(out, v);
    else
        qs_str_printf(out, "%lld", (long long)v);
}

/* Texts by column->data. */
enum text { KIND, METHOD, STATE, TAG, OUTPUT, MESSAGE, ISA };

static const char *
text_of(const struct qs_run *r, int which)
{
    const char *const v[] = {r->kind, r->method, r->state, r->tag, r->output, r->message, r->isa};
    return v[which] ? v[which] : "";
}

static void
text_text(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const char *text = text_of(at(arg, row), c->data);
    qs_str_add(out, c->data == OUTPUT           ? ui_below_here(text)
                    : c->data == STATE && *text ? _(text)
                                                : text);
}

static void
text_model(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const char *path = at(arg, row)->model_path;
    char *name = ui_short_name(path ? path : "");
    (void)c;
    qs_str_add(out, name);
    free(name);
}

static enum ui_item
style_state(const struct ui_column *c, void *arg, int row)
{
    const char *s = text_of(at(arg, row), STATE);
    (void)c;
    return strcmp(s, "done") == 0 ? UI_GOOD : strcmp(s, "running") == 0 ? UI_STRONG : UI_BAD;
}

static void
text_metrics(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    const struct qs_run *r = at(arg, row);
    (void)c;
    for (int i = 0; i < r->n_metric; i++) {
        if (isnan(r->metric[i].value))
            continue;
        qs_str_printf(out, "%s%s ", out->n ? ", " : "", r->metric[i].name);
        ui_add_metric(out, r->metric[i].name, r->metric[i].value);
    }
}

#define NUMBER .text = text_number, .value = value_number
#define TEXT .text = text_text
static const struct ui_column column[] = {
    {.name = "id",
     .title = N_("run"),
     .least = 5,
     .most = 7,
     .right = true,
     .help = N_("number of the run"),
     .data = ID,
     NUMBER},
    {.name = "when",
     .title = N_("when"),
     .least = 16,
     .most = 16,
     .drop = 7,
     .help = N_("when it began"),
     .data = STARTED,
     NUMBER},
    {.name = "model",
     .title = N_("model"),
     .least = 14,
     .most = 44,
     .help = N_("what was quantized"),
     .text = text_model},
    {.name = "method",
     .title = N_("method"),
     .least = 11,
     .most = 14,
     .drop = 5,
     .help = N_("method of the plan"),
     .data = METHOD,
     TEXT},
    {.name = "bits",
     .title = N_("bits"),
     .least = 4,
     .most = 4,
     .right = true,
     .drop = 4,
     .help = N_("bits of the weights"),
     .data = BITS,
     NUMBER},
    {.name = "before",
     .title = N_("before"),
     .least = 8,
     .most = 8,
     .right = true,
     .drop = 8,
     .unit = N_("bytes"),
     .help = N_("size of program and parameters before"),
     .data = BEFORE,
     NUMBER},
    {.name = "after",
     .title = N_("after"),
     .least = 8,
     .most = 8,
     .right = true,
     .drop = 6,
     .unit = N_("bytes"),
     .help = N_("size after"),
     .data = AFTER,
     NUMBER},
    {.name = "ratio",
     .title = N_("ratio"),
     .least = 6,
     .most = 6,
     .right = true,
     .help = N_("how many times smaller"),
     .data = RATIO,
     NUMBER},
    {.name = "state",
     .title = N_("state"),
     .least = 8,
     .most = 11,
     .drop = 3,
     .help = N_("how it ended"),
     .data = STATE,
     TEXT,
     .style = style_state},
    {.name = "tag",
     .title = N_("tag"),
     .least = 8,
     .most = 24,
     .drop = 1,
     .help = N_("name given by you"),
     .data = TAG,
     TEXT},
    {.name = "metrics",
     .title = N_("metrics"),
     .least = 12,
     .most = 40,
     .drop = 2,
     .help = N_("what was measured"),
     .text = text_metrics},
    {.name = "seconds",
     .title = N_("time"),
     .least = 8,
     .most = 9,
     .right = true,
     .drop = 9,
     .unit = N_("s"),
     .help = N_("how long it took"),
     .data = SECONDS,
     NUMBER},
    {.name = "output",
     .title = N_("output"),
     .least = 12,
     .most = 60,
     .drop = 10,
     .help = N_("folder it was written to"),
     .data = OUTPUT,
     TEXT},
    {.name = "parent",
     .title = N_("repeats"),
     .least = 7,
     .most = 7,
     .right = true,
     .drop = 11,
     .help = N_("run it repeats"),
     .data = PARENT,
     NUMBER},
    {.name = "isa",
     .title = N_("ISA"),
     .least = 8,
     .most = 12,
     .drop = 12,
     .help = N_("instruction set it ran with"),
     .data = ISA,
     TEXT},
    {.name = "message",
     .title = N_("message"),
     .least = 12,
     .drop = 13,
     .help = N_("why it failed"),
     .data = MESSAGE,
     TEXT},
};
#undef NUMBER
#undef TEXT

/* A list read again keeps marks and cursor. */
static void
new_rows(struct ui_list *list)
{
    const struct qs_runs *runs = &list->ui->runs;
    int64_t *id = qs_xcalloc((size_t)runs->n + 1, sizeof(*id));
    for (int i = 0; i < runs->n; i++)
        id[i] = runs->run[i].id;
    ui_table_set_rows_by_id(&list->table, id, runs->n);
}

static void *
open_view(struct ui *ui)
{
    struct ui_list *list = ui_list_open(ui, sizeof(*list), "runs", column, QS_LEN(column));
    new_rows(list);
    if (!ui->runs_read)
        ui_task_runs(ui);
    return list;
}

static void
update(struct ui *ui, void *state, enum ui_event ev)
{
    (void)ui;
    if (ev == UI_EVENT_RUNS)
        new_rows(state);
}

static void
draw(struct ui *ui, void *state, struct ui_rect r)
{
    struct ui_list *list = state;
    ui_table_draw(&list->table, ui->screen, r, true);
    if (ui->runs.n == 0 && r.h > 2)
        ui_put(ui->screen, r.y + 2, r.x + 2, r.w - 2, UI_DIM,
               ui->runs_read ? _("no runs yet; Q in the plan quantizes")
                             : _("reading the runs ..."));
}

/* Export: the rows as shown, columns as text but numbers as numbers in JSON. */

static void
put_csv_cell(struct qs_str *out, const char *s)
{
    if (!strpbrk(s, ",\"\n\r")) {
        qs_str_add(out, s);
        return;
    }
    qs_str_add(out, "\"");
    for (; *s; s++) {
        if (*s == '"')
            qs_str_add(out, "\"");
        qs_str_addn(out, s, 1);
    }
    qs_str_add(out, "\"");
}

static void
put_markdown_cell(struct qs_str *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '|')
            qs_str_add(out, "\\");
        qs_str_addn(out, s, 1);
    }
}

/* Bytes and seconds as plain numbers, states not translated: files are for programs too. */
static void
exact_cell(struct ui_list *list, int c, int row, struct qs_str *cell)
{
    qs_str_clear(cell);
    if (column[c].value && column[c].data != STARTED) {
        const double v = number(at(list, row), column[c].data);
        if (!isnan(v))
            qs_str_printf(cell, "%.10g", v);
    } else if (column[c].data == STATE && column[c].text == text_text) {
        qs_str_add(cell, text_of(at(list, row), STATE));
    } else {
        ui_table_cell_text(&list->table, c, row, cell);
    }
}

static void
export_lines(struct ui_list *list, struct qs_str *out, bool csv)
{
    const char *before = csv ? "" : "| ", *between = csv ? "," : " | ",
               *after = csv ? "\n" : " |\n";
    void (*const put)(struct qs_str *, const char *) = csv ? put_csv_cell : put_markdown_cell;
    struct qs_str cell;
    qs_str_init(&cell);
    for (size_t c = 0; c < QS_LEN(column); c++)
        qs_str_printf(out, "%s%s", c ? between : before, column[c].name);
    qs_str_add(out, after);
    for (size_t c = 0; !csv && c < QS_LEN(column); c++)
        qs_str_printf(out, "%s%s", c ? "|" : "|", column[c].right ? "---:" : "---");
    qs_str_add(out, csv ? "" : "|\n");
    for (int i = 0; i < list->table.n_shown; i++) {
        for (size_t c = 0; c < QS_LEN(column); c++) {
            exact_cell(list, (int)c, list->table.order[i], &cell);
            qs_str_add(out, c ? between : before);
            put(out, cell.s);
        }
        qs_str_add(out, after);
    }
    qs_str_release(&cell);
}

static json_t *
json_cell(struct ui_list *list, int c, int row, struct qs_str *cell)
{
    if (column[c].value && column[c].data != STARTED) {
        const double v = number(at(list, row), column[c].data);
        return isnan(v)                          ? json_null()
               : v == floor(v) && fabs(v) < 9e15 ? json_integer((json_int_t)v)
                                                 : json_real(v);
    }
    exact_cell(list, c, row, cell);
    json_t *text = json_string(cell->s);
    return text ? text : json_string("?"); /* a path that is no UTF-8 */
}

static void
export_json(struct ui_list *list, struct qs_str *out)
{
    json_t *all = json_array();
    struct qs_str cell;
    qs_str_init(&cell);
    for (int i = 0; i < list->table.n_shown; i++) {
        json_t *run = json_object();
        for (size_t c = 0; c < QS_LEN(column); c++)
            json_object_set_new(run, column[c].name,
                                json_cell(list, (int)c, list->table.order[i], &cell));
        json_array_append_new(all, run);
    }
    char *text = json_dumps(all, JSON_INDENT(2));
    qs_str_printf(out, "%s\n", text ? text : "[]");
    free(text);
    json_decref(all);
    qs_str_release(&cell);
}

static bool
ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

static void
export_rows(struct ui_list *list, const char *path)
{
    struct ui *ui = list->ui;
    struct qs_ctx cx;
    struct qs_writer *w = NULL;
    struct qs_str text;
    if (!ends_with(path, ".csv") && !ends_with(path, ".json") && !ends_with(path, ".md")) {
        ui_say(ui, UI_BAD, _("cannot export to '%s': the name must end in .csv, .json or .md"),
               path);
        return;
    }
    qs_ctx_init(&cx);
    qs_str_init(&text);
    if (ends_with(path, ".json"))
        export_json(list, &text);
    else
        export_lines(list, &text, ends_with(path, ".csv"));
    enum qs_err err = qs_writer_open(&cx, path, 0, &w);
    if (!err)
        err = qs_writer_put(&cx, w, text.s, text.n);
    if (!err)
        err = qs_writer_finish(&cx, w);
    if (!err)
        err = qs_writer_commit(&cx, w, NULL);
    qs_writer_free(w);
    qs_str_release(&text);
    if (err)
        ui_say(ui, UI_BAD, "%s", qs_message(&cx));
    else
        ui_say(ui, UI_GOOD, _("%d runs written to '%s'"), list->table.n_shown, path);
}

static void
remove_chosen(struct ui *ui, void *arg, const char *text)
{
    int n;
    int64_t *id = ui_table_chosen_ids(ui_list_table(arg), &n);
    (void)text;
    ui_task_remove(ui, id, n);
    free(id);
}

static void
ask_remove(struct ui_list *list)
{
    char label[160];
    int n;
    int64_t *id = ui_table_chosen_ids(&list->table, &n);
    if (n == 1)
        snprintf(label, sizeof(label), _("delete run %" PRId64 " from the store? (y/n) "), id[0]);
    else
        snprintf(label, sizeof(label), _("delete %d marked runs from the store? (y/n) "), n);
    if (n > 0)
        ui_ask(list->ui, UI_PROMPT_YES_NO, label, "", remove_chosen, list);
    free(id);
}

static void
tag_chosen(struct ui_list *list, const char *tag)
{
    int n;
    int64_t *id = ui_table_chosen_ids(&list->table, &n);
    if (n > 0)
        ui_task_tag(list->ui, id, n, tag);
    free(id);
}

static bool
act(struct ui *ui, void *state, enum ui_action action, const char *arg)
{
    struct ui_list *list = state;
    const int row = ui_table_row(&list->table);
    if (action == UI_ACT_RESCAN)
        ui_task_runs(ui);
    else if (action == UI_ACT_SHOW_RUN || action == UI_ACT_COMPARE_RUNS)
        ui_compare_chosen(ui, &list->table, action == UI_ACT_COMPARE_RUNS);
    else if (action == UI_ACT_TAG)
        tag_chosen(list, arg);
    else if (action == UI_ACT_DELETE_RUN)
        ask_remove(list);
    else if (action == UI_ACT_EXPORT)
        export_rows(list, arg);
    else if (action == UI_ACT_USE_PLAN && row >= 0)
        ui_task_use_plan(ui, list->table.id[row]);
    else
        return false;
    return true;
}

const struct ui_view ui_view_runs = {
    .open = open_view,
    .close = ui_list_close,
    .update = update,
    .draw = draw,
    .act = act,
    .table = ui_list_table,
};
