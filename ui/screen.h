/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thin layer over curses, the only file that knows it: text clipped by display width, styles by
 * name, keys as numbers, and a terminal that comes back on every way out. Without a terminal
 * (scripts, tests) the same code draws on a grid of a fixed size that ui_screen_save writes out.
 *
 * There is one screen at a time (curses has global state), used by one thread.
 */
#ifndef UI_SCREEN_H
#define UI_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/str.h"

enum ui_item {
#define ITEM(id, text, ground, attr) UI_##id,
#include "ui/theme.inc"
#undef ITEM
    UI_N_ITEMS
};

enum ui_theme { UI_THEME_DARK, UI_THEME_LIGHT, UI_N_THEMES };
extern const char *const ui_theme_name[];

/* Keys that are no character; a character is its Unicode number. */
enum {
    UI_KEY_NONE = -1,
    UI_KEY_SPECIAL = 0x110000,
    UI_KEY_UP = UI_KEY_SPECIAL,
    UI_KEY_DOWN,
    UI_KEY_LEFT,
    UI_KEY_RIGHT,
    UI_KEY_PAGE_UP,
    UI_KEY_PAGE_DOWN,
    UI_KEY_HOME,
    UI_KEY_END,
    UI_KEY_DELETE,
    UI_KEY_INSERT,
    UI_KEY_BACK_TAB,
    UI_KEY_CLICK,                       /* x, y */
    UI_KEY_DOUBLE,                      /* the second click at the same place */
    UI_KEY_WHEEL_UP,                    /* x, y */
    UI_KEY_WHEEL_DOWN,                  /* x, y */
    UI_KEY_RESIZE,                      /* script only: x columns, y rows */
    UI_KEY_F1 = UI_KEY_SPECIAL + 0x100, /* F1 .. F12 follow */
    UI_KEY_TAB = '\t',
    UI_KEY_ENTER = '\r',
    UI_KEY_ESC = 0x1B,
    UI_KEY_BACKSPACE = 0x7F,
};

struct ui_key {
    int code;
    int x, y;
};

struct ui_rect {
    int y, x, h, w;
};

struct ui_screen_options {
    bool ascii; /* no characters beyond ASCII of our own */
    bool no_colour;
    int width, height; /* above 0: a grid of this size, no terminal */
};

struct ui_screen {
    int w, h;     /* columns, rows */
    bool utf8;    /* blocks and lines of Unicode may be used */
    int colours;  /* 0, 8, 16, 256 */
    bool on_grid; /* no terminal */
    int override; /* a style used for everything drawn, -1: none (selected rows) */
    enum ui_theme theme;
    struct ui_screen_private *p;
};

/* QS_ERR_UNSUPPORTED when there is no terminal that can be used. */
enum qs_err ui_screen_open(struct qs_ctx *cx, const struct ui_screen_options *opt,
                           struct ui_screen **out) QS_MUST_CHECK;
/* Gives the terminal back; NULL is fine. */
void ui_screen_close(struct ui_screen *s);

/* Descriptor to poll for keys; -1 on a grid. */
int ui_screen_fd(const struct ui_screen *s);
/* The next key that has arrived; false: none. `*gone` is set when the terminal is gone. */
bool ui_screen_key(struct ui_screen *s, struct ui_key *key, bool *gone);
/* Takes the size the terminal has now. */
void ui_screen_measure(struct ui_screen *s);
/* Size of a grid. */
void ui_screen_resize(struct ui_screen *s, int w, int h);
/* Stops the program as Ctrl-Z does in a shell and comes back. */
void ui_screen_suspend(struct ui_screen *s);
void ui_screen_set_theme(struct ui_screen *s, enum ui_theme theme);

void ui_clear(struct ui_screen *s);
/* Everything is drawn anew by the next ui_flush. */
void ui_redraw(struct ui_screen *s);
/* Shows what was drawn; the cursor stands at y, x or is hidden (y -1). */
void ui_flush(struct ui_screen *s, int y, int x);

/* Columns that `text` (UTF-8) takes. */
int ui_width(const char *text);
/* How what curses writes next looks. */
void ui_screen_set_style(const struct ui_screen *s, enum ui_item item);
/* Draws text in at most `w` columns and returns how many were used. Text that does not fit ends in
 * an ellipsis. Control characters and what is no UTF-8 show as '?'. */
int ui_put(struct ui_screen *s, int y, int x, int w, enum ui_item item, const char *text);
int ui_putf(struct ui_screen *s, int y, int x, int w, enum ui_item item, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* The same, filled up with blanks to `w`; right: blanks first. */
void ui_put_cell(struct ui_screen *s, int y, int x, int w, enum ui_item item, bool right,
                 const char *text);
/* One character: `wide` on a Unicode screen, else `plain`; n times. */
void ui_put_char(struct ui_screen *s, int y, int x, int n, enum ui_item item, unsigned wide,
                 char plain);
/* Text over several lines, broken at blanks; returns the rows used. Draws nothing when s NULL. */
int ui_put_wrapped(struct ui_screen *s, struct ui_rect r, enum ui_item item, const char *text);
/* A line across with a title in it. */
void ui_put_rule(struct ui_screen *s, int y, int x, int w, const char *title, bool focus);

/* The screen as lines of text without trailing blanks. */
void ui_screen_print(struct ui_screen *s, struct qs_str *out);
enum qs_err ui_screen_save(struct qs_ctx *cx, struct ui_screen *s, const char *path) QS_MUST_CHECK;

#endif
