/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subcommands: one file and one row in cmds.inc each. A command describes its options; parsing,
 * --help and the documentation check read the description.
 */
#ifndef QS_CMD_CMD_H
#define QS_CMD_CMD_H

#include <jansson.h>
#include <stdio.h>

#include "base/ctx.h"
#include "base/opt.h"

/* Options every command takes. */
struct qs_common {
    bool json, quiet, help, version;
    int threads;
    int seed;
    char *db;  /* NULL: default */
    char *cpu; /* NULL: no cap */
    /* [*n_more of the command] which options of the second list the command line has */
    const bool *given;
};

struct qs_cmd {
    const char *name;         /* "info" */
    const char *args;         /* "MODEL", "ID1 ID2 [...]" */
    const char *summary;      /* one line, N_() */
    const struct qs_opt *opt; /* options besides the common ones */
    int n_opt;
    const struct qs_opt *more; /* a second list over a part of the struct (the plan), or NULL */
    const int *n_more;
    size_t more_offset;     /* of that part in the struct */
    size_t opt_size;        /* bytes of the option struct; 0: none */
    int min_args, max_args; /* max -1: any number */
    /* Does the work; prints to stdout. Returns the result code; the exit status follows from it
     * (cmd.c). `opt` is the parsed option struct. */
    enum qs_err (*run)(struct qs_ctx *cx, const struct qs_common *common, const void *opt,
                       char **arg, int n_arg);
};

/* Looks up, parses, runs; the exit status of the program. */
int qs_cmd_main(int argc, char **argv, const struct qs_cmd *const *cmds);

/* Helpers for commands. */
/* Prints `root` as one JSON document on stdout and takes it over. */
enum qs_err qs_print_json(struct qs_ctx *cx, json_t *root) QS_MUST_CHECK;
/* A number, or null when it is not finite (JSON has no other way). */
json_t *qs_json_real(double v);
/* A string of any bytes: invalid UTF-8 is replaced. */
json_t *qs_json_text(const char *s);
json_t *qs_json_dims(const int64_t *dims, int n);

/* Columns of the terminal behind `out`; 80 when it is none, or says nothing. */
int qs_terminal_width(FILE *out);
/* Prints text, broken at spaces and between wide characters, and after commas of lists wider than a
 * line, so that no line goes over `width` columns where that can be; `column` is where the cursor
 * is, later lines begin at `indent`. */
void qs_print_wrapped(FILE *out, const char *text, int column, int indent, int width);

/* A table for people: columns padded to their widest cell. Cells are copied. */
struct qs_table;
enum qs_align { QS_LEFT, QS_RIGHT };
struct qs_table *qs_table_new(int n_col, const char *const *title, const enum qs_align *align);
void qs_table_cell(struct qs_table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A number by a format that is data, as that of a metric (metric.inc): of one double. `none` stands
 * for NaN; NULL: as it prints. */
void qs_table_number(struct qs_table *t, const char *fmt, double v, const char *none);
/* Prints to `out` and frees. csv: comma-separated with quotes where needed. */
void qs_table_print(struct qs_table *t, FILE *out, bool csv);

#endif
