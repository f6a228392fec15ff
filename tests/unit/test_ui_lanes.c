/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "ui/lanes.h"

/* A node: the variables it reads and writes, a letter each; '-' first: it is hidden. */
struct node {
    const char *in, *out;
};

enum { MOST = 64 };

static struct ui_flow
flow_of(const struct node *node, int n)
{
    struct ui_flow f = {.n = n, .n_vars = 128};
    f.in_at = qs_xcalloc((size_t)n + 1, sizeof(int));
    f.out_at = qs_xcalloc((size_t)n + 1, sizeof(int));
    f.in = qs_xcalloc(1024, sizeof(int));
    f.out = qs_xcalloc(1024, sizeof(int));
    for (int i = 0; i < n; i++) {
        int a = f.in_at[i], b = f.out_at[i];
        for (const char *c = node[i].in + (node[i].in[0] == '-'); *c; c++)
            f.in[a++] = *c;
        for (const char *c = node[i].out; *c; c++)
            f.out[b++] = *c;
        f.in_at[i + 1] = a;
        f.out_at[i + 1] = b;
    }
    return f;
}

static struct ui_lanes *
lanes_of(const struct node *node, int n)
{
    int row[MOST], n_rows = 0;
    struct ui_flow f = flow_of(node, n);
    for (int i = 0; i < n; i++)
        if (node[i].in[0] != '-')
            row[n_rows++] = i;
    struct ui_lanes *l = ui_lanes_new(&f, row, n_rows);
    ui_flow_release(&f);
    assert_non_null(l);
    return l;
}

/* What must be so whatever the graph. */
static void
check_sound(const struct ui_lanes *l)
{
    for (int i = 0; i < l->n_lanes; i++) {
        const struct ui_lane *a = &l->lane[i];
        assert_true(a->from < a->to);
        assert_true(a->col >= 0 && a->col < l->width);
        for (int k = i + 1; k < l->n_lanes; k++) {
            const struct ui_lane *b = &l->lane[k];
            /* one may end at the node where the other begins, only there */
            if (a->col == b->col && a->from <= b->to && b->from <= a->to) {
                const int meet = a->to == b->from ? a->to : b->to;
                assert_true(a->to == b->from || b->to == a->from);
                assert_int_equal(l->col[meet], a->col);
            }
        }
        for (int r = a->from + 1; r < a->to; r++)
            assert_true(l->col[r] != a->col);
    }
}

static void
check_lit(const struct node *node, int n, int lit, const char *want)
{
    struct ui_lanes *l = lanes_of(node, n);
    struct qs_str got;
    struct ui_stroke s[MOST];
    qs_str_init(&got);
    check_sound(l);
    assert_true(2 * l->width <= MOST);
    for (int r = 0; r < l->n; r++) {
        ui_lanes_row(l, r, lit, 0, s, 2 * l->width);
        const size_t start = got.n;
        for (int i = 0; i < 2 * l->width; i++)
            qs_str_printf(&got, "%c", s[i].node ? 'o' : ui_stroke_plain(&s[i]));
        while (got.n > start && got.s[got.n - 1] == ' ')
            got.s[--got.n] = '\0';
        qs_str_add(&got, "\n");
    }
    assert_string_equal(got.s, want);
    qs_str_release(&got);
    ui_lanes_free(l);
}

static void
check(const struct node *node, int n, const char *want)
{
    check_lit(node, n, -1, want);
}

#define CHECK(want, ...)                                 \
    do {                                                 \
        static const struct node node[] = {__VA_ARGS__}; \
        check(node, (int)QS_LEN(node), want);            \
    } while (0)

static void
chain_is_one_lane(void **state)
{
    (void)state;
    CHECK("o\no\no\n", {"", "a"}, {"a", "b"}, {"b", "c"});
}

static void
nothing_is_fine(void **state)
{
    (void)state;
    struct ui_lanes *l = lanes_of(NULL, 0);
    assert_int_equal(l->width, 0);
    ui_lanes_free(l);
}

static void
diamond_joins(void **state)
{
    (void)state;
    CHECK("o\n"
          "+-o\n"
          "o |\n"
          "o-'\n"
          "o\n",
          {"", "a"}, {"a", "b"}, {"a", "c"}, {"bc", "d"}, {"d", "e"});
}

