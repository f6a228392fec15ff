/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model formats: readers by name and by probing. A format is one file plus one row in format.inc.
 * Every reader treats its bytes as hostile: sizes are checked before use, nothing is read past the
 * buffer, nesting is bounded.
 */
#ifndef QS_IO_FORMAT_H
#define QS_IO_FORMAT_H

#include "model/graph.h"
#include "model/run.h"

/* A reader gets the mapped program file and fills `m` (blocks, variables, nodes; not the
 * parameters unless `owns_params`). The caller has set program_path and program_bytes, frees `m`
 * on failure, and prefixes messages with the file's name. */
struct qs_format {
    const char *name; /* "pdmodel" */
    const char *what; /* for messages: "Paddle program" */
    bool owns_params; /* the program file holds the parameters too (.nb) */
    /* Whether the first bytes look like this format. */
    bool (*probe)(const uint8_t *p, size_t n);
    enum qs_err (*read)(struct qs_ctx *cx, const struct qs_buf *b, struct qs_model *m);
};

const struct qs_format *qs_format_at(int i); /* NULL after the last */

/* Reads MODEL: a folder, a program file, or a prefix without suffix. `params`: the combined
 * parameter file when it is elsewhere, or NULL. A program whose combined parameter file is missing
 * is read without parameters (model->has_params false) unless `params` named it. */
enum qs_err qs_model_read(struct qs_ctx *cx, const char *path, const char *params,
                          struct qs_model **out) QS_MUST_CHECK;

/* The program file that qs_model_read would read for `path` (malloc), its format by name only (no
 * byte is read); NULL when there is none. For finding models. */
char *qs_model_locate(const char *path, const char **format);

/* Parameters: params.c */
/* Attaches the records of a combined stream to the parameters of `m`, in name order; checks that
 * the stream is consumed exactly. */
enum qs_err qs_params_read_combined(struct qs_ctx *cx, struct qs_model *m, struct qs_buf *b,
                                    const char *path) QS_MUST_CHECK;
/* One file per parameter, below `folder`. */
enum qs_err qs_params_read_separate(struct qs_ctx *cx, struct qs_model *m,
                                    const char *folder) QS_MUST_CHECK;

/* Writing: paddle_write.c */
/* Writes prefix.pdmodel and prefix.pdiparams (parameters: file[1]; a model without parameters
 * writes none and leaves file[1] empty). Both files are complete before either is put in place. */
enum qs_err qs_model_write(struct qs_ctx *cx, const struct qs_model *m, const char *prefix,
                           bool force, struct qs_file_info file[2]) QS_MUST_CHECK;
/* Bytes of the parameter file that would be written. */
int64_t qs_params_bytes(const struct qs_model *m);
/* Encodes the program; malloc. */
enum qs_err qs_program_encode(struct qs_ctx *cx, const struct qs_model *m, uint8_t **out,
                              size_t *n) QS_MUST_CHECK;

#endif
