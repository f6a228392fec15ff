/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan decides on small models, and what the passes make of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../models.h"
#include "base/mem.h"
#include "io/format.h"
#include "model/calib.h"
#include "model/text.h"
#include "passes/pass.h"

/* A model with all that a decision needs. */
struct bench {
    struct qs_ctx cx;
    struct qs_model *m;
    struct qs_edges *e;
    struct qs_layers *l;
    struct qs_plan plan;
    struct qs_decisions *d;
};

static enum qs_err
start(struct bench *b, const char *model, const char *plan)
{
    *b = (struct bench){0};
    qs_ctx_init(&b->cx);
    b->m = test_model(model);
    b->e = qs_edges_new(b->m);
    b->l = qs_layers_new(b->m, b->e);
    qs_plan_init(&b->plan);
    if (qs_plan_parse(&b->cx, plan, "test", &b->plan) != QS_OK)
        fail_msg("%s", qs_message(&b->cx));
    return qs_decide(&b->cx, b->m, b->e, b->l, &b->plan, &b->d);
}

static void
end(struct bench *b)
{
    qs_decisions_free(b->d);
    qs_plan_release(&b->plan);
    qs_layers_free(b->l);
    qs_edges_free(b->e);
    qs_model_unref(b->m);
}

static const struct qs_decision *
decision_on(const struct bench *b, const char *weight)
{
    for (int i = 0; i < b->l->n; i++)
        if (strcmp(b->m->var[b->l->layer[i].var].name, weight) == 0)
            return &b->d->layer[i];
    fail_msg("no weight '%s'", weight);
    return NULL;
}

static void
plan_decides_layer_by_layer(void **state)
{
    static const struct {
        const char *model, *plan, *weight, *becomes;
        int bits, axis;
        int64_t n_scales, bytes_after;
        const char *reason;
    } row[] = {
        {"small", "", "conv.w", "int8", 8, 0, 3, 54, ""},
        {"small", "", "fc.w", "int8", 8, 1, 5, 60, ""},
        {"small", "", "fc.b", "kept", 0, -1, 0, 20, "elementwise_add"},
        {"small", "weight-bits = 16", "conv.w", "int16", 16, 0, 3, 108, ""},
        {"small", "weight-type = abs_max", "conv.w", "int8", 8, -1, 1, 54, ""},
        {"small", "op-types = mul", "conv.w", "kept", 0, -1, 0, 216, "conv2d is not chosen"},
        {"small", "layer = conv*=skip", "conv.w", "skipped", 0, 0, 0, 216, "rule 'conv*=skip'"},
        {"small", "layer = *=bits:16\nlayer = fc*=bits:8", "fc.w", "int8", 8, 1, 5, 60, ""},
        {"small", "layer = *=bits:16\nlayer = fc*=bits:8", "conv.w", "int16", 16, 0, 3, 108, ""},
        {"small", "method = weight-only\nweight-bits = 4", "conv.w", "int8", 4, 0, 3, 54, ""},
        {"small", "method = weight-only\ntarget = paddle", "conv.w", "simulated", 8, 0, 3, 216,
         "Paddle Inference does not run integer weights"},
        {"matmul", "", "plain.w", "kept", 0, -1, 0, 256, "not chosen"},
        {"matmul", "target = lite-arm", "plain.w", "int8", 8, 1, 8, 64, ""},
        {"matmul", "target = lite-arm", "turned.w", "kept", 0, -1, 0, 256, ""},
        {"matmul", "", "twice.w", "int8", 8, 1, 8, 64, ""},
        {"matmul", "method = weight-only", "plain.w", "simulated", 8, 1, 8, 256, ""},
        {"lite", "", "dw.w", "int8", 8, 0, 4, 36, ""},
        {"float16", "", "conv.w", "kept", 0, -1, 0, 108, "float16"},
        {"small", "method = static", "conv.w", "int8", 8, 0, 3, 54, ""},
        {"small", "method = static", "fc.w", "int8", 8, 1, 5, 60, ""},
        {"small", "method = static", "fc.b", "kept", 0, -1, 0, 20, "elementwise_add"},
        {"small", "method = static\nformat = fakequant", "fc.w", "int8", 8, 1, 5, 240, ""},
        {"small", "method = static\nformat = fakequant\nweight-bits = 16", "fc.w", "int16", 16, 1,
         5, 240, ""},
        {"small", "method = static\nweight-type = abs_max", "conv.w", "int8", 8, -1, 1, 54, ""},
        {"small", "method = static\nop-types = mul", "conv.w", "kept", 0, -1, 0, 216,
         "conv2d is not chosen"},
        {"small", "method = static\nlayer = conv*=skip\nlayer = *=algo:kl", "conv.w", "skipped", 0,
         0, 0, 216, "rule 'conv*=skip'"},
        {"matmul", "method = static", "plain.w", "int8", 8, 1, 8, 64, ""},
        {"matmul", "method = static", "turned.w", "int8", 8, 0, 8, 64, ""},
        {"matmul", "method = static", "twice.w", "int8", 8, 1, 8, 64, ""},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct bench b;
        if (start(&b, row[i].model, row[i].plan) != QS_OK)
            fail_msg("%s, '%s': %s", row[i].model, row[i].plan, qs_message(&b.cx));
        const struct qs_decision *d = decision_on(&b, row[i].weight);
        const char *becomes = qs_action_name(d->action, d->bits);
        if (strcmp(becomes, row[i].becomes) != 0 || d->bits != row[i].bits ||
            (d->bits && d->axis != row[i].axis) || d->n_scales != row[i].n_scales ||
            d->bytes_after != row[i].bytes_after || !strstr(d->reason, row[i].reason))
            fail_msg("%s of %s, '%s': %s, %d bits, axis %d, %d scales, %d bytes, '%s'",
                     row[i].weight, row[i].model, row[i].plan, becomes, d->bits, d->axis,
                     (int)d->n_scales, (int)d->bytes_after, d->reason);
        end(&b);
    }
}