static void
skip_connection_goes_straight(void **state)
{
    (void)state;
    CHECK("o\n"
          "+-o\n"
          "| o\n"
          "| o\n"
          "o-'\n"
          "+-o\n"
          "o-'\n",
          {"", "x"}, {"x", "a"}, {"a", "b"}, {"b", "c"}, {"xc", "y"}, {"y", "d"}, {"yd", "z"});
}

static void
concat_of_many_takes_all(void **state)
{
    (void)state;
    CHECK("o\n"
          "+-o\n"
          "+-|-o\n"
          "+-|-|-o\n"
          "o | | |\n"
          "o-+-+-'\n",
          {"", "x"}, {"x", "a"}, {"x", "b"}, {"x", "c"}, {"x", "d"}, {"abcd", "y"});
}

/* The lane of x crosses nothing on its way; columns are used again. */
static void
long_edges_keep_their_column(void **state)
{
    (void)state;
    CHECK("o\n"
          "+-o\n"
          "| +-o\n"
          "| o-'\n"
          "| +-o\n"
          "| o-'\n"
          "o-'\n",
          {"", "x"}, {"x", "a"}, {"a", "b"}, {"ab", "c"}, {"c", "d"}, {"cd", "e"}, {"xe", "f"});
}

static void
disconnected_parts_stand_alone(void **state)
{
    (void)state;
    CHECK("o\n"
          "| o\n"
          "| o\n"
          "o\n"
          "o\n",
          {"", "a"}, {"", "p"}, {"p", "q"}, {"a", "b"}, {"", "z"});
}

/* x and the parameter w have no node above; y is never read. */
static void
inputs_and_outputs_end_in_the_open(void **state)
{
    (void)state;
    CHECK("o\n"
          "| o\n"
          "| | o\n"
          "o-+-'\n"
          "+-o\n"
          "o\n",
          {"x", "a"}, {"x", "b"}, {"w", "c"}, {"abc", "d"}, {"d", "y"}, {"d", ""});
}

/* Two outputs, read by others: the one needed longest goes straight down. */
static void
outputs_of_a_split_are_lanes(void **state)
{
    (void)state;
    CHECK("o\n"
          "o-.\n"
          "| o\n"
          "o-'\n",
          {"", "a"}, {"a", "bc"}, {"c", "d"}, {"bd", "e"});
    CHECK("o\n"
          "o-.\n"
          "| o\n"
          "o-'\n",
          {"", "a"}, {"a", "bc"}, {"b", "d"}, {"cd", "e"});
}

static void
outputs_with_the_same_readers_share_a_lane(void **state)
{
    (void)state;
    CHECK("o\no\n", {"", "abcdef"}, {"fedcba", "g"});
}

static void
written_again_is_another_value(void **state)
{
    (void)state;
    CHECK("o\n"
          "o\n"
          "o\n",
          {"", "a"}, {"a", "a"}, {"a", "b"});
}

static void
hidden_nodes_are_contracted(void **state)
{
    (void)state;
    CHECK("o\n"
          "+-o\n"
          "o-'\n",
          {"", "a"}, {"-a", "b"}, {"-b", "c"}, {"c", "d"}, {"-d", "e"}, {"eb", "f"});
    /* a hidden join: who reads it reads all that went in, once each */
    CHECK("o\n"
          "| o\n"
          "o-'\n",
          {"", "a"}, {"", "b"}, {"-ab", "c"}, {"-ca", "d"}, {"dc", "e"});
    /* a parameter behind a hidden node makes no lane */
    CHECK("o\no\n", {"", "a"}, {"-w", "v"}, {"av", "b"});
}

/* The second node also writes its scale, which the third, hidden like it, reads beside its value.
 */
static void
hidden_nodes_may_have_one_origin(void **state)
{
    (void)state;
    static const struct node node[] = {
        {"", "x"}, {"-x", "qs"}, {"q", "y"}, {"-ys", "z"}, {"xz", "end"}};
    int origin[] = {-1, 'x', -1, 'y', -1}, row[] = {0, 2, 4};
    struct ui_flow f = flow_of(node, 5);
    struct ui_lanes *l = ui_lanes_new(&f, row, 3);
    assert_int_equal(l->lane[0].to, 2); /* x and y go to the end */
    assert_int_equal(l->n_lanes, 2);
    ui_lanes_free(l);
    f.in[f.in_at[4]] = 'z'; /* now y alone does */
    l = ui_lanes_new(&f, row, 3);
    assert_int_equal(l->lane[0].to, 2);
    ui_lanes_free(l);
    f.origin = origin;
    l = ui_lanes_new(&f, row, 3);
    assert_int_equal(l->lane[0].to, 1);
    assert_int_equal(l->width, 1);
    ui_lanes_free(l);
    f.origin = NULL;
    ui_flow_release(&f);
}

