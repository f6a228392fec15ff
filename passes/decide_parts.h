/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of qs_decide: what is common to the methods, and what method static adds. */
#ifndef QS_PASSES_DECIDE_PARTS_H
#define QS_PASSES_DECIDE_PARTS_H

#include "passes/decide.h"

/* The state of deciding on one model. */
struct qs_deciding {
    const struct qs_model *m;
    const struct qs_edges *e;
    const struct qs_plan *plan;
    const char *op_types; /* NULL: all that have weights */
    bool lite;            /* a Lite target was named */
};

struct qs_rules {
    struct qs_rule *rule;
    int n;
};
/* What rules say of a name: the last of skip and bits, the last about the range; -1: none. */
struct qs_ruling {
    int rule, range;
};
/* Counts what each rule matches. */
struct qs_ruling qs_match_rules(const struct qs_rules *rs, const char *name, int *matches);

/* The layer stays as it is. */
void qs_decide_keep(struct qs_decision *d, const char *fmt, const char *a);
const struct qs_node *qs_user_node(const struct qs_deciding *g, int32_t var, int i);
/* An operator type is chosen by its own name; what will be a mul also by that. */
bool qs_is_chosen(const struct qs_deciding *g, const struct qs_layer *l, bool to_mul);
/* Bytes of a protobuf field that holds a message of so many. */
int64_t qs_message_bytes(int64_t body);
/* Bytes of an attribute by the lengths of its name and of its encoded value. */
int64_t qs_attr_bytes(int64_t name, int64_t value);

/* decide_static.c */
void qs_decide_static(const struct qs_deciding *g, const struct qs_layer *l, int rule_bits,
                      struct qs_decision *d);
/* Which nodes are quantized once the layers are decided, and what activations add to the files. */
void qs_decide_nodes(const struct qs_deciding *g, const struct qs_layers *l,
                     const struct qs_rules *rs, struct qs_decisions *all);

#endif
