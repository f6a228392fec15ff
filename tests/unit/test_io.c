/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, writing, reading: the same program, the same parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../models.h"
#include "base/file.h"
#include "base/mem.h"
#include "io/format.h"
#include "io/params.h"
#include "io/wire.h"
#include "model/text.h"

static char folder[64], prefix[80];

static int
make_folder(void **state)
{
    const char *base = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof(folder), "%.40s/qslim-test.XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    snprintf(prefix, sizeof(prefix), "%s/model", folder);
    return 0;
}

static int
drop_folder(void **state)
{
    static const char *const suffix[] = {".pdmodel", ".pdiparams"};
    (void)state;
    for (size_t i = 0; i < QS_LEN(suffix); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s%s", prefix, suffix[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static char *
text_of(const struct qs_model *m)
{
    struct qs_str s;
    qs_str_init(&s);
    qs_text_model(m, true, &s);
    return qs_str_take(&s);
}

static void
write_model(const struct qs_model *m, struct qs_file_info file[2])
{
    struct qs_ctx cx;
    qs_ctx_init(&cx);
    memset(file, 0, 2 * sizeof(*file));
    if (qs_model_write(&cx, m, prefix, true, file) != QS_OK)
        fail_msg("%s", qs_message(&cx));
}

static struct qs_model *
read_model(const char *path)
{
    struct qs_ctx cx;
    struct qs_model *m = NULL;
    qs_ctx_init(&cx);
    if (qs_model_read(&cx, path, NULL, &m) != QS_OK)
        fail_msg("%s", qs_message(&cx));
    return m;
}

static void
release(struct qs_file_info file[2])
{
    qs_file_info_release(&file[0]);
    qs_file_info_release(&file[1]);
}

static void
same_parameters(const struct qs_model *a, const struct qs_model *b)
{
    int n, k;
    int32_t *x = qs_model_params(a, &n), *y = qs_model_params(b, &k);
    assert_int_equal(n, k);
    for (int i = 0; i < n; i++) {
        const struct qs_tensor *t = a->var[x[i]].data, *u = b->var[y[i]].data;
        assert_string_equal(a->var[x[i]].name, b->var[y[i]].name);
        assert_int_equal(t->dtype, u->dtype);
        assert_int_equal(t->n_dims, u->n_dims);
        assert_int_equal(t->bytes, u->bytes);
        assert_memory_equal(t->buf->data + t->offset, u->buf->data + u->offset, t->bytes);
    }
    free(x);
    free(y);
}

/* Whether the model of models.c is sound: it is read back, and comes out the same. */
static void
model_reads_back(void **state)
{
    static const char *const sound[] = {"small", "matmul",       "lite", "unknown",
                                        "nan",   "float16",      "zero", "rank",
                                        "names", "empty-weight", "deep"};
    (void)state;
    for (size_t i = 0; i < QS_LEN(sound); i++) {
        struct qs_file_info first[2], second[2];
        struct qs_model *made = test_model(sound[i]);
        write_model(made, first);
        struct qs_model *read = read_model(folder);
        char *a = text_of(made), *b = text_of(read);
        assert_string_equal(a, b);
        same_parameters(made, read);
        write_model(read, second);
        assert_string_equal(first[0].sha256, second[0].sha256);
        assert_string_equal(first[1].sha256, second[1].sha256);
        assert_int_equal(read->program_bytes, first[0].bytes);
        assert_int_equal(read->params_bytes, first[1].bytes);
        free(a);
        free(b);
        qs_model_unref(read);
        qs_model_unref(made);
        release(first);
        release(second);
    }
}

/* The files of Paddle itself come out byte for byte. */
static void
sample_is_written_as_it_was_read(void **state)
{
    struct qs_file_info file[2];
    const char *src = getenv("srcdir");
    char path[512];
    (void)state;
    snprintf(path, sizeof(path), "%s/sample/digits", src ? src : ".");
    struct qs_model *m = read_model(path);
    struct qs_ctx cx;
    qs_ctx_init(&cx);
    write_model(m, file);
    for (int i = 0; i < 2; i++) {
        char *was, *is;
        size_t n_was, n_is;
        assert_int_equal(
            qs_read_text(&cx, i ? m->params_path : m->program_path, "file", 1 << 20, &was, &n_was),
            QS_OK);
        assert_int_equal(qs_read_text(&cx, file[i].path, "file", 1 << 20, &is, &n_is), QS_OK);
        assert_int_equal(n_was, n_is);
        assert_memory_equal(was, is, n_was);
        free(was);
        free(is);
    }
    qs_model_unref(m);
    release(file);
}

/* What qslim does not know must survive: fields of later versions on every level, attributes of
 * unknown type, Scalar attributes. */
static void
unknown_fields_survive(void **state)
{
    /* ProgramDesc { blocks { idx 0, parent -1, vars { name "x", type { type 7, lod_tensor {
     * tensor { data_type 5, dims 2 }, field 15 = 1 } }, field 14 = 2 }, ops { type "op", attrs {
     * name "s", type 16, scalar { type 1, i 3 } }, attrs { name "later", type 77, field 30 "zz" },
     * field 13 = 3 }, field 12 = 4 }, version { version 0 }, field 5 "map", field 11 = 5 } */
    static const uint8_t program[] = {
        0x0a, 0x4a, 0x08, 0x00, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        0x1a, 0x13, 0x0a, 0x01, 0x78, 0x12, 0x0c, 0x08, 0x07, 0x1a, 0x06, 0x0a, 0x04, 0x08, 0x05,
        0x10, 0x02, 0x78, 0x01, 0x70, 0x02, 0x22, 0x24, 0x1a, 0x02, 0x6f, 0x70, 0x22, 0x0c, 0x0a,
        0x01, 0x73, 0x10, 0x10, 0xa2, 0x01, 0x04, 0x08, 0x01, 0x18, 0x03, 0x22, 0x0e, 0x0a, 0x05,
        0x6c, 0x61, 0x74, 0x65, 0x72, 0x10, 0x4d, 0xf2, 0x01, 0x02, 0x7a, 0x7a, 0x68, 0x03, 0x60,
        0x04, 0x22, 0x02, 0x08, 0x00, 0x2a, 0x03, 0x6d, 0x61, 0x70, 0x58, 0x05,
    };
    struct qs_ctx cx;
    struct qs_buf *b = NULL;
    uint8_t *out = NULL;
    size_t n = 0;
    (void)state;
    qs_ctx_init(&cx);
    assert_int_equal(qs_buf_new(&cx, sizeof(program), &b), QS_OK);
    memcpy(b->data, program, sizeof(program));
    for (int i = 0; qs_format_at(i); i++) {
        if (strcmp(qs_format_at(i)->name, "pdmodel") != 0)
            continue;
        struct qs_model *m = qs_model_new();
        if (qs_format_at(i)->read(&cx, b, m) != QS_OK)
            fail_msg("%s", qs_message(&cx));
        assert_int_equal(qs_program_encode(&cx, m, &out, &n), QS_OK);
        qs_model_unref(m);
    }
    qs_buf_unref(b);
    assert_int_equal(n, sizeof(program));
    assert_memory_equal(out, program, n);
    free(out);
}

static void
existing_file_is_kept_without_force(void **state)
{
    struct qs_file_info file[2], none[2] = {0};
    struct qs_ctx cx;
    struct qs_model *m = test_model("small"), *other = test_model("matmul");
    (void)state;
    qs_ctx_init(&cx);
    write_model(m, file);
    assert_int_equal(qs_model_write(&cx, other, prefix, false, none), QS_ERR_EXISTS);
    struct qs_model *read = read_model(prefix);
    same_parameters(m, read);
    qs_model_unref(read);
    qs_model_unref(other);
    qs_model_unref(m);
    release(file);
}

static void
record_header_reads_back(void **state)
{
    static const int64_t dims[][4] = {
        {0}, {1, 2, 3, 4}, {300, 1, 70000, 0}, {INT64_C(1) << 33, 0, 1, 1}};
    static const int rank[] = {0, 4, 4, 2};
    (void)state;
    for (size_t i = 0; i < QS_LEN(rank); i++) {
        struct qs_ctx cx;
        struct qs_arena arena;
        struct qs_tensor t = {.dtype = QS_DTYPE_int16, .n_dims = rank[i], .dims = dims[i]}, read;
        uint8_t header[QS_RECORD_HEADER_MOST];
        struct qs_buf *b = NULL;
        size_t at = 0;
        qs_ctx_init(&cx);
        qs_arena_init(&arena);
        const size_t n = qs_record_header(&t, header);
        assert_int_equal(qs_count_elements(&cx, dims[i], rank[i], &t.n), QS_OK);
        assert_int_equal(qs_buf_new(&cx, n + 2 * (size_t)t.n, &b), QS_OK);
        memset(b->data, 0, b->size);
        memcpy(b->data, header, n);
        if (qs_record_read(&cx, &arena, b, &at, &read) != QS_OK)
            fail_msg("%s", qs_message(&cx));
        assert_int_equal(at, b->size);
        assert_int_equal(read.dtype, t.dtype);
        assert_int_equal(read.n_dims, t.n_dims);
        for (int k = 0; k < rank[i]; k++)
            assert_int_equal(read.dims[k], dims[i][k]);
        qs_buf_unref(b);
        qs_arena_release(&arena);
    }
}

static void
messages_take_no_more_than_they_may(void **state)
{
    static const struct {
        size_t left;
        bool fits;
    } cases[] = {{0, false}, {64, false}, {200, false}, {4096, true}};
    static const uint8_t program[] = {0x0a, 0x0c, 0x08, 0x00, 0x10, 0x00, 0x22,
                                      0x06, 0x1a, 0x04, 'r',  'e',  'l',  'u'};
    (void)state;
    for (size_t i = 0; i < QS_LEN(cases); i++) {
        struct qs_arena arena;
        qs_arena_init(&arena);
        struct qs_wire_memory memory = {.arena = &arena, .left = cases[i].left};
        ProtobufCAllocator alloc = qs_wire_bounded(&memory);
        const PaddlePb__ProgramDesc *p =
            paddle_pb__program_desc__unpack(&alloc, sizeof(program), program);
        assert_int_equal(p != NULL, cases[i].fits);
        assert_int_equal(memory.is_over, !cases[i].fits);
        assert_true(memory.left <= cases[i].left);
        qs_arena_release(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model_reads_back),
        cmocka_unit_test(sample_is_written_as_it_was_read),
        cmocka_unit_test(unknown_fields_survive),
        cmocka_unit_test(existing_file_is_kept_without_force),
        cmocka_unit_test(record_header_reads_back),
        cmocka_unit_test(messages_take_no_more_than_they_may),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("io", tests, make_folder, drop_folder);
}
