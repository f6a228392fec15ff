/* SPDX-License-Identifier: Apache-2.0 */
/* Values as the cells of tables show them. */
#ifndef UI_TEXT_H
#define UI_TEXT_H

#include <stdint.h>

#include "base/str.h"

void ui_add_bytes(struct qs_str *out, int64_t bytes);
void ui_add_count(struct qs_str *out, int64_t n);
/* "2026-03-01 17:20", local time; seconds since 1970. */
void ui_add_time(struct qs_str *out, double when);
/* "7.2 s", "0:17", "1:02:03". */
void ui_add_seconds(struct qs_str *out, double seconds);
/* "41.3", "inf"; NaN adds nothing. */
void ui_add_decibel(struct qs_str *out, double db);
/* As the metric of this name is shown, without its unit. */
void ui_add_metric(struct qs_str *out, const char *name, double value);
/* The same for "bytes" and "seconds" too, with their units. */
void ui_add_quantity(struct qs_str *out, const char *name, double value);
/* "FILE 100" is FILE and 100, "FILE" is FILE and 0; malloc. A path may have blanks. */
char *ui_split_count(const char *text, int64_t *count);
/* A path relative to the working folder when it lies below it; points into `path`. */
const char *ui_below_here(const char *path);
/* "folder/model.pdmodel" as "folder" when the file has a common name, else the file; malloc. */
char *ui_short_name(const char *path);

#endif
