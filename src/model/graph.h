/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Paddle model in memory: blocks of nodes (operators) over variables, as ProgramDesc has them.
 *
 * - Ids, not pointers: a variable is an int32_t index into model->var, a block into model->block,
 *   a node its position in its block. Variables are not SSA: a later node may overwrite one.
 * - Whatever was read is kept: unknown operators, attributes and protobuf fields are written back
 *   as they were, in their order.
 * - A model is mutable while its maker holds the only reference and const once it is shared
 *   (a snapshot). qs_model_clone makes a new one that shares names, lists and weights with the
 *   old; setters copy what they change.
 * - Strings and lists live in the arena of the model (or of the one it was cloned from, which the
 *   clone keeps alive). Weights are qs_buf.
 */
#ifndef QS_MODEL_GRAPH_H
#define QS_MODEL_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "model/dtype.h"

struct qs_op; /* op.h */

/* Numbers are Paddle's AttrType. */
enum qs_attr_type {
    QS_ATTR_INT = 0,
    QS_ATTR_FLOAT = 1,
    QS_ATTR_STRING = 2,
    QS_ATTR_INTS = 3,
    QS_ATTR_FLOATS = 4,
    QS_ATTR_STRINGS = 5,
    QS_ATTR_BOOLEAN = 6,
    QS_ATTR_BOOLEANS = 7,
    QS_ATTR_BLOCK = 8,
    QS_ATTR_LONG = 9,
    QS_ATTR_BLOCKS = 10,
    QS_ATTR_LONGS = 11,
    QS_ATTR_FLOAT64S = 12,
    QS_ATTR_VAR = 13,
    QS_ATTR_VARS = 14,
    QS_ATTR_FLOAT64 = 15,
    QS_ATTR_SCALAR = 16,
    QS_ATTR_SCALARS = 17,
};

struct qs_bytes {
    const char *p; /* NUL-terminated after n bytes when it stands for text */
    size_t n;
};

struct qs_attr {
    const char *name;
    enum qs_attr_type type;
    /* exactly the member of `type` is meaningful */
    int64_t i;         /* INT, BOOLEAN, LONG, BLOCK (block id) */
    float f;           /* FLOAT */
    double d;          /* FLOAT64 */
    struct qs_bytes s; /* STRING, VAR */
    int n;             /* length of the list below */
    union {
        const int32_t *ints;          /* INTS, BLOCKS */
        const float *floats;          /* FLOATS */
        const struct qs_bytes *bytes; /* STRINGS, VARS */
        const int32_t *bools;         /* BOOLEANS, 0 or 1 */
        const int64_t *longs;         /* LONGS */
        const double *doubles;        /* FLOAT64S */
    };
    struct qs_bytes raw; /* whole protobuf message of an attribute qslim does not interpret
                            (SCALAR, SCALARS, later types, unknown fields); p NULL otherwise */
};

struct qs_slot {
    const char *name;   /* parameter name: "Filter" */
    const int32_t *var; /* [n] variable ids */
    int n;
};

struct qs_node {
    const char *type;       /* "conv2d" */
    const struct qs_op *op; /* descriptor; NULL: an operator qslim does not know */
    const struct qs_slot *in, *out;
    const struct qs_attr *attr;
    int n_in, n_out, n_attr;
    int8_t is_target;        /* -1 absent */
    struct qs_bytes unknown; /* unknown protobuf fields, encoded */
};

/* The value of a parameter. Immutable; the data may be unaligned (they lie in the file). */
struct qs_tensor {
    int32_t dtype;
    int n_dims; /* 0: one element */
    const int64_t *dims;
    int64_t n;          /* elements */
    struct qs_buf *buf; /* counted */
    size_t offset, bytes;
    size_t record; /* offset of the stream record in buf when it can be written back verbatim
                      (it ends at offset + bytes); SIZE_MAX: it can not */
};

enum { QS_RANK_MOST = 9 }; /* of tensors that operators compute; files may hold any rank */

struct qs_var {
    const char *name;
    int32_t block;     /* that declares it */
    int32_t container; /* enum qs_container */
    int32_t dtype;     /* element type declared in the program; -1 when it declares none */
    int n_dims;        /* declared; -1 when it declares no dims */
    const int64_t *dims;
    int32_t lod_level;
    int8_t has_lod_level, persistable, need_check_feed, is_parameter, stop_gradient; /* -1 absent */
    bool declared;                /* false: only named by a node, no VarDesc */
    const struct qs_tensor *data; /* value from the parameter file, NULL for the others */
    struct qs_bytes type_raw;     /* encoded VarType when it is more than a plain LoD tensor */
    struct qs_bytes unknown;      /* attrs and unknown fields of the VarDesc, encoded */
};

struct qs_block {
    int32_t idx, parent; /* parent -1: none */
    int32_t forward;     /* forward_block_idx */
    int8_t has_forward;
    const int32_t *var; /* [n_var] declared here, in file order */
    struct qs_node *node;
    int n_var, n_node;
    struct qs_bytes unknown;
};

struct qs_model {
    struct qs_arena arena;
    atomic_int refs;
    struct qs_model *origin; /* of a clone: kept alive, owns shared strings and lists */
    struct qs_block *block;
    struct qs_var *var;
    int n_block, n_var, cap_var;
    int32_t *by_name; /* [n_var] ids sorted by (name, block) */
    int8_t has_version;
    int64_t version;      /* major * 1000000 + minor * 1000 + patch; 0 development */
    struct qs_bytes tail; /* op_version_map and unknown fields of ProgramDesc, encoded */
    /* where it came from */
    const char *format;       /* "pdmodel", "model", "pir", "nb" */
    const char *program_path; /* the file that was read */
    const char *params_path;  /* combined file; NULL: separate files or none */
    bool separate;            /* one file per parameter */
    bool has_params;          /* false: the program came without parameters */
    int64_t program_bytes, params_bytes;
};

