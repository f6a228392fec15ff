/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/prompt.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "ui/ui.h"

void
ui_prompt_init(struct ui_prompt *p)
{
    *p = (struct ui_prompt){0};
    qs_str_init(&p->text);
}

void
ui_prompt_release(struct ui_prompt *p)
{
    qs_str_release(&p->text);
    qs_strv_release(&p->history);
}

static void
set_text(struct ui_prompt *p, const char *text)
{
    qs_str_clear(&p->text);
    qs_str_add(&p->text, text);
    p->at = p->text.n;
}

void
ui_ask(struct ui *ui, enum ui_prompt_kind kind, const char *label, const char *initial,
       void (*done)(struct ui *ui, void *arg, const char *text), void *arg)
{
    struct ui_prompt *p = &ui->prompt;
    p->active = true;
    p->kind = kind;
    snprintf(p->label, sizeof(p->label), "%s", label);
    p->done = done;
    p->arg = arg;
    p->recall = p->history.n;
    p->choices[0] = '\0';
    set_text(p, initial ? initial : "");
}

static void
insert(struct ui_prompt *p, const char *s, size_t n)
{
    enum { LONGEST = 4000 };
    if (p->text.n + n > LONGEST)
        return;
    char *rest = qs_xstrdup(p->text.s + p->at);
    p->text.n = p->at;
    qs_str_addn(&p->text, s, n);
    p->at = p->text.n;
    qs_str_add(&p->text, rest);
    free(rest);
}

static void
insert_char(struct ui_prompt *p, unsigned c)
{
    char s[4];
    size_t n = 0;
    if (c < 0x80) {
        s[n++] = (char)c;
    } else if (c < 0x800) {
        s[n++] = (char)(0xC0 | c >> 6);
        s[n++] = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        s[n++] = (char)(0xE0 | c >> 12);
        s[n++] = (char)(0x80 | (c >> 6 & 0x3F));
        s[n++] = (char)(0x80 | (c & 0x3F));
    } else {
        s[n++] = (char)(0xF0 | c >> 18);
        s[n++] = (char)(0x80 | (c >> 12 & 0x3F));
        s[n++] = (char)(0x80 | (c >> 6 & 0x3F));
        s[n++] = (char)(0x80 | (c & 0x3F));
    }
    insert(p, s, n);
}

static size_t
before(const struct ui_prompt *p, size_t at)
{
    if (at == 0)
        return 0;
    at--;
    while (at > 0 && ((unsigned char)p->text.s[at] & 0xC0) == 0x80)
        at--;
    return at;
}

static size_t
after(const struct ui_prompt *p, size_t at)
{
    if (at >= p->text.n)
        return p->text.n;
    at++;
    while (at < p->text.n && ((unsigned char)p->text.s[at] & 0xC0) == 0x80)
        at++;
    return at;
}

static void
cut(struct ui_prompt *p, size_t from, size_t to)
{
    memmove(p->text.s + from, p->text.s + to, p->text.n - to + 1);
    p->text.n -= to - from;
    p->at = from;
}

static size_t
word_start(const struct ui_prompt *p)
{
    size_t at = p->at;
    while (at > 0 && p->text.s[at - 1] == ' ')
        at--;
    while (at > 0 && p->text.s[at - 1] != ' ' && p->text.s[at - 1] != '/')
        at--;
    return at < p->at ? at : before(p, p->at);
}

/* Candidates for the word that begins at `word`. */
static void
list_actions(const struct ui *ui, const char *word, struct qs_strv *out)
{
    const char *name;
    for (int i = 0; (name = ui_action_complete(word, ui_where(ui), i)); i++)
        qs_strv_add(out, name);
}

