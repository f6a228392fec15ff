/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"

void
qs_strv_add(struct qs_strv *sv, const char *s)
{
    sv->v = qs_xrealloc(sv->v, (size_t)(sv->n + 1) * sizeof(*sv->v));
    sv->v[sv->n++] = qs_xstrdup(s);
}

void
qs_strv_release(struct qs_strv *sv)
{
    for (int i = 0; i < sv->n; i++)
        free(sv->v[i]);
    free(sv->v);
    *sv = (struct qs_strv){0};
}

static void *
at(const struct qs_opt *opt, void *base)
{
    return (char *)base + opt->offset;
}

static const void *
at_const(const struct qs_opt *opt, const void *base)
{
    return (const char *)base + opt->offset;
}

static size_t
value_size(enum qs_opt_type type)
{
    switch (type) {
    case QS_OPT_FLAG:
        return sizeof(bool);
    case QS_OPT_INT:
    case QS_OPT_CHOICE:
        return sizeof(int);
    case QS_OPT_FLOAT:
        return sizeof(double);
    case QS_OPT_SIZE:
        return sizeof(int64_t);
    case QS_OPT_TEXT:
        return sizeof(char *);
    case QS_OPT_LIST:
        return sizeof(struct qs_strv);
    }
    abort();
}

static void
release_one(const struct qs_opt *opt, void *base)
{
    if (opt->type == QS_OPT_TEXT)
        free(*(char **)at(opt, base));
    else if (opt->type == QS_OPT_LIST)
        qs_strv_release(at(opt, base));
}

static void
init_one(const struct qs_opt *opt, void *base)
{
    memset(at(opt, base), 0, value_size(opt->type));
    if (!opt->def)
        return;
    struct qs_ctx cx;
    qs_ctx_init(&cx);
    if (qs_opt_set(&cx, opt, opt->def, base) != QS_OK)
        abort(); /* a default outside its own range is a mistake of ours */
}

void
qs_opts_init(const struct qs_opt *opt, int n, void *base)
{
    for (int i = 0; i < n; i++)
        init_one(&opt[i], base);
}

void
qs_opts_release(const struct qs_opt *opt, int n, void *base)
{
    for (int i = 0; i < n; i++) {
        release_one(&opt[i], base);
        memset(at(&opt[i], base), 0, value_size(opt[i].type));
    }
}

void
qs_opts_copy(const struct qs_opt *opt, int n, void *to, const void *from)
{
    for (int i = 0; i < n; i++) {
        memcpy(at(&opt[i], to), at_const(&opt[i], from), value_size(opt[i].type));
        if (opt[i].type == QS_OPT_TEXT) {
            char **s = at(&opt[i], to);
            *s = *s ? qs_xstrdup(*s) : NULL;
        } else if (opt[i].type == QS_OPT_LIST) {
            const struct qs_strv *old = at_const(&opt[i], from);
            struct qs_strv *new = at(&opt[i], to);
            *new = (struct qs_strv){0};
            for (int k = 0; k < old->n; k++)
                qs_strv_add(new, old->v[k]);
        }
    }
}

const struct qs_opt *
qs_opts_find(const struct qs_opt *opt, int n, const char *name, size_t len)
{
    for (int i = 0; i < n; i++)
        if (strlen(opt[i].name) == len && memcmp(opt[i].name, name, len) == 0)
            return &opt[i];
    return NULL;
}

static enum qs_err
parse_number(struct qs_ctx *cx, const struct qs_opt *opt, const char *text, double *out)
{
    char *end;
    errno = 0;
    const double v = strtod(text, &end);
    const bool whole = opt->type != QS_OPT_INT || v == floor(v);
    if (end == text || *end || errno || !whole || !(v >= opt->min && v <= opt->max))
        return qs_fail(cx, QS_ERR_USAGE,
                       opt->type == QS_OPT_INT
                           ? _("--%s takes a whole number from %.10g to %.10g, not '%s'")
                           : _("--%s takes a number from %.10g to %.10g, not '%s'"),
                       opt->name, opt->min, opt->max, text);
    *out = v;
    return QS_OK;
}

