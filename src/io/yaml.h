/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML files of settings: mappings, lists and scalars with the line they stand in, and a reader
 * that fills a struct by a table of fields. Aliases give the node they name; a node cannot hold
 * itself. What is not valid YAML, nests deeper than QS_YAML_DEPTH or repeats a key is refused;
 * messages name file and line.
 */
#ifndef QS_IO_YAML_H
#define QS_IO_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/ctx.h"

enum {
    QS_YAML_DEPTH = 32,
    QS_YAML_BYTES_MOST = 1 << 20,
    QS_YAML_KEYS_MOST = 4096, /* of a mapping; anchors of a file */
};

enum qs_yaml_kind { QS_YAML_SCALAR, QS_YAML_LIST, QS_YAML_MAP };

struct qs_yaml_node {
    enum qs_yaml_kind kind;
    int line;                         /* from 1 */
    const char *text;                 /* SCALAR: UTF-8 without NUL */
    bool quoted;                      /* SCALAR: written in quotes or as a block, so it is text */
    int n;                            /* LIST, MAP: elements */
    const char **key;                 /* MAP: [n] */
    const struct qs_yaml_node **item; /* LIST, MAP: [n] */
};

struct qs_yaml {
    char *name; /* for messages: the path */
    const struct qs_yaml_node *root;
    struct qs_arena *arena; /* everything above */
};

enum qs_err qs_yaml_read(struct qs_ctx *cx, const char *path, struct qs_yaml **out) QS_MUST_CHECK;
/* The same from memory; `name` is used in messages. */
enum qs_err qs_yaml_parse(struct qs_ctx *cx, const char *text, size_t n, const char *name,
                          struct qs_yaml **out) QS_MUST_CHECK;
void qs_yaml_free(struct qs_yaml *y); /* NULL is fine */

/* NULL when `map` is NULL, no mapping, or lacks the key. */
const struct qs_yaml_node *qs_yaml_get(const struct qs_yaml_node *map, const char *key);

enum qs_yaml_type {
    QS_YAML_FLAG,   /* bool: true, false, yes, no, on, off */
    QS_YAML_INT,    /* int */
    QS_YAML_REAL,   /* double: 1e-4 is a number, too */
    QS_YAML_REALS,  /* double[n]: a list of exactly n */
    QS_YAML_INTS,   /* int[n] */
    QS_YAML_CHOICE, /* int: index into choices */
    QS_YAML_TEXT,   /* char *, owned by the struct; freed when it is replaced */
    QS_YAML_NODE,   /* const struct qs_yaml_node *, owned by the document */
};

struct qs_yaml_field {
    const char *name;
    enum qs_yaml_type type;
    size_t offset;              /* of the value in the struct */
    double min, max;            /* INT, REAL and lists of them, both inclusive */
    const char *const *choices; /* CHOICE: NULL-terminated */
    int n;                      /* REALS, INTS */
};

/* Sets the fields that the mapping has; others, and those that are null, stay as they are. A NULL
 * or null mapping has none. A key without a field is a warning: it may be meant for another
 * program. */
enum qs_err qs_yaml_fill(struct qs_ctx *cx, const struct qs_yaml *y, const struct qs_yaml_node *map,
                         const struct qs_yaml_field *field, int n, void *base) QS_MUST_CHECK;

/* Fails with "<file>:<line>: <what>" (QS_ERR_FORMAT). */
enum qs_err qs_yaml_fail(struct qs_ctx *cx, const struct qs_yaml *y,
                         const struct qs_yaml_node *node, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
