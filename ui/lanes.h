/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The graph of a model as lanes beside its rows, like the log of a version control program: a node
 * for each row, in the order of execution, and a lane for each value that is still needed further
 * down. A lane keeps its column from the node that makes the value to the last one that reads it.
 *
 *     o      a lane begins below the node that makes the value
 *     +-o    the node to the right reads it too: the lane goes on
 *     | o
 *     o-'    the node reads both lanes, and both end
 *
 * Nodes that are not shown are contracted: what they read takes the place of what they write.
 * Nothing here draws or knows a model.
 */
#ifndef UI_LANES_H
#define UI_LANES_H

#include <stdbool.h>
#include <stdint.h>

/* Nodes 0..n-1 in the order of execution and the variables they read and write: node i reads
 * in[in_at[i]] .. in[in_at[i + 1] - 1]. A variable that is written again has a new value; one that
 * no node above wrote (a parameter) makes no edge. */
struct ui_flow {
    int n, n_vars;
    int *in_at, *in;   /* [n + 1], [in_at[n]] */
    int *out_at, *out; /* [n + 1], [out_at[n]] */
    /* [n] the one variable that what a node writes comes from when the node is hidden, -1: all
     * that it reads; NULL: all -1 */
    int *origin;
};

void ui_flow_release(struct ui_flow *f);

/* A value that is read: outputs of one node that are read by the same rows share a lane. */
struct ui_lane {
    int from, to; /* rows: of the node that makes it, of the last that reads it; from < to */
    int col;
};

struct ui_lanes {
    int n;     /* rows */
    int width; /* columns */
    int *col;  /* [n] of the node */
    int n_lanes;
    struct ui_lane *lane;  /* by rising `from` */
    int *out_at;           /* [n + 1]: row r makes lanes out_at[r] .. out_at[r + 1] - 1 */
    int *in_at, *in;       /* [n + 1]: lanes that row r reads, by rising column */
    int *reader_at, *read; /* [n_lanes + 1]: rows that read a lane, rising */
    int *col_at, *of_col;  /* [width + 1]: lanes of a column, by rising `from` */
};

/* Lanes of the nodes shown, row[n_rows] in rising order. The number of columns is the smallest
 * that values alive at the same time allow. NULL: more edges than can be drawn. */
struct ui_lanes *ui_lanes_new(const struct ui_flow *f, const int *row, int n_rows);
void ui_lanes_free(struct ui_lanes *l);

/* Rows that make what a row reads, or that read what it makes, rising, each once; at most `most`
 * go to `out` (NULL with 0). Returns how many there are. */
int ui_lanes_producers(const struct ui_lanes *l, int row, int *out, int most);
int ui_lanes_consumers(const struct ui_lanes *l, int row, int *out, int most);

/* One character of a row: strokes from its middle, 0 none, 1 thin, 2 thick. */
struct ui_stroke {
    uint8_t up, down, left, right;
    bool node;
};
/* A row from lane column `left` on: n characters, two for each column. What leads to or from row
 * `lit` is thick; -1: nothing. Where a stroke crosses a lane it has nothing to do with, the lane
 * has the character. */
void ui_lanes_row(const struct ui_lanes *l, int row, int lit, int left, struct ui_stroke *out,
                  int n);
/* The character of the strokes; plain: in ASCII. */
unsigned ui_stroke_char(const struct ui_stroke *s);
char ui_stroke_plain(const struct ui_stroke *s);

#endif
