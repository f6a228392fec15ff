/* SPDX-License-Identifier: Apache-2.0 */
/* A run and its layers as JSON and as text: shared by quantize, runs, compare and rerun. */
#ifndef QS_CMD_RUN_OUTPUT_H
#define QS_CMD_RUN_OUTPUT_H

#include "cmd/cmd.h"
#include "model/run.h"

/* The keys of cli.md: run_id, plan, layers, bytes_before, bytes_after, files, seconds and more. */
json_t *qs_run_json(const struct qs_run *run, bool with_layers);
/* Ledger and totals for people. */
void qs_run_print(const struct qs_run *run, bool with_layers);
/* A line for each metric, with its interval. */
void qs_run_print_metrics(const struct qs_run *run);
/* "2026-11-21 05:22:32" in local time; returns `out`. */
char *qs_format_time(char *out, size_t cap, double seconds);

/* The number of a run as a user writes it, and that run from the store. */
enum qs_err qs_run_id_parse(struct qs_ctx *cx, const char *text, int64_t *id) QS_MUST_CHECK;
enum qs_err qs_run_by_text(struct qs_ctx *cx, const char *db, const char *text,
                           struct qs_run *run) QS_MUST_CHECK;

#endif
