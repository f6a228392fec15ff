/* SPDX-License-Identifier: Apache-2.0 */
#include "io/format.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/i18n.h"
#include "base/mem.h"

#define ROW(name) extern const struct qs_format qs_format_##name;
#include "io/format.inc"
#undef ROW

static const struct qs_format *const format[] = {
#define ROW(name) &qs_format_##name,
#include "io/format.inc"
#undef ROW
    NULL,
};

enum { LARGEST_PROGRAM = 512 << 20 };

const struct qs_format *
qs_format_at(int i)
{
    return format[i];
}

/* Finding files */

/* What a program file is called, best first; how its combined parameters are called ("" replaces
 * the suffix by .pdiparams) and under which name the format goes. */
static const struct naming {
    const char *suffix; /* of the file; a whole name when `whole` */
    bool whole;
    const char *format;
    const char *params[4];
} naming[] = {
    {".pdmodel", false, "pdmodel", {".pdiparams"}},
    {"__model__", true, "model", {"__params__", "params"}},
    {"model", true, "model", {"params", "__params__"}},
    {".json", false, "pir", {".pdiparams"}},
    {".nb", false, "nb", {NULL}},
};

static bool
ends_with(const char *s, const char *suffix)
{
    const size_t n = strlen(s), k = strlen(suffix);
    return n > k && strcmp(s + n - k, suffix) == 0;
}

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const struct naming *
naming_of(const char *path)
{
    for (size_t i = 0; i < QS_LEN(naming); i++)
        if (naming[i].whole ? strcmp(base_name(path), naming[i].suffix) == 0
                            : ends_with(base_name(path), naming[i].suffix))
            return &naming[i];
    return NULL;
}

enum { NO_PROGRAM = QS_LEN(naming) };

/* Many things are called .json: the first bytes tell a program. */
static bool
begins_as_pir(const char *path)
{
    char head[256] = "";
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const ssize_t n = fd < 0 ? 0 : read(fd, head, sizeof(head) - 1);
    if (fd >= 0)
        close(fd);
    return n > 0 && strstr(head, "\"base_code\"") != NULL;
}

/* How good a candidate a file of a folder is: 0 best, NO_PROGRAM none. */
static int
rank(const char *folder, const char *name)
{
    const struct naming *n = name[0] == '.' ? NULL : naming_of(name);
    if (!n)
        return NO_PROGRAM;
    if (strcmp(n->format, "pir") == 0) {
        char *path = qs_xasprintf("%s/%s", folder, name);
        const bool is_program = begins_as_pir(path);
        free(path);
        if (!is_program)
            return NO_PROGRAM;
    }
    return (int)(n - naming);
}

/* The program of a folder (malloc), NULL when there is none. Of several of the best kind the one
 * called model or inference wins, else *n_same tells how many there are. */
static char *
find_in_folder(const char *folder, int *n_same)
{
    static const char *const preferred[] = {"model.pdmodel", "inference.pdmodel", "inference.json"};
    char *best = NULL;
    int best_rank = NO_PROGRAM;
    *n_same = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        const int r = rank(folder, e->d_name);
        if (r > best_rank || r == NO_PROGRAM)
            continue;
        *n_same = r < best_rank ? 1 : *n_same + 1;
        if (r < best_rank || strcmp(e->d_name, best) < 0) {
            free(best);
            best = qs_xstrdup(e->d_name);
        }
        best_rank = r;
    }
    if (d)
        closedir(d);
    for (size_t i = 0; i < QS_LEN(preferred) && *n_same > 1; i++) {
        char *path = qs_xasprintf("%s/%s", folder, preferred[i]);
        if (qs_exists(path) && rank(folder, preferred[i]) == best_rank) {
            free(best);
            best = qs_xstrdup(preferred[i]);
            *n_same = 1;
        }
        free(path);
    }
    char *path = best ? qs_xasprintf("%s/%s", folder, best) : NULL;
    free(best);
    return path;
}

static char *
find_by_prefix(const char *prefix)
{
    for (size_t i = 0; i < QS_LEN(naming); i++) {
        if (naming[i].whole)
            continue;
        char *path = qs_xasprintf("%s%s", prefix, naming[i].suffix);
        if (qs_exists(path))
            return path;
        free(path);
    }
    return NULL;
}

static enum qs_err
locate(struct qs_ctx *cx, const char *path, char **out)
{
    int n_same = 1;
    if (qs_is_folder(path)) {
        *out = find_in_folder(path, &n_same);
        if (!*out)
            *out = find_by_prefix(path);
        if (!*out)
            return qs_fail(cx, QS_ERR_NOT_FOUND,
                           _("cannot open model '%s': no .pdmodel, __model__, .json or .nb file in "
                             "this folder"),
                           path);
        if (n_same > 1)
            return qs_fail(
                cx, QS_ERR_USAGE,
                _("cannot open model '%s': %d programs in this folder; name one of them"), path,
                n_same);
        return QS_OK;
    }
    *out = qs_exists(path) ? qs_xstrdup(path) : find_by_prefix(path);
    if (!*out)
        return qs_fail(cx, QS_ERR_NOT_FOUND, _("cannot open model '%s': %s"), path,
                       strerror(ENOENT));
    return QS_OK;
}