/* Of the rules about bits the last that matches counts, and of those about the range. */
static void
rules_of_both_kinds_count(void **state)
{
    struct bench b;
    (void)state;
    assert_int_equal(start(&b, "matmul",
                           "method = static\nformat = fakequant\nalgo = hist\n"
                           "layer = *=algo:kl\nlayer = plain.w=bits:4\nlayer = t*=threshold:2.5\n"
                           "layer = turned.w=algo:mse"),
                     QS_OK);
    const struct qs_decision *plain = decision_on(&b, "plain.w"),
                             *turned = decision_on(&b, "turned.w"),
                             *twice = decision_on(&b, "twice.w");
    assert_int_equal(plain->bits, 4);
    assert_int_equal(plain->algo, QS_ALGO_kl);
    assert_int_equal(turned->bits, 8);
    assert_int_equal(turned->algo, QS_ALGO_mse);
    assert_true(turned->threshold == 0);
    assert_int_equal(twice->algo, -1);
    assert_true(twice->threshold == 2.5);
    end(&b);
}

/* What no form can hold is refused with the form that can. */
static void
plans_that_cannot_be_written_are_refused(void **state)
{
    static const struct {
        const char *plan, *says;
    } row[] = {
        {"method = static\nweight-bits = 16", "--format fakequant"},
        {"method = static\nactivation-bits = 9", "--format fakequant"},
        {"method = static\nlayer = conv.w=bits:12", "--format fakequant"},
        {"method = static\nformat = dynamic", "qdq or fakequant"},
        {"method = static\nthreshold-rate = 0.1\nweight-type = abs_max", "--threshold-rate"},
        {"method = static\ngenerate-test-model = yes", "--generate-test-model"},
        {"method = static\nalgo = min_max\ncompat = paddle", "min_max"},
        {"algo = kl", "--algo does not go with method dynamic"},
        {"method = weight-only\nformat = qdq", "--format does not go with method weight-only"},
        {"layer = conv.w=algo:kl", "method static"},
        {"layer = conv.w=threshold:1", "method static"},
        {"method = static\nlayer = conv.w=threshold:-1", "bad rule"},
        {"method = static\nlayer = conv.w=algo:best", "bad rule"},
        {"method = static\nop-types = flatten", ""},
        {"op-types = pool2d", "'pool2d' is not an operator type"},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct bench b;
        const enum qs_err err = start(&b, "small", row[i].plan);
        if (!*row[i].says)
            assert_int_equal(err, QS_OK);
        else if (err != QS_ERR_USAGE || !strstr(qs_message(&b.cx), row[i].says))
            fail_msg("'%s': '%s', not '%s'", row[i].plan, qs_message(&b.cx), row[i].says);
        end(&b);
    }
}

