/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option descriptors. One array of them describes the choices of a plan or the options of a
 * command; parsing the command line, plan files, form fields of the workbench, help text, stored
 * text and range checks all read the array.
 */
#ifndef QS_BASE_OPT_H
#define QS_BASE_OPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/ctx.h"
#include "base/str.h"

enum qs_opt_type {
    QS_OPT_FLAG,   /* bool */
    QS_OPT_INT,    /* int */
    QS_OPT_FLOAT,  /* double */
    QS_OPT_SIZE,   /* int64_t bytes: 500M, 2G, 40% is not one */
    QS_OPT_CHOICE, /* int: index into choices */
    QS_OPT_TEXT,   /* char *, owned, NULL when not set */
    QS_OPT_LIST,   /* struct qs_strv, owned: may be given again and again */
};

struct qs_strv {
    char **v;
    int n;
};
void qs_strv_add(struct qs_strv *sv, const char *s);
void qs_strv_release(struct qs_strv *sv);

struct qs_opt {
    const char *name; /* long name without dashes */
    char letter;      /* short name or 0 */
    enum qs_opt_type type;
    size_t offset;              /* of the value in the struct it describes */
    double min, max;            /* INT and FLOAT, both inclusive */
    const char *const *choices; /* CHOICE: NULL-terminated */
    const char *def;            /* default as text; NULL: zero */
    const char *arg;            /* name of the argument in help; NULL for FLAG */
    const char *help;           /* one line, marked N_() */
};

/* Sets every value to its default. The struct is taken as uninitialised. */
void qs_opts_init(const struct qs_opt *opt, int n, void *base);
/* Frees what the values own. */
void qs_opts_release(const struct qs_opt *opt, int n, void *base);
/* Deep copy of the described values; `to` is taken as uninitialised. */
void qs_opts_copy(const struct qs_opt *opt, int n, void *to, const void *from);
const struct qs_opt *qs_opts_find(const struct qs_opt *opt, int n, const char *name, size_t len);

/* Sets one value from text (for a FLAG NULL means true); QS_ERR_USAGE says option, text, range. */
enum qs_err qs_opt_set(struct qs_ctx *cx, const struct qs_opt *opt, const char *text,
                       void *base) QS_MUST_CHECK;
/* Appends the value as text that qs_opt_set reads back; a LIST's items are joined by ','. */
void qs_opt_print(const struct qs_opt *opt, const void *base, struct qs_str *out);
/* Whether the value is the default. */
bool qs_opt_is_default(const struct qs_opt *opt, const void *base);

#endif