static void
list_paths(const char *word, struct qs_strv *out)
{
    enum { MOST = 1000 };
    struct qs_str pattern;
    glob_t found = {0};
    qs_str_init(&pattern);
    for (const char *c = word; *c; c++)
        qs_str_printf(&pattern, "%s%c", strchr("*?[\\", *c) ? "\\" : "", *c);
    qs_str_add(&pattern, "*");
    if (glob(pattern.s, GLOB_MARK, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && i < MOST; i++)
            qs_strv_add(out, found.gl_pathv[i]);
    globfree(&found);
    qs_str_release(&pattern);
}

static void
add_if(struct qs_strv *out, const char *word, const char *name)
{
    if (strncmp(name, word, strlen(word)) == 0)
        qs_strv_add(out, name);
}

static void
list_quantities(const struct ui *ui, const char *word, struct qs_strv *out)
{
    struct qs_strv all = {0};
    ui_list_quantities(ui, &all);
    for (int i = 0; i < all.n; i++)
        add_if(out, word, all.v[i]);
    qs_strv_release(&all);
}

/* Words an action takes: names of choices and their values, columns, themes. */
static void
list_arguments(const struct ui *ui, const char *line, const char *word, struct qs_strv *out)
{
    char name[64] = "", first[64] = "";
    sscanf(line, "%63s %63s", name, first);
    const enum ui_action act = ui_action_find(name, ui_where(ui));
    if (act == UI_ACT_NONE || !ui_actions[act].arg)
        return;
    if (ui_takes_path(act))
        list_paths(word, out);
    else if (act == UI_ACT_CALIBRATOR)
        for (int i = 0; qs_algo_names[i]; i++)
            add_if(out, word, qs_algo_names[i]);
    else if (act == UI_ACT_X_AXIS || act == UI_ACT_Y_AXIS)
        list_quantities(ui, word, out);
    else if (act == UI_ACT_PROPOSE) {
        add_if(out, word, "max-drop=");
        add_if(out, word, "max-size=");
    } else if (act == UI_ACT_THEME)
        for (int i = 0; i < UI_N_THEMES; i++)
            add_if(out, word, ui_theme_name[i]);
    else if (act == UI_ACT_SORT && ui_views[ui->view].view->table) {
        const struct ui_table *t = ui_views[ui->view].view->table(ui->state[ui->view]);
        for (int c = 0; t && c < t->n_col; c++)
            add_if(out, word, t->col[c].name);
    } else if (act == UI_ACT_SET) {
        const struct qs_opt *opt =
            word > line + strlen(name) + 1
                ? qs_opts_find(qs_plan_opts, qs_n_plan_opts, first, strlen(first))
                : NULL;
        for (int i = 0; opt && opt->type == QS_OPT_CHOICE && opt->choices[i]; i++)
            add_if(out, word, opt->choices[i]);
        for (int i = 0; !opt && i < qs_n_plan_opts; i++)
            add_if(out, word, qs_plan_opts[i].name);
    }
}

static size_t
common_length(const struct qs_strv *sv)
{
    size_t n = strlen(sv->v[0]);
    for (int i = 1; i < sv->n; i++) {
        size_t k = 0;
        while (k < n && sv->v[i][k] == sv->v[0][k])
            k++;
        n = k;
    }
    return n;
}

static void
show_choices(struct ui_prompt *p, const struct qs_strv *sv)
{
    size_t n = 0;
    p->choices[0] = '\0';
    for (int i = 0; sv->n > 1 && i < sv->n && n < sizeof(p->choices) - 1; i++) {
        const int k =
            snprintf(p->choices + n, sizeof(p->choices) - n, "%s%s", i ? "  " : "", sv->v[i]);
        n += k > 0 ? (size_t)k : 0;
    }
}

static void
complete(struct ui *ui)
{
    struct ui_prompt *p = &ui->prompt;
    struct qs_strv found = {0};
    p->text.s[p->at] = '\0'; /* what stands behind the cursor goes */
    p->text.n = p->at;
    const char *word = p->text.s;
    if (p->kind == UI_PROMPT_COMMAND) {
        const char *blank = strrchr(p->text.s, ' ');
        word = blank ? blank + 1 : word;
        if (blank)
            list_arguments(ui, p->text.s, word, &found);
        else
            list_actions(ui, word, &found);
    } else if (p->kind == UI_PROMPT_PATH) {
        list_paths(word, &found);
    }
    if (found.n > 0) {
        const size_t have = strlen(word), n = common_length(&found);
        if (n > have)
            insert(p, found.v[0] + have, n - have);
        if (found.n == 1 && p->kind == UI_PROMPT_COMMAND && !strchr("/=", found.v[0][n - 1]))
            insert(p, " ", 1);
    }
    show_choices(p, &found);
    qs_strv_release(&found);
}

static void
recall(struct ui_prompt *p, int step)
{
    const int to = p->recall + step;
    if (p->kind != UI_PROMPT_COMMAND || to < 0 || to > p->history.n)
        return;
    p->recall = to;
    set_text(p, to < p->history.n ? p->history.v[to] : "");
}

static void
accept(struct ui *ui)
{
    struct ui_prompt *p = &ui->prompt;
    char *text = qs_xstrdup(p->text.s);
    if (p->kind == UI_PROMPT_COMMAND && *text)
        qs_strv_add(&p->history, text);
    p->active = false;
    p->done(ui, p->arg, text);
    free(text);
}

static void
yes_no_key(struct ui *ui, int code)
{
    ui->prompt.active = false;
    if (code == 'y' || code == 'Y')
        ui->prompt.done(ui, ui->prompt.arg, "y");
    else
        ui_say(ui, UI_DIM, _("left as it was"));
}

static bool
editing_key(struct ui_prompt *p, int code)
{
    const struct {
        int code;
        size_t at;
    } move[] = {
        {UI_KEY_LEFT, before(p, p->at)},
        {UI_KEY_RIGHT, after(p, p->at)},
        {UI_KEY_HOME, 0},
        {UI_KEY_END, p->text.n},
        {'A' & 0x1F, 0},
        {'E' & 0x1F, p->text.n},
    };
    for (size_t i = 0; i < QS_LEN(move); i++)
        if (move[i].code == code) {
            p->at = move[i].at;
            return true;
        }
    const struct {
        int code;
        size_t from, to;
    } cuts[] = {
        {UI_KEY_BACKSPACE, before(p, p->at), p->at},
        {UI_KEY_DELETE, p->at, after(p, p->at)},
        {'U' & 0x1F, 0, p->at},
        {'K' & 0x1F, p->at, p->text.n},
        {'W' & 0x1F, word_start(p), p->at},
    };
    for (size_t i = 0; i < QS_LEN(cuts); i++)
        if (cuts[i].code == code) {
            cut(p, cuts[i].from, cuts[i].to);
            return true;
        }
    return false;
}

void
ui_prompt_key(struct ui *ui, const struct ui_key *key)
{
    struct ui_prompt *p = &ui->prompt;
    const int code = key->code;
    if (code == UI_KEY_ESC || code == ('C' & 0x1F) || code == ('G' & 0x1F) ||
        (code == UI_KEY_BACKSPACE && p->text.n == 0)) {
        p->active = false;
        return;
    }
    if (p->kind == UI_PROMPT_YES_NO) {
        yes_no_key(ui, code);
        return;
    }
    if (code != UI_KEY_TAB)
        p->choices[0] = '\0';
    if (code == UI_KEY_ENTER)
        accept(ui);
    else if (code == UI_KEY_TAB)
        complete(ui);
    else if (code == UI_KEY_UP || code == UI_KEY_DOWN)
        recall(p, code == UI_KEY_UP ? -1 : 1);
    else if (!editing_key(p, code) && code >= ' ' && code < UI_KEY_SPECIAL)
        insert_char(p, (unsigned)code);
}

/* The end of a text that is at most so many columns wide. */
static const char *
tail(const char *text, int columns)
{
    while (*text && ui_width(text) > columns)
        do
            text++;
        while (((unsigned char)*text & 0xC0) == 0x80);
    return text;
}

/* Of a long label only the end, which says what is to be typed, so that there is room to. */
static int
draw_label(const struct ui_prompt *p, struct ui_screen *s, int y)
{
    const int most = p->kind == UI_PROMPT_YES_NO ? s->w - 1 : s->w / 2;
    if (ui_width(p->label) <= most)
        return ui_put(s, y, 0, s->w, UI_PROMPT, p->label);
    ui_put_char(s, y, 0, 1, UI_PROMPT, 0x2026, '~');
    return 1 + ui_put(s, y, 1, s->w - 1, UI_PROMPT, tail(p->label, most - 1));
}

int
ui_prompt_draw(const struct ui_prompt *p, struct ui_screen *s, int y)
{
    const int x = draw_label(p, s, y);
    char *head = qs_xasprintf("%.*s", (int)p->at, p->text.s);
    /* the end that has the cursor stays in sight */
    const char *seen = tail(head, s->w - x - 2);
    const int at = ui_width(seen);
    const int used = ui_put(s, y, x, s->w - x, UI_TEXT, p->text.s + (seen - head));
    free(head);
    if (p->choices[0])
        ui_putf(s, y, x + used + 2, s->w - x - used - 2, UI_DIM, "[%s]", p->choices);
    return x + at;
}
