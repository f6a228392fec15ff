/* SPDX-License-Identifier: Apache-2.0 */
#include "model/run.h"

#include <stdlib.h>

void
qs_run_release(struct qs_run *run)
{
    char *const owned[] = {run->kind, run->state,  run->model_path, run->model_digest,
                           run->plan, run->method, run->version,    run->machine,
                           run->isa,  run->output, run->tag,        run->message, run->output_digest};
    for (size_t i = 0; i < sizeof(owned) / sizeof(*owned); i++)
        free(owned[i]);
    for (int i = 0; i < run->n_layer; i++) {
        free(run->layer[i].weight);
        free(run->layer[i].op_type);
        free(run->layer[i].action);
        free(run->layer[i].reason);
    }
    for (int i = 0; i < run->n_metric; i++)
        free(run->metric[i].name);
    for (int i = 0; i < run->n_file; i++)
        qs_file_info_release(&run->file[i]);
    for (int i = 0; i < run->n_sensitivity; i++) {
        free(run->sensitivity[i].weight);
        free(run->sensitivity[i].op_type);
        free(run->sensitivity[i].mode);
    }
    for (int i = 0; i < run->n_activation; i++) {
        free(run->activation[i].var);
        free(run->activation[i].op_type);
        free(run->activation[i].algo);
        free(run->activation[i].thresholds);
        free(run->activation[i].count);
    }
    free(run->layer);
    free(run->metric);
    free(run->file);
    free(run->sensitivity);
    free(run->activation);
    *run = (struct qs_run){0};
}

void
qs_runs_release(struct qs_runs *runs)
{
    for (int i = 0; i < runs->n; i++)
        qs_run_release(&runs->run[i]);
    free(runs->run);
    *runs = (struct qs_runs){0};
}
