/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "kernels/cpu.h"
#include "kernels/kernel.h"
#include "kernels/selftest_i8.h"

/* Verdicts of one variant of a family of kernels; `failed` counts functions, -1 when it could not
 * be tried. */
struct outcome {
    const char *family, *isa;
    bool runs, used; /* this machine has it, under the cap; it is the best of those */
    int n, failed;
    struct qk_verdict *verdict; /* [n] */
};

static struct outcome
outcome_of(const char *family, const char *isa, uint32_t need, bool used, int n)
{
    return (struct outcome){.family = family,
                            .isa = isa,
                            .runs = qk_cpu_has(need),
                            .used = used,
                            .n = n,
                            .verdict = qs_xcalloc((size_t)n, sizeof(struct qk_verdict))};
}

static struct outcome
try_weights(const struct qk_weights *k, uint64_t seed)
{
    struct outcome o = outcome_of("weights", k->isa, k->need, k == qk_weights(), qk_n_probes);
    if (o.runs)
        o.failed = qk_selftest(k, seed, o.verdict);
    return o;
}

static struct outcome
try_integers(const struct qk_conv_i8 *k, uint64_t seed)
{
    struct outcome o = outcome_of("int8", k->isa, k->need, k == qk_conv_i8(), qk_i8_n_checks);
    if (o.runs)
        o.failed = qk_selftest_i8(k, seed, o.verdict);
    return o;
}

static json_t *
outcome_json(const struct outcome *o)
{
    json_t *functions = json_array();
    for (int i = 0; o->runs && i < o->n; i++)
        json_array_append_new(functions, json_pack("{s:s,s:b,s:I,s:s}", "function",
                                                   o->verdict[i].function, "ok", o->verdict[i].ok,
                                                   "cases", (json_int_t)o->verdict[i].n_cases,
                                                   "detail", o->verdict[i].detail));
    return json_pack("{s:s,s:s,s:b,s:b,s:i,s:o}", "isa", o->isa, "family", o->family, "runs_here",
                     o->runs, "used", o->used, "failed", o->failed, "functions", functions);
}

static void
print_outcome(const struct outcome *o)
{
    printf("%-10s %-7s ", o->isa, o->family);
    if (!o->runs) {
        puts(_("not available here (or above --cpu)"));
        return;
    }
    if (o->failed == 0)
        printf(_("%d functions agree with the scalar ones%s\n"), o->n, o->used ? _(" (used)") : "");
    else
        puts(o->failed < 0 ? _("could not be tried: out of memory") : _("FAILED:"));
    for (int i = 0; i < o->n; i++)
        if (!o->verdict[i].ok && o->failed > 0)
            printf("    %s: %s\n", o->verdict[i].function, o->verdict[i].detail);
}

/* Takes over o->verdict. */
static bool
report(const struct outcome *o, json_t *variants, bool json)
{
    if (json)
        json_array_append_new(variants, outcome_json(o));
    else
        print_outcome(o);
    free(o->verdict);
    return o->failed != 0;
}

static enum qs_err
run(struct qs_ctx *cx, const struct qs_common *common, const void *options, char **arg, int n_arg)
{
    json_t *variants = json_array();
    struct outcome o;
    int failed = 0;
    (void)options;
    (void)arg;
    (void)n_arg;
    if (!common->json)
        printf(_("processor  %s, kernels up to %s\n"), qk_cpu_model(), qk_cpu_name());
    for (int i = 0; qk_weights_all[i]; i++) {
        o = try_weights(qk_weights_all[i], cx->seed);
        failed += report(&o, variants, common->json);
    }
    for (int i = 0; qk_conv_i8_all[i]; i++) {
        o = try_integers(qk_conv_i8_all[i], cx->seed);
        failed += report(&o, variants, common->json);
    }
    enum qs_err err = QS_OK;
    if (common->json)
        err = qs_print_json(cx, json_pack("{s:s,s:s,s:O}", "machine", qk_cpu_model(), "isa",
                                          qk_cpu_name(), "variants", variants));
    json_decref(variants);
    if (!err && failed)
        return qs_fail(cx, QS_ERR_FAILED,
                       _("kernel variants that do not agree with the scalar one: %d"), failed);
    return err;
}

const struct qs_cmd qs_cmd_selftest = {
    .name = "selftest",
    .args = "",
    .summary = N_("which kernels this machine uses, and whether each agrees with the scalar one"),
    .max_args = 0,
    .run = run,
};
