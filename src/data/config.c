/* SPDX-License-Identifier: Apache-2.0 */
#include "data/config.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"

static const char *const type_names[] = {"classification", "ocr_rec", "ocr_det", "tensors", NULL};

/* What the file says before it is checked: nodes borrowed from the document. */
struct raw {
    struct qs_data_config c;
    const struct qs_yaml_node *list, *preprocess, *postprocess;
};

#define FIELD(name, type, member, ...)                                  \
    {                                                                   \
        name, QS_YAML_##type, offsetof(struct raw, member), __VA_ARGS__ \
    }
static const struct qs_yaml_field top_fields[] = {
    FIELD("type", CHOICE, c.type, 0, 0, type_names, 0),
    FIELD("list", NODE, list, 0, 0, NULL, 0),
    FIELD("root", TEXT, c.root, 0, 0, NULL, 0),
    FIELD("input", TEXT, c.input, 0, 0, NULL, 0),
    FIELD("dict", TEXT, c.dict, 0, 0, NULL, 0),
    FIELD("labels", TEXT, c.labels, 0, 0, NULL, 0),
    FIELD("use_space_char", FLAG, c.use_space_char, 0, 0, NULL, 0),
    FIELD("preprocess", NODE, preprocess, 0, 0, NULL, 0),
    FIELD("postprocess", NODE, postprocess, 0, 0, NULL, 0),
};
#undef FIELD

enum { SIDE_MOST = 1 << 15 };
static const char *const colors[] = {"rgb", "bgr", NULL};
static const char *const limits[] = {"max", "min", NULL};

#define FIELD(name, type, min, max, choices, n)                                           \
    {                                                                                     \
#name, QS_YAML_##type, offsetof(struct qs_preprocess, name), min, max, choices, n \
    }
static const struct qs_yaml_field pre_fields[] = {
    FIELD(color, CHOICE, 0, 0, colors, 0),
    FIELD(resize_short, INT, 1, SIDE_MOST, NULL, 0),
    FIELD(size, INTS, 1, SIDE_MOST, NULL, 2),
    FIELD(crop, INT, 0, SIDE_MOST, NULL, 0),
    FIELD(scale, REAL, -1e6, 1e6, NULL, 0),
    FIELD(mean, REALS, -1e6, 1e6, NULL, 3),
    FIELD(std, REALS, 1e-12, 1e6, NULL, 3),
    FIELD(shape, INTS, 1, SIDE_MOST, NULL, 3),
    FIELD(limit_side_len, INT, 1, SIDE_MOST, NULL, 0),
    FIELD(limit_type, CHOICE, 0, 0, limits, 0),
};
#undef FIELD

#define FIELD(name, type, min, max)                                                     \
    {                                                                                   \
#name, QS_YAML_##type, offsetof(struct qs_postprocess, name), min, max, NULL, 0 \
    }
static const struct qs_yaml_field post_fields[] = {
    FIELD(thresh, REAL, 0, 1),
    FIELD(box_thresh, REAL, 0, 1),
    FIELD(unclip_ratio, REAL, 0.01, 100),
    FIELD(max_candidates, INT, 1, 1000000),
};
#undef FIELD

#define IMAGENET .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}
#define BYTE (1.0 / 255.0)
static const struct qs_preprocess pre_defaults[] = {
    [QS_DATA_CLASSIFICATION] = {.color = QS_COLOR_RGB, .scale = BYTE, IMAGENET},
    [QS_DATA_OCR_REC] = {.color = QS_COLOR_BGR,
                         .scale = BYTE,
                         .mean = {0.5, 0.5, 0.5},
                         .std = {0.5, 0.5, 0.5},
                         .shape = {3, 48, 320}},
    [QS_DATA_OCR_DET] = {.color = QS_COLOR_BGR, .scale = BYTE, IMAGENET, .limit_side_len = 960},
    [QS_DATA_TENSORS] = {.scale = 1},
};
static const struct qs_postprocess post_defaults = {0.3, 0.6, 1.5, 1000};

char *
qs_path_join(const char *folder, const char *name)
{
    if (*name == '/' || strcmp(folder, ".") == 0 || !*folder)
        return qs_xstrdup(name);
    const size_t n = strlen(folder);
    return qs_xasprintf(folder[n - 1] == '/' ? "%s%s" : "%s/%s", folder, name);
}

static char *
folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return qs_xstrdup(".");
    char *folder = qs_xstrdup(path);
    folder[slash == path ? 1 : slash - path] = '\0';
    return folder;
}

static void
make_relative(char **path, const char *folder)
{
    char *joined = *path ? qs_path_join(folder, *path) : NULL;
    free(*path);
    *path = joined;
}

static void
add_array(struct qs_data_config *c, const char *input, const char *file, const char *folder)
{
    c->array = qs_xrealloc(c->array, (size_t)(c->n_array + 1) * sizeof(*c->array));
    c->array[c->n_array++] = (struct qs_data_array){
        .input = input ? qs_xstrdup(input) : NULL,
        .path = qs_path_join(folder, file),
    };
}

