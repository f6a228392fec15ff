/* SPDX-License-Identifier: Apache-2.0 */
/* For shapes.py: prints the inferred shapes of a model. shapes_raw MODEL [NAME=1,3,224,224 ...]
 * writes "input NAME DTYPE DIMS" lines, "var NAME DIMS" for block 0, "node TYPE" for each node
 * without known shapes, "macs N", "version N"; fields are separated by tabs, DIMS is like
 * 1x3x224x224. */
#include <inttypes.h>
#include <stdio.h>

#include "io/format.h"
#include "model/shape.h"

enum { MOST = 64 };

static void
print_shape(const char *what, const struct qs_model *m, int32_t var, const struct qs_shape *x)
{
    char dims[256] = "?";
    if (x->known)
        qs_format_dims(dims, sizeof(dims), x->d, x->n);
    printf("%s\t%s\t%d\t%s\n", what, m->var[var].name, m->var[var].dtype, dims);
}

static void
print_all(const struct qs_model *m, const struct qs_shapes *s)
{
    int32_t input[MOST];
    const int n = qs_model_inputs(m, input, MOST);
    for (int i = 0; i < n && i < MOST; i++)
        print_shape("input", m, input[i], &s->var[input[i]]);
    for (int32_t i = 0; i < m->n_var; i++)
        if (m->var[i].block == 0)
            print_shape("var", m, i, &s->var[i]);
    for (int b = 0; b < m->n_block; b++)
        for (int i = 0; i < m->block[b].n_node; i++)
            if (!s->node[b][i].known)
                printf("node\t%s\n", m->block[b].node[i].type);
    printf("macs\t%" PRId64 "\n", s->macs);
    printf("version\t%" PRId64 "\n", m->version);
    if (s->assumed)
        printf("assumed\t%s\n", s->assumed);
}

int
main(int argc, char **argv)
{
    struct qs_ctx cx;
    struct qs_model *m;
    struct qs_shapes *s;
    struct qs_arena arena;
    struct qs_input_shape given[MOST];
    int n = 0;
    qs_ctx_init(&cx);
    qs_arena_init(&arena);
    enum qs_err err = argc < 2 ? qs_fail(&cx, QS_ERR_USAGE, "usage: shapes_raw MODEL [SHAPE ...]")
                               : qs_model_read(&cx, argv[1], NULL, &m);
    for (int i = 2; i < argc && n < MOST && !err; i++)
        err = qs_input_shape_parse(&cx, &arena, argv[i], &given[n++]);
    if (!err)
        err = qs_infer_shapes(&cx, m, given, n, &s);
    if (err) {
        fprintf(stderr, "%s\n", qs_message(&cx));
        return 1;
    }
    print_all(m, s);
    qs_shapes_free(s);
    qs_model_unref(m);
    qs_arena_release(&arena);
    return 0;
}
