/* SPDX-License-Identifier: Apache-2.0 */
/* A line of text asked for in the footer: editing, history, completion; or yes and no. */
#ifndef UI_PROMPT_H
#define UI_PROMPT_H

#include "base/opt.h"
#include "base/str.h"
#include "ui/screen.h"

struct ui;

enum ui_prompt_kind {
    UI_PROMPT_TEXT,
    UI_PROMPT_PATH,    /* Tab completes file names */
    UI_PROMPT_COMMAND, /* Tab completes actions and their arguments */
    UI_PROMPT_YES_NO,
};

struct ui_prompt {
    bool active;
    enum ui_prompt_kind kind;
    char label[160];
    struct qs_str text;
    size_t at; /* of the cursor, in bytes */
    void (*done)(struct ui *ui, void *arg, const char *text);
    void *arg;
    struct qs_strv history; /* of commands */
    int recall;             /* position in it */
    char choices[256];      /* what Tab found, to show */
};

void ui_prompt_init(struct ui_prompt *p);
void ui_prompt_release(struct ui_prompt *p);

/* Asks; `done` gets the text, or is not called when the user backs out. Yes and no: text is "y". */
void ui_ask(struct ui *ui, enum ui_prompt_kind kind, const char *label, const char *initial,
            void (*done)(struct ui *ui, void *arg, const char *text), void *arg);
void ui_prompt_key(struct ui *ui, const struct ui_key *key);
/* Draws into row y; returns the column of the cursor. */
int ui_prompt_draw(const struct ui_prompt *p, struct ui_screen *s, int y);

#endif
