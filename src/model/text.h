/* SPDX-License-Identifier: Apache-2.0 */
/* The text form of a model, for people and for tests: stable, one line a variable or operator. */
#ifndef QS_MODEL_TEXT_H
#define QS_MODEL_TEXT_H

#include "base/str.h"
#include "model/graph.h"

/* Appends the whole model. `all_attrs` false leaves out the bookkeeping attributes that every
 * operator carries (op_callstack, op_role ...). */
void qs_text_model(const struct qs_model *m, bool all_attrs, struct qs_str *out);
/* One operator: "out = conv2d(Input: x, Filter: w) strides=[1,1] groups=1". */
void qs_text_node(const struct qs_model *m, const struct qs_node *node, bool all_attrs,
                  struct qs_str *out);
/* The value of an attribute: [1,1], "text", true. Long lists and texts are cut at `most`
 * elements or bytes (0: never). */
void qs_text_attr(const struct qs_attr *a, int most, struct qs_str *out);
/* Whether it is one of the bookkeeping attributes. */
bool qs_text_is_bookkeeping(const char *attr);

#endif