char *
qs_model_locate(const char *path, const char **name)
{
    struct qs_ctx cx;
    char *file = NULL;
    qs_ctx_init(&cx);
    if (locate(&cx, path, &file) != QS_OK) {
        free(file);
        return NULL;
    }
    const struct naming *n = naming_of(file);
    *name = n ? n->format : "pdmodel";
    return file;
}

/* Parameters */

/* The combined parameter file that belongs to a program file; NULL when none exists. */
static char *
find_params(const char *program)
{
    const struct naming *n = naming_of(program);
    const int folder = (int)(base_name(program) - program);
    if (!n)
        return NULL;
    for (size_t i = 0; i < QS_LEN(n->params) && n->params[i]; i++) {
        char *path = n->whole ? qs_xasprintf("%.*s%s", folder, program, n->params[i])
                              : qs_xasprintf("%.*s%s", (int)(strlen(program) - strlen(n->suffix)),
                                             program, n->params[i]);
        if (qs_exists(path))
            return path;
        free(path);
    }
    return NULL;
}

static enum qs_err
read_combined(struct qs_ctx *cx, struct qs_model *m, const char *path)
{
    struct qs_buf *b = NULL;
    enum qs_err err = qs_buf_map(cx, path, _("parameters"), &b);
    if (!err)
        err = qs_params_read_combined(cx, m, b, path);
    qs_buf_unref(b);
    if (!err)
        m->params_path = qs_arena_strdup(&m->arena, path);
    return err;
}

/* Whether any parameter has a file of its own beside the program. */
static bool
has_separate_files(const struct qs_model *m, const char *folder)
{
    int n;
    bool found = false;
    int32_t *list = qs_model_params(m, &n);
    for (int i = 0; i < n && !found; i++) {
        char *path = qs_xasprintf("%s/%s", folder, m->var[list[i]].name);
        found = qs_exists(path) && !qs_is_folder(path);
        free(path);
    }
    free(list);
    return found;
}

static int
count_params(const struct qs_model *m)
{
    int n;
    free(qs_model_params(m, &n));
    return n;
}

static enum qs_err
read_params(struct qs_ctx *cx, struct qs_model *m, const char *program, const char *given)
{
    char *params = given ? qs_xstrdup(given) : find_params(program);
    enum qs_err err = QS_OK;
    if (params) {
        err = read_combined(cx, m, params);
    } else if (count_params(m) == 0) {
        m->has_params = true;
    } else {
        const int n = (int)(base_name(program) - program);
        char *folder = n ? qs_xasprintf("%.*s", n - 1 ? n - 1 : 1, program) : qs_xstrdup(".");
        if (has_separate_files(m, folder))
            err = qs_params_read_separate(cx, m, folder);
        free(folder);
    }
    free(params);
    return err;
}

/* Programs */

static const struct qs_format *
probe(const struct qs_buf *b)
{
    for (int i = 0; format[i]; i++)
        if (format[i]->probe(b->data, b->size))
            return format[i];
    return NULL;
}

static enum qs_err
read_program(struct qs_ctx *cx, const char *path, struct qs_buf *b, struct qs_model *m)
{
    if (b->size > LARGEST_PROGRAM)
        return qs_fail(cx, QS_ERR_FORMAT,
                       _("cannot read program '%s': it has %zu bytes, the limit is %d"), path,
                       b->size, LARGEST_PROGRAM);
    const struct qs_format *f = probe(b);
    if (!f)
        return qs_fail(cx, QS_ERR_FORMAT,
                       _("cannot read program '%s': not a Paddle program, Paddle 3 JSON program or "
                         "Paddle-Lite file"),
                       path);
    const struct naming *n = naming_of(path);
    m->format = strcmp(f->name, "pdmodel") == 0 && n && n->whole ? "model" : f->name;
    m->program_path = qs_arena_strdup(&m->arena, path);
    m->program_bytes = (int64_t)b->size;
    if (f->read(cx, b, m) != QS_OK)
        return qs_prefix(cx, _("cannot read %s '%s'"), _(f->what), path);
    return QS_OK;
}

enum qs_err
qs_model_read(struct qs_ctx *cx, const char *path, const char *params, struct qs_model **out)
{
    char *program = NULL;
    struct qs_buf *b = NULL;
    struct qs_model *m = qs_model_new();
    enum qs_err err = locate(cx, path, &program);
    if (!err)
        err = qs_buf_map(cx, program, _("program"), &b);
    if (!err)
        err = read_program(cx, program, b, m);
    if (!err && strcmp(m->format, "nb") != 0)
        err = read_params(cx, m, program, params);
    qs_buf_unref(b);
    free(program);
    if (err) {
        qs_model_unref(m);
        return err;
    }
    *out = m;
    return QS_OK;
}
