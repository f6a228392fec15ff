/* SPDX-License-Identifier: Apache-2.0 */
/* Loops and branches. The blocks write their variables themselves. */
#include <inttypes.h>

#include "ops/data.h"

enum { TURNS_MOST = 1 << 20 }; /* of one loop: more is taken for a loop that does not end */

/* Truth of the only element of a condition, as it is now. */
static enum qs_err
read_condition(const struct qs_step *st, const char *slot, bool *out)
{
    const int32_t var = qs_node_input(st->node, slot, 0);
    const struct qs_value *v = var >= 0 ? &st->var[var] : NULL;
    if (!v || !v->data || v->count != 1)
        return qs_step_fail(st, _("the condition is not one element"));
    *out = qs_value_real(v, 0) != 0;
    return QS_OK;
}

static enum qs_err
sub_block(const struct qs_step *st, int64_t *block)
{
    const struct qs_attr *a = qs_node_attr(st->node, "sub_block");
    if (!a || a->type != QS_ATTR_BLOCK)
        return qs_step_fail(st, _("there is no sub-block"));
    *block = a->i;
    return QS_OK;
}

enum qs_err
qs_fwd_while(struct qs_step *st)
{
    int64_t block;
    bool more = false;
    enum qs_err err = sub_block(st, &block);
    if (!err)
        err = read_condition(st, "Condition", &more);
    for (int64_t turn = 0; more && !err; turn++) {
        if (turn == TURNS_MOST)
            return qs_step_fail(st, _("the loop did not end after %" PRId64 " turns"), turn);
        err = qs_check_cancel(st->cx);
        if (!err)
            err = st->run_block(st, block);
        if (!err)
            err = read_condition(st, "Condition", &more);
    }
    return err;
}

/* A scalar condition is a truth; else the block runs when no condition is empty. */
enum qs_err
qs_fwd_conditional(struct qs_step *st)
{
    int64_t block;
    bool go = true;
    enum qs_err err = sub_block(st, &block);
    if (!err && qs_attr_int(st->node, "is_scalar_condition", 0))
        err = read_condition(st, "Cond", &go);
    else
        for (int i = 0; i < qs_step_n_in(st, "Cond") && !err; i++) {
            const struct qs_value *v = qs_step_in(st, "Cond", i);
            go = go && v && v->count > 0;
        }
    return err || !go ? err : st->run_block(st, block);
}
