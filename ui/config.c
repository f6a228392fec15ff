/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

static char *
default_path(void)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (config && config[0] == '/')
        return qs_xasprintf("%s/qslim/tui.conf", config);
    return home && *home ? qs_xasprintf("%s/.config/qslim/tui.conf", home) : NULL;
}

void
ui_config_load(struct ui_config *c)
{
    enum { LARGEST = 65536 };
    struct qs_ctx cx;
    char *text = NULL, *rest, *line;
    size_t n;
    qs_ctx_init(&cx);
    *c = (struct ui_config){.path = default_path()};
    if (!c->path || !qs_exists(c->path) ||
        qs_read_text(&cx, c->path, "settings", LARGEST, &text, &n) != QS_OK)
        return;
    rest = text;
    while ((line = strsep(&rest, "\n")))
        if (*line)
            qs_strv_add(&c->line, line);
    free(text);
}

void
ui_config_save(struct ui_config *c)
{
    struct qs_ctx cx;
    struct qs_writer *w = NULL;
    if (!c->path || !c->changed)
        return;
    qs_ctx_init(&cx);
    enum qs_err err = qs_writer_open(&cx, c->path, 1, &w);
    for (int i = 0; !err && i < c->line.n; i++) {
        err = qs_writer_put(&cx, w, c->line.v[i], strlen(c->line.v[i]));
        if (!err)
            err = qs_writer_put(&cx, w, "\n", 1);
    }
    if (!err)
        err = qs_writer_finish(&cx, w);
    if (!err)
        err = qs_writer_commit(&cx, w, NULL);
    qs_writer_free(w);
    c->changed = err != QS_OK;
}

void
ui_config_release(struct ui_config *c)
{
    free(c->path);
    qs_strv_release(&c->line);
}

static const char *
value_of(const char *line, const char *key)
{
    const size_t n = strlen(key);
    if (strncmp(line, key, n) != 0)
        return NULL;
    line += n;
    line += strspn(line, " \t");
    if (*line != '=')
        return NULL;
    line++;
    return line + strspn(line, " \t");
}

const char *
ui_config_get(const struct ui_config *c, const char *key)
{
    for (int i = 0; i < c->line.n; i++) {
        const char *v = value_of(c->line.v[i], key);
        if (v)
            return v;
    }
    return NULL;
}

void
ui_config_set(struct ui_config *c, const char *key, const char *value)
{
    const char *old = ui_config_get(c, key);
    if (old && strcmp(old, value) == 0)
        return;
    char *line = qs_xasprintf("%s = %s", key, value);
    int at = 0;
    while (at < c->line.n && !value_of(c->line.v[at], key))
        at++;
    if (at == c->line.n) {
        qs_strv_add(&c->line, line);
        free(line);
    } else {
        free(c->line.v[at]);
        c->line.v[at] = line;
    }
    c->changed = true;
}

void
ui_config_take_sort(const struct ui_config *c, const char *view, struct ui_table *t)
{
    char key[64], column[64] = "", order[16] = "";
    snprintf(key, sizeof(key), "sort.%s", view);
    const char *v = ui_config_get(c, key);
    if (!v || sscanf(v, "%63s %15s", column, order) < 1)
        return;
    t->sort = ui_table_find_column(t, column);
    t->reverse = t->sort >= 0 && strcmp(order, "reverse") == 0;
}

void
ui_config_keep_sort(struct ui_config *c, const char *view, const struct ui_table *t)
{
    char key[64], value[96];
    snprintf(key, sizeof(key), "sort.%s", view);
    snprintf(value, sizeof(value), "%s%s", t->sort >= 0 ? t->col[t->sort].name : "none",
             t->reverse ? " reverse" : "");
    if (t->sort >= 0 || ui_config_get(c, key))
        ui_config_set(c, key, value);
}
