/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/text.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/app.h"
#include "base/mem.h"

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
    if (s < 10)
        qs_str_printf(out, "%.1f s", seconds > 0 ? seconds : 0.0);
    else if (s >= 3600)
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

void
ui_add_metric(struct qs_str *out, const char *name, double value)
{
    struct qs_metric_look look = {.format = fabs(value) < 10 ? "%.4f" : "%.4g"};
    char text[64];
    /* "verify_int8_cosine" is a cosine */
    const char *of = strncmp(name, "verify_", 7) == 0 ? strchr(name + 7, '_') : NULL;
    qs_app_metric_look(of ? of + 1 : name, &look);
    snprintf(text, sizeof(text), look.format, value);
    qs_str_add(out, text);
}

void
ui_add_quantity(struct qs_str *out, const char *name, double value)
{
    if (strcmp(name, "bytes") == 0)
        ui_add_bytes(out, (int64_t)value);
    else if (strcmp(name, "seconds") == 0)
        qs_str_printf(out, "%.3g s", value);
    else
        ui_add_metric(out, name, value);
}

char *
ui_split_count(const char *text, int64_t *count)
{
    const char *last = strrchr(text, ' ');
    char *end = NULL;
    *count = 0;
    if (!last || last[1] < '0' || last[1] > '9')
        return qs_xstrdup(text);
    const long long n = strtoll(last + 1, &end, 10);
    if (*end)
        return qs_xstrdup(text);
    *count = n;
    while (last > text && last[-1] == ' ')
        last--;
    return qs_xasprintf("%.*s", (int)(last - text), text);
}

/* The program stays in the folder it was started in. */
static const char *
working_folder(size_t *n)
{
    static char here[PATH_MAX];
    static size_t length;
    if (!here[0] && getcwd(here, sizeof(here)))
        length = strlen(here);
    *n = length;
    return here;
}

const char *
ui_below_here(const char *path)
{
    size_t n;
    const char *here = working_folder(&n);
    return n > 1 && strncmp(path, here, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

char *
ui_short_name(const char *path)
{
    static const char *const common[] = {"model.pdmodel", "inference.pdmodel", "__model__",
                                         "inference.json", "model.nb"};
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    for (size_t i = 0; i < QS_LEN(common); i++) {
        const char *folder = base - 1;
        if (strcmp(base, common[i]) != 0 || base - path < 2)
            continue;
        while (folder > path && folder[-1] != '/')
            folder--;
        return qs_xasprintf("%.*s", (int)(base - 1 - folder), folder);
    }
    return qs_xstrdup(base);
}
