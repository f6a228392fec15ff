/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Actions: one row of keys.inc has the name, the keys and the help; dispatcher, command line,
 * footer and help view read the same table. Each view is an action too (go there), from views.inc.
 */
#ifndef UI_KEYS_H
#define UI_KEYS_H

#include <stdbool.h>

#include "base/str.h"
#include "ui/screen.h"

enum ui_view_id {
#define VIEW(id, name, keys, title) UI_VIEW_##id,
#include "ui/views.inc"
#undef VIEW
    UI_N_VIEWS
};

enum ui_action {
#define ACTION(id, name, keys, where, arg, hint, help) UI_ACT_##id,
#include "ui/keys.inc"
#undef ACTION
#define VIEW(id, name, keys, title) UI_ACT_VIEW_##id,
#include "ui/views.inc"
#undef VIEW
    UI_N_ACTIONS,
    UI_ACT_NONE = -1
};

/* Where an action works: views as bits, then lists, then everywhere. The drawn graph is a form of
 * a view and comes before it. */
enum {
    UI_IN_LIST = 1 << UI_N_VIEWS,
    UI_IN_ALL = 1 << (UI_N_VIEWS + 1),
    UI_IN_DRAWN = 1 << (UI_N_VIEWS + 2),
    UI_IN_COMMANDS = 1 << (UI_N_VIEWS + 3), /* by name, everywhere; its keys stay with the views */
};

struct ui_action_row {
    const char *name, *keys;
    unsigned where;
    const char *arg;         /* NULL: takes none; "[X]": may be left out */
    const char *hint, *help; /* not yet translated; hint may be NULL */
};
extern const struct ui_action_row ui_actions[UI_N_ACTIONS];

/* The action of a key where `where` are the bits that apply; UI_ACT_NONE. */
enum ui_action ui_action_of_key(int key, unsigned where);
/* By name on the command line, wherever it works; an unambiguous beginning is enough. */
enum ui_action ui_action_find(const char *name, unsigned where);
/* Names that begin with `prefix` and work here: the i-th, NULL past the last. */
const char *ui_action_complete(const char *prefix, unsigned where, int i);

/* Its argument is the name of a file or folder, which Tab completes. */
bool ui_takes_path(enum ui_action act);

/* "<Enter>", "<C-r>", "j": reads one key at *text and moves past it; UI_KEY_NONE when the name in
 * brackets is not one. `key` gets the position of <Click:x,y> as well. */
int ui_key_parse(const char **text, struct ui_key *key);
/* The name of a key in `out`. */
const char *ui_key_name(int key, char *out, size_t cap);
/* The first key of an action as text; "" when it has none. */
const char *ui_action_first_key(enum ui_action act, char *out, size_t cap);

#endif
