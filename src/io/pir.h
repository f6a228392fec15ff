/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the PIR reader (inference.json of Paddle 3): pir_read.c walks the document and keeps
 * the values, pir_make.c makes classic nodes of its operators, pir_attr.c converts attributes.
 *
 * PIR is SSA over numbered values with positional operands; the classic program has named
 * variables and slots. Each value becomes a variable, except
 * - constants (full, full_int_array): they become attributes of their readers where the classic
 *   operator has one; a node makes them only when somebody reads them as a tensor;
 * - lists (combine): they are spread over the slot that reads them.
 */
#ifndef QS_IO_PIR_H
#define QS_IO_PIR_H

#include <jansson.h>

#include "model/graph.h"

enum { PIR_NESTING_MOST = 32 }; /* of control flow */

struct pir_value {
    int64_t id;
    const json_t *type;        /* {"#":"0.t_dtensor",...}; borrowed from the document */
    bool made;                 /* its operator was met */
    int uses;                  /* operands that name it, in the whole document */
    int32_t block;             /* classic block it was made in */
    int32_t var;               /* -1: none (yet) */
    const char *maker;         /* constant: type of the node that would make it */
    const struct pir_num *num; /* constant: its elements */
    int n_num;                 /* 0 when there are too many to become an attribute */
    struct pir_value **item;   /* list: its elements; NULL: no list */
    int n_item;
};

struct pir_num {
    bool is_int;
    int64_t i; /* saturated when the number is not an integer */
    double d;
};

/* A node under construction. */
struct pir_node {
    struct qs_node node;
    struct qs_slot *in, *out;
    struct qs_attr *attr;
    int cap_in, cap_out, cap_attr;
};

struct pir_late {
    int node;
    struct pir_value *value;
};

/* A classic block under construction. */
struct pir_block {
    struct pir_block *outer;
    int32_t idx;
    int depth;
    struct qs_node *node;
    int32_t *var;
    struct pir_late *late; /* nodes that make constants: dropped when nobody reads them */
    int n_node, cap_node, n_var, cap_var, n_late, cap_late;
};

struct pir_reader {
    struct qs_ctx *cx;
    struct qs_model *m;
    struct qs_arena scratch;
    struct pir_value *value; /* sorted by id */
    int n_value, cap_value;
    const char **name; /* of parameters and inputs, sorted */
    int n_name, cap_name;
    int n_region; /* blocks of control flow in the document */
    int *count;   /* [rows]: names made so far for the type of the row */
    int n_opaque;
    size_t budget; /* elements that lists and constants may still take where they are read */
    struct qs_node *feed, *fetch;
    int n_feed, cap_feed, n_fetch, cap_fetch;
    int32_t feed_var, fetch_var; /* -1: none yet */
    const char *note[8];         /* unknown operators that were told of */
    int n_note;
};

struct pir_row;

/* An operator of the document, operands and results resolved. */
struct pir_op {
    const char *id;            /* "1.conv2d" */
    const char *name;          /* "conv2d" */
    const struct pir_row *row; /* NULL: unknown */
    bool in_place;
    const json_t *json, *attr;    /* attr: [{"N":name,"AT":value},...] */
    struct pir_value **in, **out; /* elements may be NULL: absent */
    int n_in, n_out;
};

struct pir_row {
    const char *name, *type, *in, *out, *attr;
    enum qs_err (*make)(struct pir_reader *r, struct pir_block *b, const struct pir_op *op);
};

/* pir_read.c */
/* The operators of one region become the nodes of `b`. For control flow: `yield` receives the
 * operands of the terminator (malloc in the scratch arena). */
enum qs_err pir_read_ops(struct pir_reader *r, struct pir_block *b, const json_t *ops,
                         struct pir_value ***yield, int *n_yield) QS_MUST_CHECK;
/* The only block of region `i` of an operator. */
enum qs_err pir_region(struct pir_reader *r, const struct pir_op *op, int i,
                       const json_t **block) QS_MUST_CHECK;
/* The value that a result or block argument {"%":id} defines. */
struct pir_value *pir_value_of(struct pir_reader *r, const json_t *def);
/* New variable of the block, of the type of a value; `type` NULL: one without data. */
enum qs_err pir_new_var(struct pir_reader *r, struct pir_block *b, const char *name,
                        const json_t *type, int32_t *var) QS_MUST_CHECK;
/* "<type>_<i>": a stem that no parameter or input starts with; lives in the scratch arena. */
const char *pir_stem(struct pir_reader *r, const char *type);
/* The variable of a value; makes it when the value is a constant that was not needed so far. */
enum qs_err pir_var(struct pir_reader *r, struct pir_block *b, struct pir_value *v,
                    int32_t *var) QS_MUST_CHECK;
/* Finishes the block: constants, nodes and variables go into the model. */
enum qs_err pir_finish(struct pir_reader *r, struct pir_block *b) QS_MUST_CHECK;
/* Element type of a tensor type; -1 when it is none. */
int32_t pir_dtype(const json_t *type);
/* Elements of a list type; NULL when it is none. */
const json_t *pir_list_type(const json_t *type);

/* pir_make.c */
const struct pir_row *pir_find(const char *id, bool *in_place);
/* An operator that the table lacks: slots X, X1, ..., Out, Out1, ... */
enum qs_err pir_make_opaque(struct pir_reader *r, struct pir_block *b,
                            const struct pir_op *op) QS_MUST_CHECK;
int pir_rows(void);
int pir_row_of_type(const char *type); /* the first with this classic type; -1: none */

/* pir_attr.c */
const json_t *pir_attr(const struct pir_op *op, const char *name);
/* The numbers of an attribute or of a plain list; in the scratch arena. */
enum qs_err pir_nums(struct pir_reader *r, const struct pir_op *op, const char *name,
                     const json_t *at, struct pir_num **num, int *n) QS_MUST_CHECK;
const char *pir_text(const json_t *at); /* of a string attribute; NULL: it is none */
/* The element type that an attribute of kind a_dtype names; -1 undefined. */
int32_t pir_dtype_attr(const json_t *at);
/* Adds an attribute: `letter` one of "bilfdsILFD" as in pir_ops.inc, 0: what the document says.
 * Attributes without meaning in a classic program (place) are left out. */
enum qs_err pir_add_attr(struct pir_reader *r, const struct pir_op *op, struct pir_node *n,
                         const char *name, char letter, const json_t *at) QS_MUST_CHECK;
enum qs_err pir_add_nums(struct pir_reader *r, const struct pir_op *op, struct pir_node *n,
                         const char *name, char letter, const struct pir_num *num,
                         int n_num) QS_MUST_CHECK;
void pir_add_text(struct pir_reader *r, struct pir_node *n, const char *name, const char *text);
void pir_add_int(struct pir_reader *r, struct pir_node *n, const char *name, enum qs_attr_type type,
                 int64_t v);
/* A list of Paddle's Scalar, of an element type. */
void pir_add_scalars(struct pir_reader *r, struct pir_node *n, const char *name, int32_t dtype,
                     const struct pir_num *num, int n_num);
struct qs_attr *pir_new_attr(struct pir_reader *r, struct pir_node *n, const char *name,
                             enum qs_attr_type type);
bool pir_has_attr(const struct pir_node *n, const char *name);

#endif
