/* SPDX-License-Identifier: Apache-2.0 */
#include "io/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/i18n.h"
#include "base/mem.h"

/* --- tree from events ------------------------------------------------------------------------ */

/* A node while it is filled. */
struct open_node {
    struct qs_yaml_node *node;
    const char *key; /* MAP: the key whose value comes next */
    int key_line;
    int cap_key, cap_item;
};

struct anchor {
    const char *name;
    const struct qs_yaml_node *node;
    bool complete;
};

struct builder {
    struct qs_ctx *cx;
    struct qs_yaml *y;
    yaml_parser_t parser;
    struct open_node open[QS_YAML_DEPTH];
    int depth;
    struct anchor *anchor;
    int n_anchor, cap_anchor;
};

enum qs_err
qs_yaml_fail(struct qs_ctx *cx, const struct qs_yaml *y, const struct qs_yaml_node *node,
             const char *fmt, ...)
{
    char what[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    return qs_fail(cx, QS_ERR_FORMAT, _("cannot read '%s': line %d: %s"), y->name,
                   node ? node->line : 1, what);
}

static enum qs_err
fail_at(struct builder *b, size_t line, const char *what)
{
    const struct qs_yaml_node at = {.line = (int)line + 1};
    return qs_yaml_fail(b->cx, b->y, &at, "%s", what);
}

/* A scalar that is to be a key becomes one; anything else goes into the innermost open node. */
static enum qs_err
place(struct builder *b, const struct qs_yaml_node *node)
{
    if (b->depth == 0) {
        b->y->root = node;
        return QS_OK;
    }
    struct open_node *o = &b->open[b->depth - 1];
    if (o->node->kind == QS_YAML_MAP && o->node->n == QS_YAML_KEYS_MOST)
        return qs_yaml_fail(b->cx, b->y, node, _("more than %d keys"), QS_YAML_KEYS_MOST);
    if (o->node->kind == QS_YAML_MAP && !o->key) {
        if (node->kind != QS_YAML_SCALAR)
            return qs_yaml_fail(b->cx, b->y, node, _("a key must be plain text"));
        if (qs_yaml_get(o->node, node->text))
            return qs_yaml_fail(b->cx, b->y, node, _("the key '%s' comes twice"), node->text);
        o->key = node->text;
        return QS_OK;
    }
    if (o->node->kind == QS_YAML_MAP) {
        *(const char **)qs_arena_grow(b->y->arena, (void **)&o->node->key, o->node->n, &o->cap_key,
                                      sizeof(*o->node->key)) = o->key;
        o->key = NULL;
    }
    *(const struct qs_yaml_node **)qs_arena_grow(b->y->arena, (void **)&o->node->item, o->node->n,
                                                 &o->cap_item, sizeof(*o->node->item)) = node;
    o->node->n++;
    return QS_OK;
}

static enum qs_err
note_anchor(struct builder *b, const yaml_char_t *name, const struct qs_yaml_node *node,
            bool complete)
{
    if (!name)
        return QS_OK;
    if (b->n_anchor == QS_YAML_KEYS_MOST)
        return qs_yaml_fail(b->cx, b->y, node, _("more than %d anchors"), QS_YAML_KEYS_MOST);
    struct anchor *a =
        qs_arena_grow(b->y->arena, (void **)&b->anchor, b->n_anchor++, &b->cap_anchor, sizeof(*a));
    *a = (struct anchor){qs_arena_strdup(b->y->arena, (const char *)name), node, complete};
    return QS_OK;
}

static struct qs_yaml_node *
new_node(struct builder *b, enum qs_yaml_kind kind, const yaml_event_t *ev)
{
    struct qs_yaml_node *node = qs_arena_calloc(b->y->arena, 1, sizeof(*node));
    node->kind = kind;
    node->line = (int)ev->start_mark.line + 1;
    return node;
}

static enum qs_err
on_scalar(struct builder *b, const yaml_event_t *ev)
{
    struct qs_yaml_node *node = new_node(b, QS_YAML_SCALAR, ev);
    const size_t n = ev->data.scalar.length;
    if (memchr(ev->data.scalar.value, '\0', n))
        return fail_at(b, ev->start_mark.line, _("a NUL character"));
    node->text = qs_arena_memdup(b->y->arena, ev->data.scalar.value, n);
    node->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    const enum qs_err err = note_anchor(b, ev->data.scalar.anchor, node, true);
    return err ? err : place(b, node);
}

static enum qs_err
on_start(struct builder *b, const yaml_event_t *ev, enum qs_yaml_kind kind,
         const yaml_char_t *anchor)
{
    struct qs_yaml_node *node = new_node(b, kind, ev);
    if (b->depth == QS_YAML_DEPTH)
        return fail_at(b, ev->start_mark.line, _("nested too deeply"));
    enum qs_err err = place(b, node);
    if (!err)
        err = note_anchor(b, anchor, node, false);
    b->open[b->depth++] = (struct open_node){.node = node};
    return err;
}

static enum qs_err
on_end(struct builder *b)
{
    const struct qs_yaml_node *node = b->open[--b->depth].node;
    for (int i = 0; i < b->n_anchor; i++)
        if (b->anchor[i].node == node)
            b->anchor[i].complete = true;
    return QS_OK;
}

static enum qs_err
on_alias(struct builder *b, const yaml_event_t *ev)
{
    const char *name = (const char *)ev->data.alias.anchor;
    for (int i = b->n_anchor - 1; i >= 0; i--) {
        if (strcmp(b->anchor[i].name, name) != 0)
            continue;
        if (!b->anchor[i].complete)
            return fail_at(b, ev->start_mark.line, _("an alias inside of what it names"));
        return place(b, b->anchor[i].node);
    }
    return fail_at(b, ev->start_mark.line, _("an alias of nothing"));
}

static enum qs_err
on_event(struct builder *b, const yaml_event_t *ev)
{
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(b, ev);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(b, ev, QS_YAML_LIST, ev->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return on_start(b, ev, QS_YAML_MAP, ev->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(b);
    case YAML_ALIAS_EVENT:
        return on_alias(b, ev);
    case YAML_DOCUMENT_START_EVENT:
        return b->y->root ? fail_at(b, ev->start_mark.line, _("a second document")) : QS_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return QS_OK;
    }
    return QS_OK;
}

static enum qs_err
build(struct builder *b)
{
    enum qs_err err = QS_OK;
    bool more = true;
    while (more && !err) {
        yaml_event_t ev;
        if (!yaml_parser_parse(&b->parser, &ev))
            return b->parser.error == YAML_MEMORY_ERROR
                       ? qs_fail(b->cx, QS_ERR_MEMORY, _("cannot read '%s': out of memory"),
                                 b->y->name)
                       : fail_at(b, b->parser.problem_mark.line,
                                 b->parser.problem ? b->parser.problem : _("not valid YAML"));
        err = on_event(b, &ev);
        more = ev.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&ev);
    }
    return err;
}

enum qs_err
qs_yaml_parse(struct qs_ctx *cx, const char *text, size_t n, const char *name, struct qs_yaml **out)
{
    struct builder b = {.cx = cx};
    if (!yaml_parser_initialize(&b.parser))
        return qs_fail(cx, QS_ERR_MEMORY, _("cannot read '%s': out of memory"), name);
    b.y = qs_xcalloc(1, sizeof(*b.y));
    b.y->arena = qs_xmalloc(sizeof(*b.y->arena));
    qs_arena_init(b.y->arena);
    b.y->name = qs_xstrdup(name);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, n);
    enum qs_err err = build(&b);
    yaml_parser_delete(&b.parser);
    if (!err && !b.y->root)
        err = qs_fail(cx, QS_ERR_FORMAT, _("cannot read '%s': there is nothing in it"), name);
    if (err)
        qs_yaml_free(b.y);
    else
        *out = b.y;
    return err;
}

