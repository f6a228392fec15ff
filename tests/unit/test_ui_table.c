/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ui/table.h"

enum { NOT_COUNTED = 7 };

struct fruit {
    const char *name;
    int count;
};

static const struct fruit fruits[] = {
    {"apple", 30}, {"Banana", 5}, {"cherry", 200}, {"date", 30}, {"elder", 1}, {"卷积层", 7},
};
enum { N = 6 };

static void
text_name(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_add(out, ((const struct fruit *)arg)[row].name);
}

static void
text_count(const struct ui_column *c, void *arg, int row, struct qs_str *out)
{
    (void)c;
    qs_str_printf(out, "%d", ((const struct fruit *)arg)[row].count);
}

/* One fruit was not counted. */
static double
value_count(const struct ui_column *c, void *arg, int row)
{
    const int n = ((const struct fruit *)arg)[row].count;
    (void)c;
    return n == NOT_COUNTED ? NAN : n;
}

static const struct ui_column column[] = {
    {.name = "name", .title = "name", .least = 8, .most = 12, .help = "", .text = text_name},
    {.name = "count",
     .title = "count",
     .least = 6,
     .most = 6,
     .right = true,
     .drop = 1,
     .help = "",
     .text = text_count,
     .value = value_count},
    {.name = "wide", .title = "wide", .least = 20, .drop = 2, .help = "", .text = text_name},
};

static int
set_up(void **state)
{
    struct ui_table *t = malloc(sizeof(*t));
    ui_table_init(t, column, 3, (void *)fruits);
    ui_table_set_rows(t, N);
    *state = t;
    return 0;
}

static int
tear_down(void **state)
{
    ui_table_release(*state);
    free(*state);
    return 0;
}

static void
check_order(const struct ui_table *t, const int *want, int n)
{
    assert_int_equal(t->n_shown, n);
    for (int i = 0; i < n; i++)
        assert_int_equal(t->order[i], want[i]);
}

static void
rows_come_as_given(void **state)
{
    check_order(*state, (int[]){0, 1, 2, 3, 4, 5}, N);
}

static void
sorting_by_number_is_stable_and_turns_round_but_for_what_has_none(void **state)
{
    struct ui_table *t = *state;
    ui_table_sort_by(t, 1);
    check_order(t, (int[]){4, 1, 0, 3, 2, 5}, N);
    ui_table_sort_by(t, 1);
    check_order(t, (int[]){2, 0, 3, 1, 4, 5}, N);
    ui_table_sort_by(t, -1);
    check_order(t, (int[]){0, 1, 2, 3, 4, 5}, N);
}

static void
sorting_keeps_the_cursor_on_its_row(void **state)
{
    struct ui_table *t = *state;
    assert_true(ui_table_go(t, 2));
    ui_table_sort_by(t, 1);
    assert_int_equal(ui_table_row(t), 2);
}

static void
filters_match_any_cell(void **state)
{
    static const struct {
        const char *filter;
        int n, row[N];
    } cases[] = {
        {"an", 1, {1}},         {"BAN", 1, {1}},
        {"e", 4, {0, 2, 3, 4}}, {"30", 2, {0, 3}},
        {"*rry", 1, {2}},       {"[ad]*", 2, {0, 3}},
        {"/^.a/", 2, {1, 3}},   {"积", 1, {5}},
        {"nothing", 0, {0}},    {"", N, {0, 1, 2, 3, 4, 5}},
    };
    struct ui_table *t = *state;
    char why[128];
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_true(ui_table_set_filter(t, cases[i].filter, why));
        check_order(t, cases[i].row, cases[i].n);
    }
}

static void
a_bad_pattern_is_refused_and_changes_nothing(void **state)
{
    struct ui_table *t = *state;
    char why[128] = "";
    assert_true(ui_table_set_filter(t, "an", why));
    assert_false(ui_table_set_filter(t, "/(/", why));
    assert_true(why[0] != '\0');
    check_order(t, (int[]){1}, 1);
}

static void
search_goes_round_both_ways(void **state)
{
    struct ui_table *t = *state;
    char why[128];
    assert_true(ui_table_set_search(t, "30", why));
    assert_true(ui_table_search(t, 1));
    assert_int_equal(ui_table_row(t), 3);
    assert_true(ui_table_search(t, 1));
    assert_int_equal(ui_table_row(t), 0);
    assert_true(ui_table_search(t, -1));
    assert_int_equal(ui_table_row(t), 3);
    assert_true(ui_table_set_search(t, "none of them", why));
    assert_false(ui_table_search(t, 1));
    assert_int_equal(ui_table_row(t), 3);
}

