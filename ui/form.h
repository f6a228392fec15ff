/* SPDX-License-Identifier: Apache-2.0 */
/* A form made from option descriptors: one row each, changed in place or by typing. */
#ifndef UI_FORM_H
#define UI_FORM_H

#include "base/opt.h"
#include "ui/table.h"

struct ui;

struct ui_form {
    const struct qs_opt **opt; /* those shown */
    int n;
    const void *base; /* the struct they describe */
    struct ui_table table;
    /* Sets one option from text; does the checking and whatever follows a change. */
    void (*set)(struct ui *ui, const struct qs_opt *opt, const char *text);
    /* Whether it means something now; one that is not at its default shows in any case. NULL: all
     * do. */
    bool (*applies)(const void *base, const struct qs_opt *opt);
};

/* All options but those of type LIST and those named in `leave_out` (comma-separated). */
void ui_form_init(struct ui_form *f, const struct qs_opt *opt, int n, const char *leave_out,
                  const void *base,
                  void (*set)(struct ui *ui, const struct qs_opt *opt, const char *text));
/* Values changed. */
void ui_form_refresh(struct ui_form *f);
void ui_form_release(struct ui_form *f);
/* Next (1) or previous (-1) value of the row under the cursor. */
void ui_form_step(struct ui_form *f, struct ui *ui, int step);
/* Toggles, goes to the next choice or asks for a value. */
void ui_form_edit(struct ui_form *f, struct ui *ui);

#endif
