/* SPDX-License-Identifier: Apache-2.0 */
#include "io/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/infer.h"

enum {
    MAGIC = 6,
    ALIGN = 64,        /* of the data in files that are written */
    HEADER_MOST = 4096 /* of files that are read */
};

static const struct {
    const char *descr;
    int32_t dtype;
} types[] = {
    {"<f4", QS_DTYPE_float32},   {"<f8", QS_DTYPE_float64},     {"<f2", QS_DTYPE_float16},
    {"<i8", QS_DTYPE_int64},     {"<i4", QS_DTYPE_int32},       {"<i2", QS_DTYPE_int16},
    {"|i1", QS_DTYPE_int8},      {"|u1", QS_DTYPE_uint8},       {"|b1", QS_DTYPE_bool},
    {"<c8", QS_DTYPE_complex64}, {"<c16", QS_DTYPE_complex128},
};

struct header {
    const char *at; /* what is left of the text, NUL-terminated */
    char descr[8];
    bool fortran, has_descr, has_shape;
};

static void
skip_space(struct header *h)
{
    h->at += strspn(h->at, " \t\n");
}

/* Takes the text when it comes next. */
static bool
take(struct header *h, const char *text)
{
    skip_space(h);
    if (strncmp(h->at, text, strlen(text)) != 0)
        return false;
    h->at += strlen(text);
    return true;
}

/* A quoted word of less than `cap` characters. */
static bool
take_word(struct header *h, char *out, size_t cap)
{
    skip_space(h);
    const char quote = *h->at;
    if (quote != '\'' && quote != '"')
        return false;
    const char *end = strchr(h->at + 1, quote);
    const size_t n = end ? (size_t)(end - h->at - 1) : cap;
    if (n >= cap)
        return false;
    memcpy(out, h->at + 1, n);
    out[n] = '\0';
    h->at = end + 1;
    return true;
}

static bool
take_dims(struct header *h, struct qs_npy *out)
{
    if (!take(h, "("))
        return false;
    while (!take(h, ")")) {
        char *end;
        skip_space(h);
        if (*h->at < '0' || *h->at > '9' || out->n == QS_RANK_MOST)
            return false;
        const long long d = strtoll(h->at, &end, 10);
        if (d > QS_DIM_MOST)
            return false;
        h->at = *end == 'L' ? end + 1 : end;
        out->d[out->n++] = d;
        if (!take(h, ",")) {
            h->has_shape = take(h, ")");
            return h->has_shape;
        }
    }
    return h->has_shape = true;
}

static bool
take_entry(struct header *h, struct qs_npy *out)
{
    char key[16];
    if (!take_word(h, key, sizeof(key)) || !take(h, ":"))
        return false;
    if (strcmp(key, "descr") == 0)
        return h->has_descr = take_word(h, h->descr, sizeof(h->descr));
    if (strcmp(key, "shape") == 0)
        return !h->has_shape && take_dims(h, out);
    if (strcmp(key, "fortran_order") != 0)
        return false;
    h->fortran = take(h, "True");
    return h->fortran || take(h, "False");
}

static bool
parse_header(struct header *h, struct qs_npy *out)
{
    if (!take(h, "{"))
        return false;
    while (!take(h, "}")) {
        if (!take_entry(h, out))
            return false;
        if (!take(h, ","))
            return take(h, "}") && h->has_descr && h->has_shape;
    }
    return h->has_descr && h->has_shape;
}

static int32_t
dtype_of(const char *descr)
{
    for (size_t i = 0; i < QS_LEN(types); i++)
        if (strcmp(types[i].descr, descr) == 0)
            return types[i].dtype;
    return -1;
}

static enum qs_err
interpret(struct qs_ctx *cx, const char *what, char *text, struct qs_npy *out)
{
    struct header h = {.at = text};
    if (!parse_header(&h, out))
        return qs_fail(cx, QS_ERR_FORMAT, _("cannot read '%s': its header is not one of NumPy's"),
                       what);
    out->dtype = dtype_of(h.descr);
    if (out->dtype < 0)
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("cannot read '%s': element type '%s'"), what,
                       h.descr);
    if (h.fortran && out->n > 1)
        return qs_fail(cx, QS_ERR_UNSUPPORTED,
                       _("cannot read '%s': column-major (save it with order='C')"), what);
    return qs_count_elements(cx, out->d, out->n, &out->count);
}

