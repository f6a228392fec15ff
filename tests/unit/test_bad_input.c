/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damaged files: a small model cut at every byte and with every byte changed. Each must be read or
 * refused with one line; what is read must stand being looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../models.h"
#include "base/file.h"
#include "base/mem.h"
#include "io/format.h"
#include "model/quant.h"
#include "model/shape.h"
#include "passes/decide.h"

struct files {
    char folder[64];
    char *program_path, *params_path;
    char *program, *params; /* sound bytes */
    size_t n_program, n_params;
};

static void
must(enum qs_err err, const struct qs_ctx *cx)
{
    if (err)
        fail_msg("%s", qs_message(cx));
}

static int
setup(void **state)
{
    struct qs_ctx cx;
    struct qs_file_info file[2] = {0};
    struct files *f = qs_xcalloc(1, sizeof(*f));
    const char *base = getenv("TMPDIR");
    qs_ctx_init(&cx);
    snprintf(f->folder, sizeof(f->folder), "%.40s/qslim-test.XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(f->folder));
    char *prefix = qs_xasprintf("%s/model", f->folder);
    struct qs_model *m = test_model("small");
    must(qs_model_write(&cx, m, prefix, false, file), &cx);
    f->program_path = file[0].path;
    f->params_path = file[1].path;
    must(qs_read_text(&cx, f->program_path, "program", 1 << 20, &f->program, &f->n_program), &cx);
    must(qs_read_text(&cx, f->params_path, "parameters", 1 << 20, &f->params, &f->n_params), &cx);
    qs_model_unref(m);
    free(prefix);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct files *f = *state;
    unlink(f->program_path);
    unlink(f->params_path);
    rmdir(f->folder);
    free(f->program_path);
    free(f->params_path);
    free(f->program);
    free(f->params);
    free(f);
    return 0;
}

static void
put(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Everything that commands do before they change or write anything. */
static void
look(struct qs_ctx *cx, const struct qs_model *m)
{
    struct qs_shapes *shapes = NULL;
    struct qs_decisions *d = NULL;
    struct qs_plan plan;
    struct qs_edges *e = qs_edges_new(m);
    struct qs_layers *l = qs_layers_new(m, e);
    for (int i = 0; i < l->n; i++) {
        const struct qs_tensor *t = m->var[l->layer[i].var].data;
        if (t && qs_dtype_is_float(t->dtype))
            qs_layer_stats_of(t, l->layer[i].axis, &l->layer[i].stats);
    }
    if (qs_infer_shapes(cx, m, NULL, 0, &shapes) == QS_OK)
        qs_shapes_free(shapes);
    qs_clear(cx);
    qs_plan_init(&plan);
    if (qs_decide(cx, m, e, l, &plan, &d) == QS_OK)
        qs_decisions_free(d);
    qs_plan_release(&plan);
    qs_layers_free(l);
    qs_edges_free(e);
}

/* Reads the model as it lies there; whether it was taken. */
static bool
read_it(const struct files *f, const char *case_name, size_t at)
{
    struct qs_ctx cx;
    struct qs_model *m = NULL;
    qs_ctx_init(&cx);
    const enum qs_err err = qs_model_read(&cx, f->folder, NULL, &m);
    if (!err) {
        look(&cx, m);
        qs_model_unref(m);
        return true;
    }
    if (!*cx.message || strchr(cx.message, '\n') || !strstr(cx.message, f->folder))
        fail_msg("%s at byte %zu: message '%s'", case_name, at, cx.message);
    return false;
}

static void
cut_program_is_refused_or_read(void **state)
{
    const struct files *f = *state;
    int n_read = 0;
    for (size_t n = 0; n < f->n_program; n++) {
        put(f->program_path, f->program, n);
        n_read += read_it(f, "program cut", n);
    }
    /* messages of protobuf have no end mark: between two blocks or fields a cut is not seen */
    assert_in_range(n_read, 0, 4);
    put(f->program_path, f->program, f->n_program);
    assert_true(read_it(f, "whole program", f->n_program));
}

static void
cut_parameters_are_refused(void **state)
{
    const struct files *f = *state;
    for (size_t n = 0; n < f->n_params; n++) {
        put(f->params_path, f->params, n);
        if (read_it(f, "parameters cut", n))
            fail_msg("parameters cut at byte %zu of %zu were taken", n, f->n_params);
    }
    put(f->params_path, f->params, f->n_params);
}

static void
longer_parameters_are_refused(void **state)
{
    const struct files *f = *state;
    char *longer = qs_xcalloc(f->n_params + 9, 1);
    memcpy(longer, f->params, f->n_params);
    for (size_t more = 1; more <= 9; more++) {
        put(f->params_path, longer, f->n_params + more);
        assert_false(read_it(f, "parameters longer by", more));
    }
    put(f->params_path, f->params, f->n_params);
    free(longer);
}

static void
change_each_byte(const struct files *f, const char *path, const char *sound, size_t n)
{
    static const unsigned char change[] = {0x01, 0x80, 0xFF};
    char *bytes = qs_xmalloc(n);
    memcpy(bytes, sound, n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof(change); k++) {
            bytes[i] = (char)(sound[i] ^ change[k]);
            put(path, bytes, n);
            read_it(f, path, i);
            bytes[i] = sound[i];
        }
    put(path, sound, n);
    free(bytes);
}

static void
changed_program_is_refused_or_read(void **state)
{
    const struct files *f = *state;
    change_each_byte(f, f->program_path, f->program, f->n_program);
}

static void
changed_parameters_are_refused_or_read(void **state)
{
    const struct files *f = *state;
    change_each_byte(f, f->params_path, f->params, f->n_params);
}

/* What models.c calls hostile is refused for the reason it was made for. */
static void
lies_are_told_apart(void **state)
{
    static const struct {
        const char *model, *why;
    } lie[] = {
        {"bad-dtype", "element type 99"},
        {"wrong-dims", "2x3x3x3 in the parameters and 3x2x3x3 in the program"},
        {"negative-dims", "dimension 1 is negative (-2)"},
        {"overflow", "the dimensions are too large"},
        {"overflow-bytes", "needs more than"},
        {"huge", "needs more than"},
        {"self-block", "names block 0 as 'sub_block'"},
        {"block-circle", "names block 1 as 'sub_block'"},
        {"no-block", "names block 7 as 'sub_block'"},
        {"parent-circle", "block 1 names block 2 as its parent"},
    };
    const struct files *f = *state;
    char *prefix = qs_xasprintf("%s/model", f->folder);
    for (size_t i = 0; i < QS_LEN(lie); i++) {
        struct qs_ctx cx;
        struct qs_file_info file[2] = {0};
        struct qs_model *m = test_model(lie[i].model), *read = NULL;
        qs_ctx_init(&cx);
        must(qs_model_write(&cx, m, prefix, true, file), &cx);
        qs_model_unref(m);
        assert_int_equal(qs_model_read(&cx, f->folder, NULL, &read), QS_ERR_FORMAT);
        if (!strstr(cx.message, lie[i].why))
            fail_msg("%s: '%s' does not say '%s'", lie[i].model, cx.message, lie[i].why);
        qs_file_info_release(&file[0]);
        qs_file_info_release(&file[1]);
    }
    put(f->program_path, f->program, f->n_program);
    put(f->params_path, f->params, f->n_params);
    free(prefix);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_program_is_refused_or_read),
        cmocka_unit_test(cut_parameters_are_refused),
        cmocka_unit_test(longer_parameters_are_refused),
        cmocka_unit_test(changed_program_is_refused_or_read),
        cmocka_unit_test(changed_parameters_are_refused_or_read),
        cmocka_unit_test(lies_are_told_apart),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("bad_input", tests, setup, teardown);
}
