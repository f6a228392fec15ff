/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/text.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ui/table.h"

void
ui_add_bytes(struct qs_str *out, int64_t bytes)
{
    char text[16];
    qs_str_add(out, qs_format_bytes(text, sizeof(text), bytes));
}

void
ui_add_count(struct qs_str *out, int64_t n)
{
    char text[16];
    qs_str_add(out, qs_format_count(text, sizeof(text), n));
}

void
ui_add_time(struct qs_str *out, double when)
{
    char text[32];
    const time_t t = (time_t)when;
    struct tm tm;
    if (when > 0 && localtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm))
        qs_str_add(out, text);
}

void
ui_add_seconds(struct qs_str *out, double seconds)
{
    const int64_t s = seconds > 0 && seconds < 1e9 ? (int64_t)seconds : 0;
    if (s >= 3600)
        qs_str_printf(out, "%d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
    else
        qs_str_printf(out, "%d:%02d", (int)(s / 60), (int)(s % 60));
}

void
ui_add_decibel(struct qs_str *out, double db)
{
    if (isinf(db))
        qs_str_add(out, db > 0 ? "inf" : "-inf");
    else if (!isnan(db))
        qs_str_printf(out, "%.1f", db);
}

const char *
ui_below_here(const char *path)
{
    char here[PATH_MAX];
    const size_t n = getcwd(here, sizeof(here)) ? strlen(here) : 0;
    return n > 1 && strncmp(path, here, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

int
ui_compare(double a, double b)
{
    if (isnan(a) || isnan(b))
        return ((isnan(a) != 0) - (isnan(b) != 0)) * UI_LAST;
    return (a > b) - (a < b);
}
