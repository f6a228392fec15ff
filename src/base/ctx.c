/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ctx.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/i18n.h"

static int
usable_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    const int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

void
qs_ctx_init(struct qs_ctx *cx)
{
    memset(cx, 0, sizeof(*cx));
    cx->threads = usable_cores();
}

void
qs_ctx_init_child(struct qs_ctx *cx, const struct qs_ctx *parent)
{
    memset(cx, 0, sizeof(*cx));
    cx->threads = parent->threads;
    cx->seed = parent->seed;
}

/* Keeps a message one line, whatever bytes a file put into it, and ends it at a whole UTF-8
 * character when it had to be cut. */
static void
tidy(char *s, bool cut)
{
    size_t n = strlen(s);
    if (cut) {
        while (n > 0 && ((unsigned char)s[n - 1] & 0xC0) == 0x80)
            n--;
        if (n > 0 && (unsigned char)s[n - 1] >= 0xC0)
            n--;
        s[n] = '\0';
    }
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7F)
            *s = '?';
}

enum qs_err
qs_fail(struct qs_ctx *cx, enum qs_err err, const char *fmt, ...)
{
    if (cx->err != QS_OK)
        return cx->err;
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(cx->message, sizeof(cx->message), fmt, ap);
    va_end(ap);
    tidy(cx->message, n >= (int)sizeof(cx->message));
    cx->err = err;
    return err;
}

enum qs_err
qs_prefix(struct qs_ctx *cx, const char *fmt, ...)
{
    char prefix[sizeof(cx->message)], whole[2 * sizeof(cx->message) + 2];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(prefix, sizeof(prefix), fmt, ap);
    va_end(ap);
    snprintf(whole, sizeof(whole), "%s: %s", prefix, qs_message(cx));
    const bool cut = strlen(whole) >= sizeof(cx->message);
    memcpy(cx->message, whole, sizeof(cx->message) - 1);
    cx->message[sizeof(cx->message) - 1] = '\0';
    tidy(cx->message, cut);
    return cx->err;
}

void
qs_clear(struct qs_ctx *cx)
{
    cx->err = QS_OK;
    cx->message[0] = '\0';
}

const char *
qs_message(const struct qs_ctx *cx)
{
    return cx->message[0] ? cx->message : qs_err_text(cx->err);
}

void
qs_progress(struct qs_ctx *cx, const char *what, int64_t done, int64_t total)
{
    const struct qs_event ev = {.kind = QS_EVENT_PROGRESS, .text = what, .done = done, .total = total};
    if (cx->sink)
        cx->sink(cx->sink_arg, &ev);
}

void
qs_report_metric(struct qs_ctx *cx, const char *name, double value)
{
    const struct qs_event ev = {.kind = QS_EVENT_METRIC, .text = name, .value = value};
    if (cx->sink)
        cx->sink(cx->sink_arg, &ev);
}

static void
say(struct qs_ctx *cx, enum qs_event_kind kind, const char *fmt, va_list ap)
{
    char line[1024];
    const int n = vsnprintf(line, sizeof(line), fmt, ap);
    tidy(line, n >= (int)sizeof(line));
    const struct qs_event ev = {.kind = kind, .text = line};
    if (cx->sink)
        cx->sink(cx->sink_arg, &ev);
}

void
qs_note(struct qs_ctx *cx, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(cx, QS_EVENT_NOTE, fmt, ap);
    va_end(ap);
}

void
qs_warn(struct qs_ctx *cx, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(cx, QS_EVENT_WARNING, fmt, ap);
    va_end(ap);
}

enum qs_err
qs_check_cancel(struct qs_ctx *cx)
{
    const struct timespec nap = {.tv_nsec = 20 * 1000 * 1000};
    while (atomic_load_explicit(&cx->pause, memory_order_relaxed) &&
           !atomic_load_explicit(&cx->cancel, memory_order_relaxed))
        nanosleep(&nap, NULL);
    if (atomic_load_explicit(&cx->cancel, memory_order_relaxed))
        return qs_fail(cx, QS_ERR_CANCELLED, "%s", qs_err_text(QS_ERR_CANCELLED));
    return QS_OK;
}
