/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a sensitivity scan, as `qslim sensitivity` and `qslim runs show` print them. */
#ifndef QS_CMD_SENSE_OUTPUT_H
#define QS_CMD_SENSE_OUTPUT_H

#include "cmd/cmd.h"
#include "model/run.h"

json_t *qs_sensitivity_json(const struct qs_run *run);
/* A table with bars; metric: title of its column. */
void qs_sensitivity_print(const struct qs_run *run, const char *metric);
void qs_sensitivity_csv(const struct qs_run *run);

#endif
