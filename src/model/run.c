/* SPDX-License-Identifier: Apache-2.0 */
#include "model/run.h"

#include <stdlib.h>

void
qs_run_release(struct qs_run *run)
{
    char *const owned[] = {run->kind, run->state,  run->model_path, run->model_digest,
                           run->plan, run->method, run->version,    run->machine,
                           run->isa,  run->output, run->tag,        run->message};
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
    free(run->layer);
    free(run->metric);
    free(run->file);
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
