/* SPDX-License-Identifier: Apache-2.0 */
#include "io/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"

/* '|' stands for single bytes, '<' for the rest. */
static const struct {
    const char *descr;
    int32_t dtype;
} types[] = {
    {"|b1", QS_DTYPE_bool},    {"|i1", QS_DTYPE_int8},    {"|u1", QS_DTYPE_uint8},
    {"<i2", QS_DTYPE_int16},   {"<i4", QS_DTYPE_int32},   {"<i8", QS_DTYPE_int64},
    {"<f2", QS_DTYPE_float16}, {"<f4", QS_DTYPE_float32}, {"<f8", QS_DTYPE_float64},
};

static enum qs_err
refuse(struct qs_ctx *cx, const char *path, const char *why)
{
    return qs_fail(cx, QS_ERR_FORMAT, _("cannot read array '%s': %s"), path, why);
}

/* The text after `'key':` of the header's dictionary; NULL when it lacks the key. */
static const char *
value_of(const char *header, const char *key)
{
    const char *p = strstr(header, key);
    p = p ? strchr(p + strlen(key), ':') : NULL;
    return p ? p + 1 + strspn(p + 1, " ") : NULL;
}

static enum qs_err
read_type(struct qs_ctx *cx, const char *path, const char *header, struct qs_npy *out)
{
    const char *descr = value_of(header, "'descr'");
    const char *order = value_of(header, "'fortran_order'");
    if (!descr || !order || *descr != '\'')
        return refuse(cx, path, _("its header is damaged or describes records"));
    if (strncmp(order, "False", 5) != 0)
        return refuse(cx, path, _("it is in Fortran order"));
    for (size_t i = 0; i < QS_LEN(types); i++) {
        if (strncmp(descr + 1, types[i].descr, 3) != 0 || descr[4] != '\'')
            continue;
        out->dtype = types[i].dtype;
        return QS_OK;
    }
    return refuse(cx, path, _("a type of elements that is not supported"));
}

static enum qs_err
read_shape(struct qs_ctx *cx, const char *path, const char *header, struct qs_npy *out)
{
    const char *p = value_of(header, "'shape'");
    if (!p || *p++ != '(')
        return refuse(cx, path, _("its header is damaged"));
    out->count = 1;
    for (out->n = 0; p[strspn(p, " ,")] != ')'; out->n++) {
        char *end = NULL;
        const long long d = strtoll(p + strspn(p, " ,"), &end, 10);
        if (out->n == QS_RANK_MOST)
            return refuse(cx, path, _("it has too many dimensions"));
        if (end == p + strspn(p, " ,") || d < 0 ||
            __builtin_mul_overflow(out->count, (int64_t)d, &out->count) ||
            out->count > INT64_C(1) << 48)
            return refuse(cx, path, _("its header is damaged"));
        out->d[out->n] = d;
        p = end;
    }
    return QS_OK;
}

static enum qs_err
read_header(struct qs_ctx *cx, const char *path, struct qs_npy *out)
{
    enum { MOST = 4096 };
    const uint8_t *p = out->buf->data;
    const size_t n = out->buf->size;
    char header[MOST + 1];
    if (n < 12 || memcmp(p, "\x93NUMPY", 6) != 0)
        return refuse(cx, path, _("it is no .npy file"));
    const size_t at = p[6] == 1 ? 10 : 12;
    const size_t len = p[6] == 1
                           ? p[8] | (size_t)p[9] << 8
                           : p[8] | (size_t)p[9] << 8 | (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (len > MOST || len > n - at)
        return refuse(cx, path, _("its header is damaged"));
    memcpy(header, p + at, len);
    header[len] = '\0';
    enum qs_err err = read_type(cx, path, header, out);
    if (!err)
        err = read_shape(cx, path, header, out);
    if (err)
        return err;
    out->data = p + at + len;
    if ((uint64_t)out->count * (uint64_t)qs_dtype_bytes(out->dtype) > n - at - len)
        return refuse(cx, path, _("the file is cut off"));
    return QS_OK;
}

enum qs_err
qs_npy_map(struct qs_ctx *cx, const char *path, struct qs_npy *out)
{
    *out = (struct qs_npy){0};
    enum qs_err err = qs_buf_map(cx, path, _("array"), &out->buf);
    if (!err)
        err = read_header(cx, path, out);
    if (err)
        qs_npy_release(out);
    return err;
}

void
qs_npy_release(struct qs_npy *a)
{
    qs_buf_unref(a->buf);
    *a = (struct qs_npy){0};
}