enum qs_err
qs_yaml_read(struct qs_ctx *cx, const char *path, struct qs_yaml **out)
{
    char *text = NULL;
    size_t n = 0;
    enum qs_err err = qs_read_text(cx, path, _("file"), QS_YAML_BYTES_MOST, &text, &n);
    if (!err)
        err = qs_yaml_parse(cx, text, n, path, out);
    free(text);
    return err;
}

void
qs_yaml_free(struct qs_yaml *y)
{
    if (!y)
        return;
    qs_arena_release(y->arena);
    free(y->arena);
    free(y->name);
    free(y);
}

const struct qs_yaml_node *
qs_yaml_get(const struct qs_yaml_node *map, const char *key)
{
    if (!map || map->kind != QS_YAML_MAP)
        return NULL;
    for (int i = 0; i < map->n; i++)
        if (strcmp(map->key[i], key) == 0)
            return map->item[i];
    return NULL;
}

/* A plain `null`, `~` or nothing. */
static bool
is_null(const struct qs_yaml_node *node)
{
    static const char *const null[] = {"", "~", "null", "Null", "NULL"};
    if (node->kind != QS_YAML_SCALAR || node->quoted)
        return false;
    for (size_t i = 0; i < QS_LEN(null); i++)
        if (strcmp(node->text, null[i]) == 0)
            return true;
    return false;
}

/* --- typed values ---------------------------------------------------------------------------- */

/* One value of one field: where it stands and where it goes. */
struct value {
    struct qs_ctx *cx;
    const struct qs_yaml *y;
    const struct qs_yaml_field *field;
    const struct qs_yaml_node *node;
    void *to;
};

static enum qs_err
wrong(const struct value *v, const char *want)
{
    return qs_yaml_fail(v->cx, v->y, v->node, _("'%s' must be %s"), v->field->name, want);
}