static void
rules_count_what_they_match(void **state)
{
    struct bench b;
    (void)state;
    assert_int_equal(start(&b, "matmul",
                           "layer = *=bits:16\nlayer = /^t(urned|wice)[.]w$/=skip\n"
                           "layer = last.w=bits:8"),
                     QS_OK);
    assert_int_equal(b.d->rule_matches[0], 4);
    assert_int_equal(b.d->rule_matches[1], 2);
    assert_int_equal(b.d->rule_matches[2], 1);
    end(&b);
}

static void
rule_without_a_match_is_an_error(void **state)
{
    static const char *const plan[] = {"layer = none*=skip", "layer = fc.b=skip",
                                       "layer = conv.w=skip\nlayer = /CONV/=bits:8"};
    (void)state;
    for (size_t i = 0; i < QS_LEN(plan); i++) {
        struct bench b;
        assert_int_equal(start(&b, "small", plan[i]), QS_ERR_USAGE);
        assert_non_null(strstr(qs_message(&b.cx), "matches no quantizable weight"));
        end(&b);
    }
}

/* Passes */

static enum qs_err
transform(struct bench *b, struct qs_pass_state *st)
{
    *st = (struct qs_pass_state){.model = qs_model_clone(b->m),
                                 .test = b->plan.generate_test_model ? qs_model_clone(b->m) : NULL,
                                 .edges = b->e,
                                 .layers = b->l,
                                 .plan = &b->plan,
                                 .decisions = b->d};
    st->outcome = qs_xcalloc((size_t)b->l->n, sizeof(*st->outcome));
    double *threshold = qs_xcalloc((size_t)b->m->n_var, sizeof(*threshold));
    for (int v = 0; v < b->m->n_var; v++)
        threshold[v] = 1;
    st->threshold = threshold;
    const enum qs_err err = qs_run_recipe(&b->cx, st);
    free(threshold);
    st->threshold = NULL;
    return err;
}

static void
drop(struct qs_pass_state *st)
{
    qs_model_unref(st->model);
    qs_model_unref(st->test);
    free(st->outcome);
}

