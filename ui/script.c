/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "ui/ui.h"

/* "<Down*12>": the key and how often; the count is cut out of the name. */
static int
parse_repeat(const char **at, struct ui_key *key)
{
    enum { MOST = 100000 };
    const char *end = **at == '<' ? strchr(*at, '>') : NULL;
    const char *star = end ? memchr(*at, '*', (size_t)(end - *at)) : NULL;
    if (!star || star[1] < '0' || star[1] > '9') {
        ui_key_parse(at, key);
        return 1;
    }
    char name[64];
    snprintf(name, sizeof(name), "%.*s>", (int)(star - *at), *at);
    const char *p = name;
    const int n = atoi(star + 1);
    ui_key_parse(&p, key);
    *at = end + 1;
    return n > MOST ? MOST : n;
}

/* A frame is drawn after each key, as a terminal would see it: lists know their height. */
static enum qs_err
press(struct qs_ctx *cx, struct ui *ui, const char *keys, const char *path, int line)
{
    while (*keys && !ui->quit) {
        struct ui_key key;
        const char *start = keys;
        const int n = parse_repeat(&keys, &key);
        if (key.code == UI_KEY_NONE)
            return qs_fail(cx, QS_ERR_FORMAT, _("bad key in script '%s' line %d: '%.20s'"), path,
                           line, start);
        for (int i = 0; i < n && !ui->quit; i++) {
            ui_key(ui, &key);
            ui_pump(ui);
            ui_draw(ui);
        }
    }
    return QS_OK;
}

static char *
trim(char *s)
{
    s += strspn(s, " \t");
    size_t n = strlen(s);
    while (n > 0 && strchr(" \t\r", s[n - 1]))
        s[--n] = '\0';
    return s;
}

enum qs_err
ui_script_run(struct qs_ctx *cx, struct ui *ui, const char *text, const char *path)
{
    char *copy = qs_xstrdup(text), *rest = copy, *line;
    enum qs_err err = QS_OK;
    int number = 0;
    ui_draw(ui);
    while (!err && !ui->quit && (line = strsep(&rest, "\n"))) {
        number++;
        line = trim(line);
        if (*line == '\0' || *line == '#')
            continue;
        if (*line == ':' && !ui->prompt.active) {
            /* what a job said that was faster than the script stays */
            if (strcmp(line, ":wait") != 0)
                ui->message[0] = '\0';
            ui_command(ui, line);
            ui_pump(ui);
            ui_draw(ui);
        } else {
            err = press(cx, ui, line, path, number);
        }
    }
    free(copy);
    return err;
}