/* `list` of tensors: one file, or NAME: FILE for several inputs. */
static enum qs_err
read_arrays(struct qs_ctx *cx, const struct qs_yaml *y, struct raw *r, const char *folder)
{
    if (r->list->kind == QS_YAML_SCALAR) {
        add_array(&r->c, r->c.input, r->list->text, folder);
        return QS_OK;
    }
    if (r->list->kind != QS_YAML_MAP || r->list->n == 0)
        return qs_yaml_fail(cx, y, r->list, _("'list' must be a file, or a file for each input"));
    for (int i = 0; i < r->list->n; i++) {
        if (r->list->item[i]->kind != QS_YAML_SCALAR)
            return qs_yaml_fail(cx, y, r->list->item[i], _("expected the name of a file"));
        add_array(&r->c, r->list->key[i], r->list->item[i]->text, folder);
    }
    return QS_OK;
}

static enum qs_err
read_preprocess(struct qs_ctx *cx, const struct qs_yaml *y, struct raw *r)
{
    struct qs_preprocess *p = &r->c.pre;
    *p = pre_defaults[r->c.type];
    p->crop = -1;
    enum qs_err err = qs_yaml_fill(cx, y, r->preprocess, pre_fields, QS_LEN(pre_fields), p);
    if (!err && p->size[0] && p->resize_short)
        err = qs_yaml_fail(cx, y, r->preprocess, _("'size' and 'resize_short' exclude each other"));
    if (!err && r->c.type == QS_DATA_OCR_REC && p->shape[0] != 3)
        err = qs_yaml_fail(cx, y, r->preprocess, _("'shape' must begin with 3 channels"));
    const bool plain = r->c.type == QS_DATA_CLASSIFICATION && !p->size[0];
    if (plain && !p->resize_short)
        p->resize_short = 256;
    if (p->crop < 0)
        p->crop = plain ? 224 : 0;
    if (!err && plain && p->crop > p->resize_short)
        err =
            qs_yaml_fail(cx, y, r->preprocess, _("'crop' (%d) is larger than 'resize_short' (%d)"),
                         p->crop, p->resize_short);
    return err;
}

static enum qs_err
read_paths(struct qs_ctx *cx, const struct qs_yaml *y, struct raw *r)
{
    char *folder = folder_of(y->name);
    enum qs_err err = QS_OK;
    make_relative(&r->c.root, folder);
    make_relative(&r->c.dict, folder);
    make_relative(&r->c.labels, folder);
    if (!r->list)
        err = qs_yaml_fail(cx, y, y->root, _("'list' is missing"));
    else if (r->c.type == QS_DATA_TENSORS)
        err = read_arrays(cx, y, r, folder);
    else if (r->list->kind != QS_YAML_SCALAR)
        err = qs_yaml_fail(cx, y, r->list, _("'list' must be the name of a file"));
    else
        r->c.list = qs_path_join(folder, r->list->text);
    if (!err && !r->c.root && r->c.list)
        r->c.root = folder_of(r->c.list);
    free(folder);
    return err;
}

static enum qs_err
read_document(struct qs_ctx *cx, const struct qs_yaml *y, struct raw *r)
{
    r->c.type = -1;
    enum qs_err err = qs_yaml_fill(cx, y, y->root, top_fields, QS_LEN(top_fields), r);
    if (!err && r->c.type < 0)
        err = qs_yaml_fail(cx, y, y->root, _("'type' is missing"));
    if (!err)
        err = read_paths(cx, y, r);
    if (!err)
        err = read_preprocess(cx, y, r);
    r->c.post = post_defaults;
    if (!err)
        err = qs_yaml_fill(cx, y, r->postprocess, post_fields, QS_LEN(post_fields), &r->c.post);
    if (!err && r->c.type == QS_DATA_OCR_REC && !r->c.dict)
        err = qs_yaml_fail(cx, y, y->root, _("'dict' is missing: the characters of the model"));
    return err;
}

static enum qs_err
take_document(struct qs_ctx *cx, struct qs_yaml *y, struct qs_data_config *out)
{
    struct raw r = {0};
    const enum qs_err err = read_document(cx, y, &r);
    r.c.path = qs_xstrdup(y->name);
    if (err)
        qs_data_config_release(&r.c);
    *out = r.c;
    qs_yaml_free(y);
    return err;
}

enum qs_err
qs_data_config_parse(struct qs_ctx *cx, const char *text, size_t n, const char *path,
                     struct qs_data_config *out)
{
    struct qs_yaml *y = NULL;
    *out = (struct qs_data_config){0};
    const enum qs_err err = qs_yaml_parse(cx, text, n, path, &y);
    return err ? err : take_document(cx, y, out);
}

enum qs_err
qs_data_config_read(struct qs_ctx *cx, const char *path, struct qs_data_config *out)
{
    struct qs_yaml *y = NULL;
    *out = (struct qs_data_config){0};
    const enum qs_err err = qs_yaml_read(cx, path, &y);
    return err ? err : take_document(cx, y, out);
}

void
qs_data_config_release(struct qs_data_config *c)
{
    char *const owned[] = {c->path, c->list, c->root, c->dict, c->labels, c->input};
    for (size_t i = 0; i < QS_LEN(owned); i++)
        free(owned[i]);
    for (int i = 0; i < c->n_array; i++) {
        free(c->array[i].input);
        free(c->array[i].path);
    }
    free(c->array);
    *c = (struct qs_data_config){0};
}
