/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "kernels/cpu.h"
#include "kernels/kernel.h"
#include "kernels/selftest.h"

/* Verdicts of one variant; `failed` counts functions, -1 when it could not be tried. */
struct outcome {
    const struct qk_weights *variant;
    bool runs; /* this machine has it, under the cap */
    int failed;
    struct qk_verdict *verdict; /* [qk_n_probes] */
};

static void
try_variant(const struct qk_weights *variant, uint64_t seed, struct outcome *out)
{
    *out = (struct outcome){.variant = variant, .runs = qk_cpu_has(variant->need)};
    out->verdict = qs_xcalloc((size_t)qk_n_probes, sizeof(*out->verdict));
    if (out->runs)
        out->failed = qk_selftest(variant, seed, out->verdict);
}

static json_t *
outcome_json(const struct outcome *o)
{
    json_t *functions = json_array();
    for (int i = 0; o->runs && i < qk_n_probes; i++)
        json_array_append_new(functions,
                              json_pack("{s:s,s:b,s:I,s:s}", "function", o->verdict[i].function,
                                        "ok", o->verdict[i].ok, "cases",
                                        (json_int_t)o->verdict[i].n_cases, "detail",
                                        o->verdict[i].detail));
    return json_pack("{s:s,s:b,s:b,s:i,s:o}", "isa", o->variant->isa, "runs_here", o->runs, "used",
                     o->variant == qk_weights(), "failed", o->failed, "functions", functions);
}

static void
print_outcome(const struct outcome *o)
{
    printf("%-10s ", o->variant->isa);
    if (!o->runs) {
        puts(_("not available here (or above --cpu)"));
        return;
    }
    if (o->failed == 0)
        printf(_("%d functions agree with the scalar ones%s\n"), qk_n_probes,
               o->variant == qk_weights() ? _(" (used)") : "");
    else
        puts(o->failed < 0 ? _("could not be tried: out of memory") : _("FAILED:"));
    for (int i = 0; i < qk_n_probes; i++)
        if (!o->verdict[i].ok && o->failed > 0)
            printf("    %s: %s\n", o->verdict[i].function, o->verdict[i].detail);
}

static enum qs_err
run(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg, int n_arg)
{
    json_t *variants = json_array();
    int failed = 0;
    (void)options;
    (void)arg;
    (void)n_arg;
    if (!common->json)
        printf(_("processor  %s, kernels up to %s\n"), qk_cpu_model(), qk_cpu_name());
    for (int i = 0; qk_weights_all[i]; i++) {
        struct outcome o;
        try_variant(qk_weights_all[i], cx->seed, &o);
        failed += o.failed != 0;
        if (common->json)
            json_array_append_new(variants, outcome_json(&o));
        else
            print_outcome(&o);
        free(o.verdict);
    }
    enum qs_err err = QS_OK;
    if (common->json)
        err = qs_print_json(cx, json_pack("{s:s,s:s,s:O}", "machine", qk_cpu_model(), "isa",
                                          qk_cpu_name(), "variants", variants));
    json_decref(variants);
    if (!err && failed)
        return qs_fail(cx, QS_ERR_FAILED, _("kernel variants that do not agree with the scalar one: %d"),
                       failed);
    return err;
}

const struct qs_cmd qs_cmd_selftest = {
    .name = "selftest",
    .args = "",
    .summary = N_("which kernels this machine uses, and whether each agrees with the scalar one"),
    .max_args = 0,
    .run = run,
};
