/* SPDX-License-Identifier: Apache-2.0 */
/* Events of a command as lines on stderr: a bar with rate and time left on a terminal, else plain
 * lines at most every five seconds. */
#ifndef QS_CMD_PROGRESS_H
#define QS_CMD_PROGRESS_H

#include "base/ctx.h"

struct qs_progress_state {
    bool quiet, tty;
    bool open; /* a bar stands on the line */
    char what[64];
    double started, shown; /* seconds, monotonic */
};

void qs_progress_init(struct qs_progress_state *p, bool quiet);
/* The sink for qs_ctx. */
void qs_progress_sink(void *arg, const struct qs_event *ev);
/* Ends the line of a bar. */
void qs_progress_end(struct qs_progress_state *p);

#endif
