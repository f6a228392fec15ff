/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/run_output.h"

struct options {
    bool csv;
};

static const struct qs_opt opts[] = {
    {"csv", 0, QS_OPT_FLAG, offsetof(struct options, csv), 0, 0, NULL, NULL, NULL,
     N_("list as comma-separated values")},
};

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The last folder of the path and the file: model.pdmodel alone says little. */
static const char *
short_path(const char *path)
{
    const char *file = base_name(path);
    const char *s = file > path ? file - 1 : path;
    while (s > path && s[-1] != '/')
        s--;
    return s;
}

static void
print_list(const struct qs_runs *runs, bool csv)
{
    static const char *const key[] = {N_("id"),      N_("state"),  N_("when"), N_("model"),
                                      N_("method"),  N_("bits"),   N_("size"), N_("ratio"),
                                      N_("seconds"), N_("metric"), N_("tag")};
    const char *title[QS_LEN(key)];
    static const enum qs_align align[] = {QS_RIGHT, QS_LEFT,  QS_LEFT,  QS_LEFT, QS_LEFT, QS_RIGHT,
                                          QS_RIGHT, QS_RIGHT, QS_RIGHT, QS_LEFT, QS_LEFT};
    for (size_t i = 0; i < QS_LEN(key); i++)
        title[i] = csv ? key[i] : _(key[i]);
    struct qs_table *t = qs_table_new(QS_LEN(title), title, align);
    for (int i = 0; i < runs->n; i++) {
        const struct qs_run *r = &runs->run[i];
        char when[32], size[16];
        qs_table_cell(t, "%" PRId64, r->id);
        qs_table_cell(t, "%s", csv ? r->state : _(r->state));
        qs_table_cell(t, "%s", qs_format_time(when, sizeof(when), r->started));
        qs_table_cell(t, "%s", csv ? r->model_path : short_path(r->model_path));
        qs_table_cell(t, "%s", r->method);
        qs_table_cell(t, "%d", r->bits);
        if (csv)
            qs_table_cell(t, "%" PRId64, r->bytes_after);
        else
            qs_table_cell(t, "%s", qs_format_bytes(size, sizeof(size), r->bytes_after));
        qs_table_cell(t, r->bytes_before > 0 ? "%.3f" : "-",
                      (double)r->bytes_after / (double)r->bytes_before);
        qs_table_cell(t, "%.3f", r->seconds);
        if (r->n_metric > 0)
            qs_table_cell(t, "%s %.4f", r->metric[0].name, r->metric[0].value);
        else
            qs_table_cell(t, "%s", "");
        qs_table_cell(t, "%s", r->tag);
    }
    qs_table_print(t, stdout, csv);
}

static enum qs_err
list(struct qs_ctx *cx, const struct qs_common *common, const struct options *opt, char **arg,
     int n_arg)
{
    struct qs_runs runs = {0};
    (void)arg;
    (void)n_arg;
    enum qs_err err = qs_app_runs(cx, common->db, &runs);
    if (!err && common->json) {
        json_t *all = json_array();
        for (int i = 0; i < runs.n; i++)
            json_array_append_new(all, qs_run_json(&runs.run[i], false));
        err = qs_print_json(cx, json_pack("{s:o}", "runs", all));
    } else if (!err) {
        print_list(&runs, opt->csv);
    }
    qs_runs_release(&runs);
    return err;
}

static enum qs_err
show_run(struct qs_ctx *cx, const struct qs_common *common, const char *text, bool json)
{
    struct qs_run run = {0};
    enum qs_err err = qs_run_by_text(cx, common->db, text, &run);
    if (!err && json)
        err = qs_print_json(cx, qs_run_json(&run, true));
    else if (!err)
        qs_run_print(&run, true);
    qs_run_release(&run);
    return err;
}

static enum qs_err
show(struct qs_ctx *cx, const struct qs_common *common, const struct options *opt, char **arg,
     int n_arg)
{
    (void)opt;
    (void)n_arg;
    return show_run(cx, common, arg[0], common->json);
}

static enum qs_err
export_run(struct qs_ctx *cx, const struct qs_common *common, const struct options *opt, char **arg,
           int n_arg)
{
    (void)opt;
    (void)n_arg;
    return show_run(cx, common, arg[0], true);
}

static enum qs_err
done(struct qs_ctx *cx, const struct qs_common *common, int64_t id)
{
    return common->json ? qs_print_json(cx, json_pack("{s:I}", "run_id", (json_int_t)id)) : QS_OK;
}

static enum qs_err
remove_run(struct qs_ctx *cx, const struct qs_common *common, const struct options *opt, char **arg,
           int n_arg)
{
    int64_t id;
    (void)opt;
    (void)n_arg;
    enum qs_err err = qs_run_id_parse(cx, arg[0], &id);
    if (!err)
        err = qs_app_run_remove(cx, common->db, id);
    return err ? err : done(cx, common, id);
}

static enum qs_err
tag(struct qs_ctx *cx, const struct qs_common *common, const struct options *opt, char **arg,
    int n_arg)
{
    int64_t id;
    (void)opt;
    (void)n_arg;
    enum qs_err err = qs_run_id_parse(cx, arg[0], &id);
    if (!err)
        err = qs_app_run_tag(cx, common->db, id, arg[1]);
    return err ? err : done(cx, common, id);
}

static const struct action {
    const char *name;
    int n_arg;
    enum qs_err (*run)(struct qs_ctx *cx, const struct qs_common *common, const struct options *opt,
                       char **arg, int n_arg);
} action[] = {
    {"list", 0, list}, {"show", 1, show},         {"rm", 1, remove_run},
    {"tag", 2, tag},   {"export", 1, export_run},
};

static enum qs_err
run_runs(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg,
         int n_arg)
{
    const char *name = n_arg ? arg[0] : "list";
    for (size_t i = 0; i < QS_LEN(action); i++) {
        if (strcmp(action[i].name, name) != 0)
            continue;
        const int given = n_arg ? n_arg - 1 : 0;
        if (given != action[i].n_arg)
            return qs_fail(cx, QS_ERR_USAGE,
                           _("wrong number of arguments for 'runs %s': %d expected, %d given"),
                           name, action[i].n_arg, given);
        return action[i].run(cx, common, options, arg + 1, given);
    }
    return qs_fail(cx, QS_ERR_USAGE, _("runs takes list, show, rm, tag or export, not '%s'"), name);
}

const struct qs_cmd qs_cmd_runs = {
    .name = "runs",
    .args = "[list | show ID | rm ID | tag ID TEXT | export ID]",
    .summary = N_("the stored runs: list, show one, delete, tag, export as JSON"),
    .opt = opts,
    .n_opt = QS_LEN(opts),
    .opt_size = sizeof(struct options),
    .min_args = 0,
    .max_args = 3,
    .run = run_runs,
};
