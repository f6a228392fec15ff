/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes one of the models of models.c:
 *     make-model NAME FOLDER             FOLDER/model.pdmodel and FOLDER/model.pdiparams
 *     make-model --separate NAME FOLDER  FOLDER/__model__ and a file for each parameter
 *     make-model                         lists the names
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/format.h"
#include "io/params.h"
#include "models.h"

static int
list(void)
{
    for (int i = 0; test_model_at(i); i++)
        printf("%-16s %s\n", test_model_at(i)->name, test_model_at(i)->what);
    return 0;
}

static enum qs_err
write_file(struct qs_ctx *cx, const char *folder, const char *name, const void *head, size_t n_head,
           const void *body, size_t n_body)
{
    struct qs_writer *w = NULL;
    char *path = qs_xasprintf("%s/%s", folder, name);
    enum qs_err err = qs_writer_open(cx, path, 1, &w);
    if (!err)
        err = qs_writer_put(cx, w, head, n_head);
    if (!err)
        err = qs_writer_put(cx, w, body, n_body);
    if (!err)
        err = qs_writer_finish(cx, w);
    if (!err)
        err = qs_writer_commit(cx, w, NULL);
    qs_writer_free(w);
    free(path);
    return err;
}

static enum qs_err
write_separate(struct qs_ctx *cx, const struct qs_model *m, const char *folder)
{
    uint8_t *program = NULL;
    size_t n_bytes;
    int n;
    enum qs_err err = qs_program_encode(cx, m, &program, &n_bytes);
    int32_t *list = qs_model_params(m, &n);
    if (!err)
        err = write_file(cx, folder, "__model__", program, n_bytes, NULL, 0);
    for (int i = 0; i < n && !err; i++) {
        const struct qs_tensor *t = m->var[list[i]].data;
        uint8_t head[QS_RECORD_HEADER_MOST];
        const size_t n_head = qs_record_header(t, head);
        err = write_file(cx, folder, m->var[list[i]].name, head, n_head, t->buf->data + t->offset,
                         t->bytes);
    }
    free(list);
    free(program);
    return err;
}

static enum qs_err
write_combined(struct qs_ctx *cx, const struct qs_model *m, const char *folder)
{
    struct qs_file_info file[2] = {0};
    char *prefix = qs_xasprintf("%s/model", folder);
    const enum qs_err err = qs_model_write(cx, m, prefix, true, file);
    qs_file_info_release(&file[0]);
    qs_file_info_release(&file[1]);
    free(prefix);
    return err;
}

int
main(int argc, char **argv)
{
    const int separate = argc > 1 && strcmp(argv[1], "--separate") == 0;
    struct qs_ctx cx;
    if (argc == 1)
        return list();
    if (argc != 3 + separate) {
        fputs("usage: make-model [--separate] NAME FOLDER\n", stderr);
        return 2;
    }
    struct qs_model *m = test_model(argv[1 + separate]);
    if (!m) {
        fprintf(stderr, "make-model: no model '%s'\n", argv[1 + separate]);
        return 1;
    }
    qs_ctx_init(&cx);
    const enum qs_err err = separate ? write_separate(&cx, m, argv[2 + separate])
                                     : write_combined(&cx, m, argv[2 + separate]);
    qs_model_unref(m);
    if (!err)
        return 0;
    fprintf(stderr, "make-model: %s\n", qs_message(&cx));
    return 1;
}
