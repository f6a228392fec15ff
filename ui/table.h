/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table: rows 0..n_rows-1 of whoever owns it, described by columns. Sorting, filtering,
 * searching, marks, scrolling and the mouse are the same in every view that has one.
 *
 * A new column is one more struct ui_column: width, sorting, filter, search, export and help
 * follow from it.
 */
#ifndef UI_TABLE_H
#define UI_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "ui/keys.h"
#include "ui/screen.h"

struct ui_column {
    const char *name;  /* on the command line and in files: "sqnr" */
    const char *title; /* N_() */
    int least, most;   /* columns of the screen; most 0: takes what is left */
    bool right;        /* numbers */
    int drop; /* columns with the largest number leave first when there is no room; 0: stays */
    const char *unit;   /* N_() or NULL; of the value */
    bool unit_in_title; /* cells have the number alone */
    const char *help;   /* N_(): one line */
    int data;           /* for the functions below */
    void (*text)(const struct ui_column *c, void *arg, int row, struct qs_str *out);
    /* The number that orders rows; NaN, none, comes last, also when the order is turned round. */
    double (*value)(const struct ui_column *c, void *arg, int row); /* or NULL */
    /* Order of two rows in a column without numbers; NULL: by text. */
    int (*compare)(const struct ui_column *c, void *arg, int a, int b);
    /* Draws the cell itself; NULL: `text`. */
    void (*paint)(const struct ui_column *c, void *arg, int row, struct ui_screen *s,
                  struct ui_rect cell);
    /* Style of the cell; NULL: plain. */
    enum ui_item (*style)(const struct ui_column *c, void *arg, int row);
};

/* A style for what is less important than the rest. */
enum ui_item ui_style_dim(const struct ui_column *c, void *arg, int row);

enum { UI_MOST_COLUMNS = 32 };

/* What a filter or a search looks for in each cell: plain text anywhere, in any case, or a pattern
 * (base/str.h) when it has * ? [ or stands between slashes. */
struct ui_match {
    char *text;                 /* NULL: nothing is looked for */
    struct qs_pattern *pattern; /* NULL: plain */
};

struct ui_table {
    const struct ui_column *col;
    int n_col, n_frozen; /* columns that do not scroll sideways */
    void *arg;
    int n_rows;
    int *order, n_shown; /* rows as shown */
    uint8_t *mark;       /* [n_rows] */
    int64_t *id;         /* [n_rows] numbers that tell rows apart when they are new; or NULL */
    int n_marked;
    int cursor, top; /* positions in `order` */
    int sort;        /* column, -1: as given */
    bool reverse;
    bool ordered;   /* rows stay as given, whatever `sort` */
    int skip;       /* columns scrolled away */
    int range_from; /* position where a range began, -1: none */
    struct ui_match filter, search;
    bool (*hidden)(void *arg, int row); /* rows left out whatever the filter; or NULL */
    int scan;                           /* next row to look at while filtering; n_rows: done */
    unsigned version;                   /* another one when other rows are shown */
    bool stale;                         /* sort again before drawing */
    int seek_left, seek_step;           /* rows a search has still to look at, and its direction */
    bool missed;                        /* a search found nothing */
    /* where things were drawn, for the mouse */
    struct ui_rect body;
    int col_x[UI_MOST_COLUMNS], col_w[UI_MOST_COLUMNS]; /* w 0: not shown */
};

void ui_table_init(struct ui_table *t, const struct ui_column *col, int n_col, void *arg);
void ui_table_release(struct ui_table *t);
/* The rows are new ones: marks and position go. */
void ui_table_set_rows(struct ui_table *t, int n_rows);
/* The same, but rows with a number that there was before keep mark and cursor. Takes `id` [n_rows]
 * over (malloc). */
void ui_table_set_rows_by_id(struct ui_table *t, int64_t *id, int n_rows);
/* Before it is drawn: sorts when values changed, and puts the cursor on a row. */
void ui_table_settle(struct ui_table *t);
/* Values changed, or what is hidden did: sort (and filter) again; the cursor stays on its row. */
void ui_table_refresh(struct ui_table *t);
void ui_table_refilter(struct ui_table *t);
/* Goes on with a filter or a search over many rows until `deadline_ms` of the monotonic clock;
 * true: there is more to do. */
bool ui_table_work(struct ui_table *t, int64_t deadline_ms);
int64_t ui_now_ms(void);

/* The row under the cursor, -1: none. */
int ui_table_row(const struct ui_table *t);
/* Puts the cursor on a row; false when it is not shown. */
bool ui_table_go(struct ui_table *t, int row);
/* Marked rows in the order shown, or the one under the cursor when none is; malloc. */
int *ui_table_chosen(const struct ui_table *t, int *n);
int64_t *ui_table_chosen_ids(const struct ui_table *t, int *n); /* their numbers; malloc */
void ui_table_sort_by(struct ui_table *t, int column);          /* the same again: the other way */
int ui_table_find_column(const struct ui_table *t, const char *name);
/* NULL or "": no filter. False: the pattern is not one, `why` (128 bytes) says so. */
bool ui_table_set_filter(struct ui_table *t, const char *text, char *why);
bool ui_table_set_search(struct ui_table *t, const char *text, char *why);
/* Next row found after the cursor (step 1) or before it (-1); false: none. Over many rows it goes
 * on in ui_table_work (true was returned); t->missed is then set when there was none. */
bool ui_table_search(struct ui_table *t, int step);

/* An action of UI_IN_LIST that needs no text; false: not one of them. */
bool ui_table_act(struct ui_table *t, enum ui_action act);
/* Click, wheel; true when it was inside. A double click or a click on the selected row sets
 * `*enter`. */
bool ui_table_mouse(struct ui_table *t, const struct ui_key *key, bool *enter);

/* Titles in the first row of r, then rows. */
void ui_table_draw(struct ui_table *t, struct ui_screen *s, struct ui_rect r, bool focus);
/* "12 of 340 rows, filter 'conv', sorted by sqnr, 3 marked". */
void ui_table_status(const struct ui_table *t, struct qs_str *out);
void ui_table_cell_text(const struct ui_table *t, int column, int row, struct qs_str *out);

#endif