static void
sizes_are_predicted(void **state)
{
    static const struct {
        const char *model, *plan;
    } row[] = {
        {"small", ""},
        {"small", "weight-bits = 16\nweight-type = abs_max"},
        {"small", "method = weight-only\nweight-bits = 3"},
        {"matmul", "target = lite-arm"},
        {"matmul", "method = weight-only\nlayer = last.w=skip"},
        {"lite", ""},
        {"large", ""},
        {"small", "method = static"},
        {"small", "method = static\ncompat = paddle\nlayer = fc.w=skip"},
        {"small", "method = static\nformat = fakequant"},
        {"small", "method = static\nformat = fakequant\nweight-type = abs_max"},
        {"matmul", "method = static\nlayer = last.w=skip"},
        {"matmul", "method = static\nformat = fakequant"},
        {"lite", "method = static\nobservers = yes"},
        {"matmul", "method = static\nformat = fakequant\nobservers = yes"},
        {"large", "method = static\nweight-bits = 4"},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct bench b;
        struct qs_pass_state st;
        uint8_t *before = NULL, *after = NULL;
        size_t n_before, n_after;
        assert_int_equal(start(&b, row[i].model, row[i].plan), QS_OK);
        assert_int_equal(transform(&b, &st), QS_OK);
        assert_int_equal(b.d->params_after - b.d->params_before,
                         qs_params_bytes(st.model) - qs_params_bytes(b.m));
        assert_int_equal(qs_program_encode(&b.cx, b.m, &before, &n_before), QS_OK);
        assert_int_equal(qs_program_encode(&b.cx, st.model, &after, &n_after), QS_OK);
        /* of the program only the scales are counted: operators rewritten or put right add some */
        const int64_t more = (int64_t)n_after - (int64_t)n_before - b.d->program_added;
        if (more < -64 || more > 64 + (int64_t)n_before / 20)
            fail_msg("%s, '%s': %d bytes added, %d predicted", row[i].model, row[i].plan,
                     (int)(n_after - n_before), (int)b.d->program_added);
        free(before);
        free(after);
        drop(&st);
        end(&b);
    }
}

static const struct qs_node *
reader_of(const struct qs_model *m, const struct bench *b, const char *weight, int i)
{
    const struct qs_ref r = b->e->reader[qs_model_find_var(m, 0, weight)][i];
    return &m->block[r.block].node[r.node];
}

static void
integers_times_scales_are_the_test_model(void **state)
{
    struct bench b;
    struct qs_pass_state st;
    (void)state;
    assert_int_equal(start(&b, "small", "generate-test-model = yes"), QS_OK);
    assert_int_equal(transform(&b, &st), QS_OK);
    const int32_t w = qs_model_find_var(b.m, 0, "conv.w");
    const struct qs_tensor *q = st.model->var[w].data, *f = st.test->var[w].data;
    const struct qs_attr *scale =
        qs_node_attr(reader_of(st.model, &b, "conv.w", 0), "conv.w_quant_scale");
    assert_int_equal(q->dtype, QS_DTYPE_int8);
    assert_int_equal(f->dtype, QS_DTYPE_float32);
    assert_int_equal(scale->n, 3);
    for (int i = 0; i < 54; i++) {
        float v;
        memcpy(&v, f->buf->data + f->offset + sizeof(v) * (size_t)i, sizeof(v));
        const int8_t k = (int8_t)q->buf->data[q->offset + (size_t)i];
        assert_true(fabsf(v - (float)k * scale->floats[i / 18]) <= 1e-6f);
    }
    drop(&st);
    end(&b);
}

static void
weight_read_twice_marks_both_readers(void **state)
{
    struct bench b;
    struct qs_pass_state st;
    (void)state;
    assert_int_equal(start(&b, "matmul", ""), QS_OK);
    assert_int_equal(transform(&b, &st), QS_OK);
    for (int i = 0; i < 2; i++) {
        const struct qs_node *node = reader_of(st.model, &b, "twice.w", i);
        assert_string_equal(qs_attr_str(node, "quantization_type", ""),
                            "post_weight_channel_wise_abs_max");
        assert_int_equal(qs_attr_int(node, "quantize_weight_bits", 0), 8);
        assert_int_equal(qs_node_attr(node, "twice.w_quant_scale")->n, 8);
    }
    drop(&st);
    end(&b);
}