static void
a_lane_to_the_left_is_reached(void **state)
{
    (void)state;
    CHECK("o\n"
          "| o\n"
          "o |\n"
          "+-o\n"
          "o\n",
          {"", "a"}, {"", "b"}, {"a", "c"}, {"cb", "d"}, {"c", "e"});
}

static void
edges_of_a_row_are_lit(void **state)
{
    (void)state;
    static const struct node node[] = {{"", "x"}, {"x", "a"}, {"x", "b"}, {"a", "c"}, {"xbc", "y"}};
    check_lit(node, 5, 1,
              "o\n"
              "+=o\n"
              "+-!-o\n"
              "| o |\n"
              "o-+-'\n");
    check_lit(node, 5, 4,
              "o\n"
              "+-o\n"
              "+-|-o\n"
              "! o !\n"
              "o=+='\n");
    check_lit(node, 5, 0,
              "o\n"
              "+=o\n"
              "+=|=o\n"
              "! o |\n"
              "o-+-'\n");
}

static void
strokes_have_characters(void **state)
{
    (void)state;
    static const struct {
        struct ui_stroke s;
        unsigned wide;
        char plain;
    } row[] = {
        {{.up = 1, .down = 1}, 0x2502, '|'},
        {{.left = 1, .right = 1}, 0x2500, '-'},
        {{.up = 2, .down = 2}, 0x2503, '!'},
        {{.left = 2, .right = 2}, 0x2501, '='},
        {{.up = 1, .left = 1}, 0x2518, '\''},
        {{.up = 1, .right = 1}, 0x2514, '`'},
        {{.down = 1, .left = 1}, 0x2510, '.'},
        {{.down = 1, .right = 1}, 0x250C, ','},
        {{.up = 1, .down = 1, .right = 1}, 0x251C, '+'},
        {{.up = 1, .left = 1, .right = 1}, 0x2534, '+'},
        {{.up = 2, .down = 1, .left = 1, .right = 2}, 0x2544, '+'},
        {{0}, ' ', ' '},
    };
    for (size_t i = 0; i < QS_LEN(row); i++) {
        assert_int_equal(ui_stroke_char(&row[i].s), row[i].wide);
        assert_int_equal(ui_stroke_plain(&row[i].s), row[i].plain);
    }
}

static void
neighbours_are_listed_once(void **state)
{
    (void)state;
    static const struct node node[] = {
        {"", "ab"}, {"", "c"}, {"abc", "d"}, {"ad", "e"}, {"dc", ""}};
    struct ui_lanes *l = lanes_of(node, 5);
    int row[4] = {-1, -1, -1, -1};
    assert_int_equal(ui_lanes_producers(l, 2, NULL, 0), 2);
    assert_int_equal(ui_lanes_producers(l, 2, row, 4), 2);
    assert_int_equal(row[0], 0);
    assert_int_equal(row[1], 1);
    assert_int_equal(ui_lanes_producers(l, 0, row, 4), 0);
    assert_int_equal(ui_lanes_consumers(l, 0, row, 4), 2);
    assert_int_equal(row[0], 2);
    assert_int_equal(row[1], 3);
    assert_int_equal(ui_lanes_consumers(l, 2, row, 1), 2);
    assert_int_equal(row[0], 3);
    assert_int_equal(row[1], 3); /* no more than there is room for */
    assert_int_equal(ui_lanes_consumers(l, 4, row, 4), 0);
    ui_lanes_free(l);
}

