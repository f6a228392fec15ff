/* SPDX-License-Identifier: Apache-2.0 */
/* What is checked before a model runs, by any engine. */
#ifndef QS_ENGINE_CHECK_H
#define QS_ENGINE_CHECK_H

#include "model/step.h"

enum { QS_BLOCK_DEPTH_MOST = 32 }; /* blocks within blocks */

/* feed or fetch: they say which variables are inputs and outputs. */
bool qs_node_is_port(const struct qs_node *node);
/* The block that a node runs, -1: none. */
int64_t qs_node_sub_block(const struct qs_model *m, const struct qs_node *node);

/* QS_ERR_UNSUPPORTED names every operator type that has no forward function. reached[n_block] (may
 * be NULL) says which blocks run; they form a tree. */
enum qs_err qs_check_operators(struct qs_ctx *cx, const struct qs_model *m,
                               bool *reached) QS_MUST_CHECK;
/* Number and types of in[n], in the order of qs_model_inputs. */
enum qs_err qs_check_inputs(struct qs_ctx *cx, const struct qs_model *m, const struct qs_value *in,
                            int n) QS_MUST_CHECK;

#endif