static void
matmul_becomes_mul_for_lite_only_where_it_is_the_same(void **state)
{
    struct bench b;
    struct qs_pass_state st;
    (void)state;
    assert_int_equal(start(&b, "matmul", "target = lite-arm"), QS_OK);
    assert_int_equal(transform(&b, &st), QS_OK);
    const struct qs_node *plain = reader_of(st.model, &b, "plain.w", 0);
    assert_string_equal(plain->type, "mul");
    assert_null(qs_node_attr(plain, "trans_y"));
    assert_int_equal(qs_attr_int(plain, "x_num_col_dims", 0), 1);
    assert_string_equal(reader_of(st.model, &b, "turned.w", 0)->type, "matmul_v2");
    assert_string_equal(reader_of(b.m, &b, "plain.w", 0)->type, "matmul_v2");
    drop(&st);
    end(&b);
}

static void
legalizing_puts_back_what_lite_wants_once(void **state)
{
    struct qs_model *m = test_model("lite");
    (void)state;
    assert_int_equal(qs_lite_legalize(m), 3);
    assert_true(qs_attr_float(&m->block[0].node[2], "threshold", 0) == 6.0);
    assert_true(qs_attr_float(&m->block[0].node[3], "beta", 0) == 1.0);
    const int32_t x = qs_node_output(&m->block[0].node[4], "XShape", 0);
    assert_true(x >= 0);
    assert_string_equal(m->var[x].name, "flat.out.xshape");
    assert_int_equal(qs_model_find_var(m, 0, "flat.out.xshape"), x);
    assert_int_equal(qs_lite_legalize(m), 0);
    qs_model_unref(m);
}

static void
values_that_are_not_finite_are_refused_by_name(void **state)
{
    struct bench b;
    struct qs_pass_state st;
    (void)state;
    assert_int_equal(start(&b, "nan", ""), QS_OK);
    assert_int_not_equal(transform(&b, &st), QS_OK);
    assert_non_null(strstr(qs_message(&b.cx), "'conv.w'"));
    assert_non_null(strstr(qs_message(&b.cx), "2 of 54"));
    drop(&st);
    end(&b);
    assert_int_equal(start(&b, "nan", "layer = conv.w=skip"), QS_OK);
    assert_int_equal(transform(&b, &st), QS_OK);
    drop(&st);
    end(&b);
}

static void
zero_weight_gets_scale_zero_and_loses_nothing(void **state)
{
    struct bench b;
    struct qs_pass_state st;
    (void)state;
    assert_int_equal(start(&b, "zero", ""), QS_OK);
    assert_int_equal(transform(&b, &st), QS_OK);
    const struct qs_tensor *q = st.model->var[qs_model_find_var(b.m, 0, "conv.w")].data;
    for (size_t i = 0; i < q->bytes; i++)
        assert_int_equal(q->buf->data[q->offset + i], 0);
    drop(&st);
    end(&b);
}

static void
every_pass_has_a_name_and_a_summary(void **state)
{
    int n = 0;
    (void)state;
    for (; qs_pass_at(n); n++) {
        assert_true(*qs_pass_at(n)->name != '\0');
        assert_true(*qs_pass_at(n)->summary != '\0');
        for (int k = 0; k < n; k++)
            assert_string_not_equal(qs_pass_at(n)->name, qs_pass_at(k)->name);
    }
    assert_true(n > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_decides_layer_by_layer),
        cmocka_unit_test(rules_of_both_kinds_count),
        cmocka_unit_test(plans_that_cannot_be_written_are_refused),
        cmocka_unit_test(rules_count_what_they_match),
        cmocka_unit_test(rule_without_a_match_is_an_error),
        cmocka_unit_test(sizes_are_predicted),
        cmocka_unit_test(integers_times_scales_are_the_test_model),
        cmocka_unit_test(weight_read_twice_marks_both_readers),
        cmocka_unit_test(matmul_becomes_mul_for_lite_only_where_it_is_the_same),
        cmocka_unit_test(legalizing_puts_back_what_lite_wants_once),
        cmocka_unit_test(values_that_are_not_finite_are_refused_by_name),
        cmocka_unit_test(zero_weight_gets_scale_zero_and_loses_nothing),
        cmocka_unit_test(every_pass_has_a_name_and_a_summary),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("passes", tests, NULL, NULL);
}
