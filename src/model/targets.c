/* SPDX-License-Identifier: Apache-2.0 */
#include "model/targets.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/i18n.h"
#include "base/mem.h"

static const char paddle[] = "paddle", paddle_onednn[] = "paddle-onednn", lite_arm[] = "lite-arm",
                  lite_x86[] = "lite-x86";
static const struct qs_target_row built_in[] = {
#define ROW(target, format, op, verdict, note) {target, format, op, QS_VERDICT_##verdict, note},
#include "model/targets.inc"
#undef ROW
};

static const char *const verdicts[QS_N_VERDICT] = {"int8", "float", "fused", "refused", "wrong"};

const char *
qs_verdict_name(enum qs_verdict v)
{
    return verdicts[v];
}

static void
add_row(struct qs_targets *t, const struct qs_target_row *row)
{
    bool known = false;
    for (int i = 0; i < t->n_name; i++)
        known = known || strcmp(t->name[i], row->target) == 0;
    if (!known) {
        const char **name =
            qs_arena_grow(&t->arena, (void **)&t->name, t->n_name, &t->cap_name, sizeof(*t->name));
        *name = row->target;
        t->n_name++;
    }
    struct qs_target_row *to =
        qs_arena_grow(&t->arena, (void **)&t->row, t->n, &t->cap, sizeof(*t->row));
    *to = *row;
    t->n++;
}

void
qs_targets_init(struct qs_targets *t)
{
    *t = (struct qs_targets){0};
    qs_arena_init(&t->arena);
    for (size_t i = 0; i < QS_LEN(built_in); i++)
        add_row(t, &built_in[i]);
}

void
qs_targets_release(struct qs_targets *t)
{
    qs_arena_release(&t->arena);
    *t = (struct qs_targets){0};
}

static char *
next_word(char **rest)
{
    char *s = *rest + strspn(*rest, " \t\r");
    char *end = s + strcspn(s, " \t\r");
    *rest = *end ? end + 1 : end;
    *end = '\0';
    return s;
}

static enum qs_err
parse_line(struct qs_ctx *cx, char *line, const char *where, int number, struct qs_targets *t)
{
    static const char formats[] = "qdq,fakequant,dynamic,float,*";
    char *rest = line, *word[4];
    int verdict = 0;
    for (int i = 0; i < 4; i++)
        word[i] = next_word(&rest);
    if (!*word[0] || *word[0] == '#')
        return QS_OK;
    while (verdict < QS_N_VERDICT && strcmp(verdicts[verdict], word[3]) != 0)
        verdict++;
    const char *at = *word[1] ? strstr(formats, word[1]) : NULL;
    const size_t n = strlen(word[1]);
    const bool format =
        at && (at == formats || at[-1] == ',') && (at[n] == ',' || !at[n]) && !strchr(word[1], ',');
    if (!format || !*word[2] || verdict == QS_N_VERDICT)
        return qs_fail(cx, QS_ERR_FORMAT,
                       _("bad table of targets '%s': line %d: TARGET, one of %s, OPERATOR and one "
                         "of int8, float, fused, refused, wrong expected"),
                       where, number, formats);
    rest += strspn(rest, " \t");
    size_t end = strlen(rest);
    while (end > 0 && strchr(" \t\r", rest[end - 1]))
        rest[--end] = '\0';
    add_row(t, &(struct qs_target_row){.target = qs_arena_strdup(&t->arena, word[0]),
                                       .format = qs_arena_strdup(&t->arena, word[1]),
                                       .op = qs_arena_strdup(&t->arena, word[2]),
                                       .verdict = (enum qs_verdict)verdict,
                                       .note = qs_arena_strdup(&t->arena, rest)});
    return QS_OK;
}

enum qs_err
qs_targets_parse(struct qs_ctx *cx, const char *text, const char *where, struct qs_targets *t)
{
    char *copy = qs_xstrdup(text), *rest = copy, *line;
    enum qs_err err = QS_OK;
    for (int number = 1; !err && (line = strsep(&rest, "\n")); number++)
        err = parse_line(cx, line, where, number, t);
    free(copy);
    return err;
}

enum qs_err
qs_targets_load(struct qs_ctx *cx, const char *path, struct qs_targets *t)
{
    enum { LARGEST = 1 << 20 };
    char *text = NULL;
    size_t n;
    enum qs_err err = qs_read_text(cx, path, _("table of targets"), LARGEST, &text, &n);
    if (!err)
        err = qs_targets_parse(cx, text, path, t);
    free(text);
    return err;
}

static bool
matches(const char *pattern, const char *name)
{
    return strcmp(pattern, "*") == 0 || strcmp(pattern, name) == 0;
}

const struct qs_target_row *
qs_targets_find(const struct qs_targets *t, const char *target, const char *format, const char *op)
{
    for (int i = t->n - 1; i >= 0; i--)
        if (strcmp(t->row[i].target, target) == 0 && matches(t->row[i].format, format) &&
            matches(t->row[i].op, op))
            return &t->row[i];
    return NULL;
}