static void
marks_follow_rows_not_positions(void **state)
{
    struct ui_table *t = *state;
    int n, *chosen;
    ui_table_go(t, 2);
    assert_true(ui_table_act(t, UI_ACT_MARK));
    assert_int_equal(t->cursor, 3);
    ui_table_sort_by(t, 1);
    chosen = ui_table_chosen(t, &n);
    assert_int_equal(n, 1);
    assert_int_equal(chosen[0], 2);
    free(chosen);
}

static void
with_no_mark_the_row_under_the_cursor_is_chosen(void **state)
{
    struct ui_table *t = *state;
    int n, *chosen;
    ui_table_go(t, 4);
    chosen = ui_table_chosen(t, &n);
    assert_int_equal(n, 1);
    assert_int_equal(chosen[0], 4);
    free(chosen);
}

static void
a_range_is_marked_from_either_end(void **state)
{
    struct ui_table *t = *state;
    t->cursor = 3;
    ui_table_act(t, UI_ACT_MARK_RANGE);
    t->cursor = 1;
    ui_table_act(t, UI_ACT_MARK_RANGE);
    assert_int_equal(t->n_marked, 3);
    assert_true(t->mark[1] && t->mark[2] && t->mark[3]);
    ui_table_act(t, UI_ACT_MARK_ALL);
    assert_int_equal(t->n_marked, N);
    ui_table_act(t, UI_ACT_MARK_ALL);
    assert_int_equal(t->n_marked, 0);
}

static void
moving_stops_at_the_ends(void **state)
{
    struct ui_table *t = *state;
    ui_table_act(t, UI_ACT_UP);
    assert_int_equal(t->cursor, 0);
    ui_table_act(t, UI_ACT_LAST);
    assert_int_equal(t->cursor, N - 1);
    ui_table_act(t, UI_ACT_PAGE_DOWN);
    assert_int_equal(t->cursor, N - 1);
    ui_table_act(t, UI_ACT_FIRST);
    assert_int_equal(t->cursor, 0);
}

static void
an_empty_table_takes_every_action(void **state)
{
    struct ui_table *t = *state;
    ui_table_set_rows(t, 0);
    for (int a = 0; a < UI_N_ACTIONS; a++)
        ui_table_act(t, (enum ui_action)a);
    assert_int_equal(ui_table_row(t), -1);
    assert_false(ui_table_search(t, 1));
}

/* On a grid */

static struct ui_screen *
grid(int w, int h)
{
    struct qs_ctx cx;
    struct ui_screen *s = NULL;
    qs_ctx_init(&cx);
    const struct ui_screen_options opt = {.width = w, .height = h};
    assert_int_equal(ui_screen_open(&cx, &opt, &s), QS_OK);
    return s;
}

static char *
drawn(struct ui_table *t, struct ui_screen *s)
{
    struct qs_str text;
    qs_str_init(&text);
    ui_clear(s);
    ui_table_draw(t, s, (struct ui_rect){0, 0, s->h, s->w}, true);
    ui_screen_print(s, &text);
    return text.s;
}

static void
draws_columns_in_the_room_there_is(void **state)
{
    struct ui_table *t = *state;
    struct ui_screen *s = grid(40, 4);
    char *text = drawn(t, s);
    assert_string_equal(text, " name      count wide\n"
                              " apple        30 apple\n"
                              " Banana        5 Banana\n"
                              " cherry      200 cherry\n");
    free(text);
    ui_screen_resize(s, 20, 3);
    text = drawn(t, s);
    assert_string_equal(text, " name      count\n"
                              " apple        30\n"
                              " Banana        5\n");
    free(text);
    ui_screen_resize(s, 10, 2);
    text = drawn(t, s);
    assert_string_equal(text, " name\n apple\n");
    free(text);
    ui_screen_close(s);
}

static void
the_cursor_stays_in_sight(void **state)
{
    struct ui_table *t = *state;
    struct ui_screen *s = grid(20, 3);
    ui_table_act(t, UI_ACT_LAST);
    char *text = drawn(t, s);
    assert_non_null(strstr(text, "elder"));
    assert_null(strstr(text, "apple"));
    free(text);
    ui_screen_close(s);
}

