/* SPDX-License-Identifier: Apache-2.0 */
/* Recurrent layers of the fast engine. */
#include "engine/lower.h"

bool
qs_rnn_lower(struct qs_fast *f, const struct qs_node *node, int32_t number)
{
    (void)f, (void)node, (void)number;
    return false;
}

enum qs_err
qs_rnn_prepare(struct qs_ctx *cx, struct qs_fast *f, struct step *s)
{
    (void)cx, (void)f, (void)s;
    return QS_OK;
}

void
qs_rnn_free(struct rnn *r)
{
    (void)r;
}

void
qs_run_RNN(struct qs_fast *f, struct step *s)
{
    (void)f, (void)s;
}
