/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts of keys, as qslim-tui(1) describes them: lines of keys, lines ':command', comments. */
#ifndef UI_SCRIPT_H
#define UI_SCRIPT_H

#include "base/ctx.h"

struct ui;

/* QS_ERR_FORMAT names the line with a key that does not exist. Ends early when the program does. */
enum qs_err ui_script_run(struct qs_ctx *cx, struct ui *ui, const char *text,
                          const char *path) QS_MUST_CHECK;

#endif
