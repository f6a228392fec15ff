/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/i18n.h"

static const double bar_every = 0.1, line_every = 5, silent_for = 0.3; /* seconds */

static double
now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

void
qs_progress_init(struct qs_progress_state *p, bool quiet)
{
    *p = (struct qs_progress_state){.quiet = quiet, .tty = isatty(STDERR_FILENO) == 1};
}

void
qs_progress_end(struct qs_progress_state *p)
{
    if (p->open)
        fputs("\r\033[K", stderr);
    p->open = false;
}

static void
show(struct qs_progress_state *p, const struct qs_event *ev, double t)
{
    const double rate = ev->done / (t - p->started + 1e-9);
    const double left = (double)(ev->total - ev->done) / (rate > 0 ? rate : 1);
    enum { WIDTH = 24 };
    char bar[WIDTH + 1];
    const int full = ev->total > 0 ? (int)(ev->done * WIDTH / ev->total) : 0;
    memset(bar, '.', WIDTH);
    memset(bar, '#', (size_t)full);
    bar[WIDTH] = '\0';
    if (p->tty)
        fprintf(stderr, "\r\033[K%s [%s] %" PRId64 "/%" PRId64 ", %.3g/s, ", ev->text, bar,
                ev->done, ev->total, rate);
    else
        fprintf(stderr, "%s %" PRId64 "/%" PRId64 ", %.3g/s, ", ev->text, ev->done, ev->total,
                rate);
    fprintf(stderr, _("%.0f s left"), left);
    if (!p->tty)
        fputc('\n', stderr);
    fflush(stderr);
    p->open = p->tty;
    p->shown = t;
}

static void
progress(struct qs_progress_state *p, const struct qs_event *ev)
{
    const double t = now();
    if (strncmp(p->what, ev->text, sizeof(p->what) - 1) != 0) {
        snprintf(p->what, sizeof(p->what), "%s", ev->text);
        p->started = p->shown = t;
    }
    const bool due = t - p->shown >= (p->tty ? bar_every : line_every);
    if (due && t - p->started >= silent_for && ev->done < ev->total)
        show(p, ev, t);
    if (ev->done >= ev->total)
        qs_progress_end(p);
}

void
qs_progress_sink(void *arg, const struct qs_event *ev)
{
    struct qs_progress_state *p = arg;
    if (ev->kind == QS_EVENT_PROGRESS) {
        if (!p->quiet)
            progress(p, ev);
        return;
    }
    if (ev->kind == QS_EVENT_METRIC || (p->quiet && ev->kind == QS_EVENT_NOTE))
        return;
    qs_progress_end(p);
    fprintf(stderr, "qslim: %s%s\n", ev->kind == QS_EVENT_WARNING ? _("warning: ") : "", ev->text);
}