static enum qs_err
get_number(const struct value *v, const struct qs_yaml_node *node, bool whole, double *out)
{
    const struct qs_yaml_field *f = v->field;
    char *end = NULL;
    char want[96];
    snprintf(want, sizeof(want),
             whole ? _("a whole number %.9g .. %.9g") : _("a number %.9g .. %.9g"), f->min, f->max);
    if (node->kind != QS_YAML_SCALAR || node->quoted || !*node->text)
        return wrong(v, want);
    *out = strtod(node->text, &end);
    const bool good = !*end && isfinite(*out) && *out >= f->min && *out <= f->max;
    return good && (!whole || *out == floor(*out)) ? QS_OK : wrong(v, want);
}

static enum qs_err
set_number(const struct value *v)
{
    double x = 0;
    const bool whole = v->field->type == QS_YAML_INT;
    const enum qs_err err = get_number(v, v->node, whole, &x);
    if (!err && whole)
        *(int *)v->to = (int)x;
    else if (!err)
        *(double *)v->to = x;
    return err;
}

static enum qs_err
set_numbers(const struct value *v)
{
    const bool whole = v->field->type == QS_YAML_INTS;
    char want[64];
    snprintf(want, sizeof(want), _("a list of %d numbers"), v->field->n);
    if (v->node->kind != QS_YAML_LIST || v->node->n != v->field->n)
        return wrong(v, want);
    for (int i = 0; i < v->field->n; i++) {
        double x = 0;
        const enum qs_err err = get_number(v, v->node->item[i], whole, &x);
        if (err)
            return err;
        if (whole)
            ((int *)v->to)[i] = (int)x;
        else
            ((double *)v->to)[i] = x;
    }
    return QS_OK;
}

static enum qs_err
set_flag(const struct value *v)
{
    static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no", "off"};
    for (size_t i = 0; i < QS_LEN(yes) && v->node->kind == QS_YAML_SCALAR; i++) {
        const bool is_yes = strcasecmp(v->node->text, yes[i]) == 0;
        if (!is_yes && strcasecmp(v->node->text, no[i]) != 0)
            continue;
        *(bool *)v->to = is_yes;
        return QS_OK;
    }
    return wrong(v, _("true or false"));
}

static enum qs_err
set_choice(const struct value *v)
{
    char want[256] = "";
    size_t at = 0;
    for (int i = 0; v->field->choices[i]; i++) {
        if (v->node->kind == QS_YAML_SCALAR && strcmp(v->node->text, v->field->choices[i]) == 0) {
            *(int *)v->to = i;
            return QS_OK;
        }
        at += (size_t)snprintf(want + at, at < sizeof(want) ? sizeof(want) - at : 0, "%s%s",
                               i ? ", " : _("one of "), v->field->choices[i]);
        at = at < sizeof(want) ? at : sizeof(want) - 1;
    }
    return wrong(v, want);
}

static enum qs_err
set_text(const struct value *v)
{
    if (v->node->kind != QS_YAML_SCALAR)
        return wrong(v, _("text"));
    free(*(char **)v->to);
    *(char **)v->to = qs_xstrdup(v->node->text);
    return QS_OK;
}

static enum qs_err
set_node(const struct value *v)
{
    *(const struct qs_yaml_node **)v->to = v->node;
    return QS_OK;
}

static enum qs_err (*const setter[])(const struct value *v) = {
    [QS_YAML_FLAG] = set_flag,     [QS_YAML_INT] = set_number,   [QS_YAML_REAL] = set_number,
    [QS_YAML_REALS] = set_numbers, [QS_YAML_INTS] = set_numbers, [QS_YAML_CHOICE] = set_choice,
    [QS_YAML_TEXT] = set_text,     [QS_YAML_NODE] = set_node,
};

static const struct qs_yaml_field *
find_field(const struct qs_yaml_field *field, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(field[i].name, name) == 0)
            return &field[i];
    return NULL;
}

enum qs_err
qs_yaml_fill(struct qs_ctx *cx, const struct qs_yaml *y, const struct qs_yaml_node *map,
             const struct qs_yaml_field *field, int n, void *base)
{
    if (!map || is_null(map))
        return QS_OK;
    if (map->kind != QS_YAML_MAP)
        return qs_yaml_fail(cx, y, map, _("expected lines 'key: value'"));
    for (int i = 0; i < map->n; i++) {
        const struct qs_yaml_field *f = find_field(field, n, map->key[i]);
        const struct value v = {cx, y, f, map->item[i], f ? (char *)base + f->offset : NULL};
        if (!f) {
            qs_warn(cx, _("'%s': line %d: unknown key '%s' is ignored"), y->name,
                    map->item[i]->line, map->key[i]);
            continue;
        }
        const enum qs_err err = is_null(v.node) ? QS_OK : setter[f->type](&v);
        if (err)
            return err;
    }
    return QS_OK;
}