static enum qs_err
copy_data(struct qs_ctx *cx, const char *what, const uint8_t *p, size_t n, struct qs_npy *out)
{
    const size_t size = (size_t)qs_dtype_bytes(out->dtype);
    if ((uint64_t)out->count > n / size)
        return qs_fail(cx, QS_ERR_FORMAT, _("cannot read '%s': it ends before its data do"), what);
    const enum qs_err err = qs_buf_new(cx, (size_t)out->count * size, &out->buf);
    if (err)
        return err;
    if (out->count > 0)
        memcpy(out->buf->data, p, (size_t)out->count * size);
    for (int64_t i = 0; out->dtype == QS_DTYPE_bool && i < out->count; i++)
        out->buf->data[i] = out->buf->data[i] != 0;
    return QS_OK;
}

enum qs_err
qs_npy_parse(struct qs_ctx *cx, const char *what, const uint8_t *p, size_t n, struct qs_npy *out)
{
    *out = (struct qs_npy){0};
    if (n < MAGIC + 6 || memcmp(p, "\x93NUMPY", MAGIC) != 0)
        return qs_fail(cx, QS_ERR_FORMAT, _("cannot read '%s': not a .npy file"), what);
    const int version = p[MAGIC];
    const size_t start = version == 1 ? MAGIC + 4 : MAGIC + 6;
    size_t length = (size_t)p[MAGIC + 2] | (size_t)p[MAGIC + 3] << 8;
    if (version >= 2)
        length |= (size_t)p[MAGIC + 4] << 16 | (size_t)p[MAGIC + 5] << 24;
    if (version < 1 || version > 3)
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("cannot read '%s': version %d"), what, version);
    if (length > n - start || length > HEADER_MOST)
        return qs_fail(cx, QS_ERR_FORMAT, _("cannot read '%s': its header is too long"), what);
    char *text = qs_xcalloc(length + 1, 1);
    memcpy(text, p + start, length);
    enum qs_err err = interpret(cx, what, text, out);
    free(text);
    return err ? err : copy_data(cx, what, p + start + length, n - start - length, out);
}

enum qs_err
qs_npy_read(struct qs_ctx *cx, const char *path, struct qs_npy *out)
{
    struct qs_buf *file = NULL;
    *out = (struct qs_npy){0};
    enum qs_err err = qs_buf_map(cx, path, _("array"), &file);
    if (err)
        return err;
    err = qs_npy_parse(cx, path, file->data, file->size, out);
    qs_buf_unref(file);
    return err;
}

void
qs_npy_release(struct qs_npy *npy)
{
    qs_buf_unref(npy->buf);
    npy->buf = NULL;
}

/* Magic, version 1, length, text padded with spaces to a whole line of ALIGN. */
static void
format_header(const char *descr, int n, const int64_t *d, struct qs_str *out)
{
    struct qs_str text;
    qs_str_init(&text);
    qs_str_printf(&text, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < n; i++)
        qs_str_printf(&text, "%s%" PRId64 "%s", i ? ", " : "", d[i], n == 1 ? "," : "");
    qs_str_add(&text, "), }");
    while ((MAGIC + 4 + text.n + 1) % ALIGN != 0)
        qs_str_add(&text, " ");
    qs_str_add(&text, "\n");
    qs_str_addn(out, "\x93NUMPY\x01", MAGIC + 1);
    const char rest[3] = {0, (char)(text.n & 255), (char)(text.n >> 8)};
    qs_str_addn(out, rest, sizeof(rest));
    qs_str_addn(out, text.s, text.n);
    qs_str_release(&text);
}

static enum qs_err
put_all(struct qs_ctx *cx, struct qs_writer *w, const struct qs_str *header, const void *data,
        size_t bytes)
{
    enum qs_err err = qs_writer_put(cx, w, header->s, header->n);
    if (!err && bytes > 0)
        err = qs_writer_put(cx, w, data, bytes);
    if (!err)
        err = qs_writer_finish(cx, w);
    return err ? err : qs_writer_commit(cx, w, NULL);
}

enum qs_err
qs_npy_write(struct qs_ctx *cx, const char *path, bool force, int32_t dtype, int n,
             const int64_t *d, const void *data)
{
    const char *descr = NULL;
    struct qs_writer *w = NULL;
    struct qs_str header;
    int64_t count;
    for (size_t i = 0; i < QS_LEN(types); i++)
        if (types[i].dtype == dtype)
            descr = types[i].descr;
    if (!descr)
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("cannot write '%s': element type %s"), path,
                       qs_dtype_name(dtype) ? qs_dtype_name(dtype) : "?");
    enum qs_err err = qs_count_elements(cx, d, n, &count);
    if (!err)
        err = qs_writer_open(cx, path, force, &w);
    if (err)
        return err;
    qs_str_init(&header);
    format_header(descr, n, d, &header);
    err = put_all(cx, w, &header, data, (size_t)count * (size_t)qs_dtype_bytes(dtype));
    qs_writer_free(w);
    qs_str_release(&header);
    return err;
}