struct qs_model *qs_model_new(void);
struct qs_model *qs_model_ref(const struct qs_model *m);
void qs_model_unref(struct qs_model *m); /* NULL is fine */
/* A mutable copy that shares strings, lists and weights. */
struct qs_model *qs_model_clone(const struct qs_model *m);

/* Variables. */
/* New variable of block `block` (not yet persistable, LoD tensor, float32, no dims); returns its
 * id. `name` is copied. Call qs_model_index after a batch of additions and before lookups. */
int32_t qs_model_add_var(struct qs_model *m, int32_t block, const char *name);
void qs_model_index(struct qs_model *m);
/* Looks in the block, then in its parents; -1 when there is none. */
int32_t qs_model_find_var(const struct qs_model *m, int32_t block, const char *name);
/* All variables of that name, whichever block declares them: a run of ids, borrowed. */
int qs_model_same_name(const struct qs_model *m, const char *name, const int32_t **ids);
/* Adds the variable to the list of its block that is written to the file. */
void qs_model_declare(struct qs_model *m, int32_t var);
/* Whether the parameter file has a record for it: persistable and a container with data. */
bool qs_var_is_param(const struct qs_var *v);
/* Replaces the value; takes over the reference to `buf`. `dims` are copied. */
void qs_model_set_data(struct qs_model *m, int32_t var, int32_t dtype, int n_dims,
                       const int64_t *dims, struct qs_buf *buf, size_t offset);

/* Parameters in the order of the combined file (bytewise by name, all blocks). The caller frees
 * the array. */
int32_t *qs_model_params(const struct qs_model *m, int *n);

/* Nodes: reading. A slot or attribute that is absent gives NULL, -1 or the default. */
const struct qs_slot *qs_node_in(const struct qs_node *node, const char *slot);
const struct qs_slot *qs_node_out(const struct qs_node *node, const char *slot);
int32_t qs_node_input(const struct qs_node *node, const char *slot, int i);
int32_t qs_node_output(const struct qs_node *node, const char *slot, int i);
const struct qs_attr *qs_node_attr(const struct qs_node *node, const char *name);
int64_t qs_attr_int(const struct qs_node *node, const char *name, int64_t def); /* also BOOLEAN */
double qs_attr_float(const struct qs_node *node, const char *name, double def); /* also integers */
const char *qs_attr_str(const struct qs_node *node, const char *name, const char *def);
/* Copies an integer list (INTS, LONGS, or a single integer) of at most `most`; returns its length,
 * -1 when absent or longer. */
int qs_attr_ints(const struct qs_node *node, const char *name, int64_t *out, int most);

/* Nodes: changing (copy on write). */
void qs_node_set_int(struct qs_model *m, struct qs_node *node, const char *name, int64_t v);
void qs_node_set_bool(struct qs_model *m, struct qs_node *node, const char *name, bool v);
void qs_node_set_float(struct qs_model *m, struct qs_node *node, const char *name, float v);
void qs_node_set_str(struct qs_model *m, struct qs_node *node, const char *name, const char *v);
void qs_node_set_floats(struct qs_model *m, struct qs_node *node, const char *name, const float *v,
                        int n);
void qs_node_set_ints(struct qs_model *m, struct qs_node *node, const char *name, const int32_t *v,
                      int n);
void qs_node_drop_attr(struct qs_model *m, struct qs_node *node, const char *name);
void qs_node_set_in(struct qs_model *m, struct qs_node *node, const char *slot, const int32_t *var,
                    int n);
void qs_node_set_out(struct qs_model *m, struct qs_node *node, const char *slot, const int32_t *var,
                     int n);
/* Changes the type and looks up the descriptor. */
void qs_node_set_type(struct qs_model *m, struct qs_node *node, const char *type);

/* Blocks: changing. Node pointers and positions, and edges made before, are void afterwards. */
/* Room for n nodes before position `at`: empty but for is_target; returns the first. */
struct qs_node *qs_block_insert(struct qs_model *m, int32_t block, int at, int n);
/* Takes out the nodes that are marked in gone[n_node]. */
void qs_block_remove(struct qs_model *m, int32_t block, const bool *gone);
/* Takes back the declaration of every variable that no node names, and drops its value; of those
 * marked in only[n_var] alone when it is not NULL. Feed and fetch lists stay. */
void qs_model_forget_unused(struct qs_model *m, const bool *only);

/* Who reads and writes each variable: edges of the graph in one table. */
struct qs_ref {
    int32_t block, node;
};
struct qs_edges {
    struct qs_ref **reader, **writer; /* [n_var] lists in execution order within a block */
    int *n_reader, *n_writer;
    struct qs_arena arena;
};
struct qs_edges *qs_edges_new(const struct qs_model *m);
void qs_edges_free(struct qs_edges *e);

/* Elements of dims[n]: QS_ERR_FORMAT when one is negative or the product does not fit. */
enum qs_err qs_count_elements(struct qs_ctx *cx, const int64_t *dims, int n,
                              int64_t *out) QS_MUST_CHECK;
/* "1x3x224x224" ("scalar" for rank 0, "?" for -1); returns `out`. */
char *qs_format_dims(char *out, size_t cap, const int64_t *dims, int n);

#endif