static enum qs_err
parse_size(struct qs_ctx *cx, const struct qs_opt *opt, const char *text, int64_t *out)
{
    static const char suffix[] = "kMGT";
    char *end;
    double v = strtod(text, &end);
    const bool none = end == text;
    const char *unit = *end ? strchr(suffix, *end) : NULL;
    if (unit) {
        v *= pow(1000, (double)(unit - suffix + 1));
        end++;
    }
    if (*end == 'B')
        end++;
    if (none || *end || !(v >= 0 && v < 9e18))
        return qs_fail(cx, QS_ERR_USAGE,
                       _("--%s takes a size in bytes such as 500M or 2G, not '%s'"), opt->name,
                       text);
    *out = (int64_t)v;
    return QS_OK;
}

static enum qs_err
parse_choice(struct qs_ctx *cx, const struct qs_opt *opt, const char *text, int *out)
{
    struct qs_str all;
    qs_str_init(&all);
    for (int i = 0; opt->choices[i]; i++) {
        if (strcmp(opt->choices[i], text) == 0) {
            *out = i;
            qs_str_release(&all);
            return QS_OK;
        }
        qs_str_printf(&all, "%s%s", i ? ", " : "", opt->choices[i]);
    }
    const enum qs_err err =
        qs_fail(cx, QS_ERR_USAGE, _("--%s takes one of %s, not '%s'"), opt->name, all.s, text);
    qs_str_release(&all);
    return err;
}

static enum qs_err
parse_flag(struct qs_ctx *cx, const struct qs_opt *opt, const char *text, bool *out)
{
    if (text && strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
        return qs_fail(cx, QS_ERR_USAGE, _("--%s takes yes or no, not '%s'"), opt->name, text);
    *out = !text || text[0] == 'y';
    return QS_OK;
}

enum qs_err
qs_opt_set(struct qs_ctx *cx, const struct qs_opt *opt, const char *text, void *base)
{
    void *p = at(opt, base);
    double v = 0;
    enum qs_err err = QS_OK;
    switch (opt->type) {
    case QS_OPT_FLAG:
        return parse_flag(cx, opt, text, p);
    case QS_OPT_INT:
        err = parse_number(cx, opt, text, &v);
        if (!err)
            *(int *)p = (int)v;
        return err;
    case QS_OPT_FLOAT:
        err = parse_number(cx, opt, text, &v);
        if (!err)
            *(double *)p = v;
        return err;
    case QS_OPT_SIZE:
        return parse_size(cx, opt, text, p);
    case QS_OPT_CHOICE:
        return parse_choice(cx, opt, text, p);
    case QS_OPT_TEXT:
        free(*(char **)p);
        *(char **)p = qs_xstrdup(text);
        return QS_OK;
    case QS_OPT_LIST:
        qs_strv_add(p, text);
        return QS_OK;
    }
    abort();
}

/* The shortest decimal that is read back as this number. */
static void
print_number(double v, struct qs_str *out)
{
    char text[32];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    qs_str_add(out, text);
}

void
qs_opt_print(const struct qs_opt *opt, const void *base, struct qs_str *out)
{
    const void *p = at_const(opt, base);
    switch (opt->type) {
    case QS_OPT_FLAG:
        qs_str_add(out, *(const bool *)p ? "yes" : "no");
        break;
    case QS_OPT_INT:
        qs_str_printf(out, "%d", *(const int *)p);
        break;
    case QS_OPT_FLOAT:
        print_number(*(const double *)p, out);
        break;
    case QS_OPT_SIZE:
        qs_str_printf(out, "%" PRId64, *(const int64_t *)p);
        break;
    case QS_OPT_CHOICE:
        qs_str_add(out, opt->choices[*(const int *)p]);
        break;
    case QS_OPT_TEXT:
        if (*(char *const *)p)
            qs_str_add(out, *(char *const *)p);
        break;
    case QS_OPT_LIST: {
        const struct qs_strv *sv = p;
        for (int i = 0; i < sv->n; i++)
            qs_str_printf(out, "%s%s", i ? "," : "", sv->v[i]);
        break;
    }
    }
}

bool
qs_opt_is_default(const struct qs_opt *opt, const void *base)
{
    struct qs_str now, def;
    /* a descriptor with offset 0 lets one value stand alone */
    struct qs_opt alone = *opt;
    alone.offset = 0;
    union {
        bool flag;
        int i;
        double d;
        int64_t size;
        char *text;
        struct qs_strv list;
    } value;
    qs_str_init(&now);
    qs_str_init(&def);
    init_one(&alone, &value);
    qs_opt_print(opt, base, &now);
    qs_opt_print(&alone, &value, &def);
    release_one(&alone, &value);
    const bool same = strcmp(now.s, def.s) == 0;
    qs_str_release(&now);
    qs_str_release(&def);
    return same;
}