static void
wide_characters_keep_columns_in_place(void **state)
{
    struct ui_table *t = *state;
    struct ui_screen *s = grid(20, 7);
    if (!s->utf8) {
        ui_screen_close(s);
        skip();
    }
    char *text = drawn(t, s);
    assert_non_null(strstr(text, " 卷积层        7\n"));
    free(text);
    ui_screen_resize(s, 6, 7);
    text = drawn(t, s);
    if (!strstr(text, " 卷积…\n"))
        fail_msg("%s", text);
    free(text);
    ui_screen_close(s);
}

static void
every_size_can_be_drawn(void **state)
{
    struct ui_table *t = *state;
    struct ui_screen *s = grid(1, 1);
    for (int w = 1; w < 50; w++)
        for (int h = 1; h < 10; h++) {
            ui_screen_resize(s, w, h);
            assert_int_equal(s->w, w);
            assert_int_equal(s->h, h);
            char *text = drawn(t, s);
            assert_true(strlen(text) >= (size_t)h);
            free(text);
        }
    ui_screen_close(s);
}

static void
the_mouse_selects_sorts_and_scrolls(void **state)
{
    struct ui_table *t = *state;
    struct ui_screen *s = grid(40, 8);
    bool enter;
    free(drawn(t, s));
    assert_true(ui_table_mouse(t, &(struct ui_key){UI_KEY_CLICK, 3, 3}, &enter));
    assert_int_equal(ui_table_row(t), 2);
    assert_false(enter);
    assert_true(ui_table_mouse(t, &(struct ui_key){UI_KEY_DOUBLE, 3, 3}, &enter));
    assert_true(enter);
    assert_true(ui_table_mouse(t, &(struct ui_key){UI_KEY_CLICK, 12, 0}, &enter));
    assert_int_equal(t->sort, 1);
    t->cursor = 0;
    assert_true(ui_table_mouse(t, &(struct ui_key){UI_KEY_WHEEL_DOWN, 3, 3}, &enter));
    assert_int_equal(t->cursor, 3);
    assert_false(ui_table_mouse(t, &(struct ui_key){UI_KEY_CLICK, 3, 30}, &enter));
    ui_screen_close(s);
}

static int64_t *
numbers(int first, int step)
{
    int64_t *id = malloc(N * sizeof(*id));
    for (int i = 0; i < N; i++)
        id[i] = first + step * i;
    return id;
}

static void
rows_with_a_number_keep_mark_and_cursor(void **state)
{
    struct ui_table *t = *state;
    int n;
    ui_table_set_rows_by_id(t, numbers(10, 1), N);
    assert_true(ui_table_go(t, 2));
    ui_table_act(t, UI_ACT_MARK); /* 12, and on to 13 */
    ui_table_act(t, UI_ACT_MARK); /* 13, and on to 14 */
    ui_table_set_rows_by_id(t, numbers(17, -1), N);
    assert_int_equal(t->id[ui_table_row(t)], 14);
    int64_t *chosen = ui_table_chosen_ids(t, &n);
    assert_int_equal(n, 2);
    assert_int_equal(chosen[0] + chosen[1], 12 + 13);
    free(chosen);
    ui_table_set_rows_by_id(t, numbers(100, 1), N);
    assert_int_equal(t->n_marked, 0);
    assert_int_equal(t->cursor, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(rows_come_as_given),
        TEST(sorting_by_number_is_stable_and_turns_round_but_for_what_has_none),
        TEST(sorting_keeps_the_cursor_on_its_row),
        TEST(filters_match_any_cell),
        TEST(a_bad_pattern_is_refused_and_changes_nothing),
        TEST(search_goes_round_both_ways),
        TEST(marks_follow_rows_not_positions),
        TEST(with_no_mark_the_row_under_the_cursor_is_chosen),
        TEST(a_range_is_marked_from_either_end),
        TEST(moving_stops_at_the_ends),
        TEST(an_empty_table_takes_every_action),
        TEST(draws_columns_in_the_room_there_is),
        TEST(the_cursor_stays_in_sight),
        TEST(wide_characters_keep_columns_in_place),
        TEST(every_size_can_be_drawn),
        TEST(the_mouse_selects_sorts_and_scrolls),
        TEST(rows_with_a_number_keep_mark_and_cursor),
    };
#undef TEST
    if (!setlocale(LC_ALL, "C.UTF-8"))
        setlocale(LC_ALL, "");
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