/* Columns are as many as values alive at once, in any graph. */
static void
random_graphs_are_sound_and_narrow(void **state)
{
    (void)state;
    enum { NODES = 300, VARS = 40 };
    uint32_t x = 12345;
    for (int round = 0; round < 50; round++) {
        struct ui_flow f = {.n = NODES, .n_vars = VARS};
        int row[NODES], n_rows = 0, in[NODES * 3], out[NODES * 2], in_at[NODES + 1],
                        out_at[NODES + 1];
        in_at[0] = out_at[0] = 0;
        for (int i = 0; i < NODES; i++) {
            in_at[i + 1] = in_at[i];
            out_at[i + 1] = out_at[i];
            for (int k = 0; k < 3; k++, x = x * 1664525u + 1013904223u)
                in[in_at[i + 1]++] = (int)(x >> 16) % VARS;
            for (int k = 0; k < 1 + (int)(x >> 20) % 2; k++, x = x * 1664525u + 1013904223u)
                out[out_at[i + 1]++] = (int)(x >> 16) % VARS;
            if ((x >> 24) % 5)
                row[n_rows++] = i;
        }
        f.in_at = in_at;
        f.in = in;
        f.out_at = out_at;
        f.out = out;
        struct ui_lanes *l = ui_lanes_new(&f, row, n_rows);
        assert_non_null(l);
        check_sound(l);
        int most = 0;
        for (int r = 0; r < l->n; r++) {
            int alive = 0;
            bool through = false; /* the node takes the place of a lane */
            for (int i = 0; i < l->n_lanes; i++) {
                const struct ui_lane *a = &l->lane[i];
                alive += a->from <= r && a->to >= r;
                through = through || (a->col == l->col[r] && a->from <= r && a->to >= r);
                if (a->to == r && a->col == l->col[r] && l->out_at[r] < l->out_at[r + 1])
                    alive--;
            }
            alive += !through;
            most = alive > most ? alive : most;
        }
        assert_int_equal(l->width, most);
        ui_lanes_free(l);
    }
}

/* Hidden joins of everything before would make n * n / 2 edges. */
static void
too_many_edges_are_refused(void **state)
{
    (void)state;
    enum { N = 10000 };
    struct ui_flow f = {.n = 2 * N, .n_vars = 2 * N};
    int *row = qs_xcalloc(N, sizeof(int));
    f.in_at = qs_xcalloc(2 * N + 1, sizeof(int));
    f.out_at = qs_xcalloc(2 * N + 1, sizeof(int));
    f.in = qs_xcalloc(4 * N, sizeof(int));
    f.out = qs_xcalloc(4 * N, sizeof(int));
    for (int i = 0; i < 2 * N; i++) {
        f.in_at[i + 1] = f.in_at[i];
        if (i % 2) { /* hidden: what is there and one more */
            f.in[f.in_at[i + 1]++] = i - 1;
            f.in[f.in_at[i + 1]++] = i >= 2 ? i - 2 : i - 1;
        } else {
            row[i / 2] = i;
        }
        f.out_at[i + 1] = f.out_at[i];
        f.out[f.out_at[i + 1]++] = i;
    }
    assert_null(ui_lanes_new(&f, row, N));
    struct ui_lanes *l = ui_lanes_new(&f, row, 100);
    ui_lanes_free(l);
    ui_flow_release(&f);
    free(row);
}

int
main(void)
{
    static const struct CMUnitTest test[] = {
        cmocka_unit_test(chain_is_one_lane),
        cmocka_unit_test(nothing_is_fine),
        cmocka_unit_test(diamond_joins),
        cmocka_unit_test(skip_connection_goes_straight),
        cmocka_unit_test(concat_of_many_takes_all),
        cmocka_unit_test(long_edges_keep_their_column),
        cmocka_unit_test(disconnected_parts_stand_alone),
        cmocka_unit_test(inputs_and_outputs_end_in_the_open),
        cmocka_unit_test(outputs_of_a_split_are_lanes),
        cmocka_unit_test(outputs_with_the_same_readers_share_a_lane),
        cmocka_unit_test(written_again_is_another_value),
        cmocka_unit_test(hidden_nodes_are_contracted),
        cmocka_unit_test(hidden_nodes_may_have_one_origin),
        cmocka_unit_test(a_lane_to_the_left_is_reached),
        cmocka_unit_test(edges_of_a_row_are_lit),
        cmocka_unit_test(strokes_have_characters),
        cmocka_unit_test(neighbours_are_listed_once),
        cmocka_unit_test(random_graphs_are_sound_and_narrow),
        cmocka_unit_test(too_many_edges_are_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(test, NULL, NULL);
}
