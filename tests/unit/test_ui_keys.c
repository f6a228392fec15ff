/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ui/keys.h"

static void
keys_are_read_by_name(void **state)
{
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"j", 'j'},
        {"<Enter>", UI_KEY_ENTER},
        {"<C-r>", 0x12},
        {"<F1>", UI_KEY_F1},
        {"<F12>", UI_KEY_F1 + 11},
        {"<F13>", UI_KEY_NONE},
        {"<lt>", '<'},
        {"<", '<'},
        {"<Space>", ' '},
        {"<S-Tab>", UI_KEY_BACK_TAB},
        {"卷", 0x5377},
        {"<Nothing>", UI_KEY_NONE},
        {"<PageDown>", UI_KEY_PAGE_DOWN},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *text = cases[i].text;
        struct ui_key key;
        assert_int_equal(ui_key_parse(&text, &key), cases[i].code);
        if (cases[i].code != UI_KEY_NONE)
            assert_string_equal(text, "");
    }
}

static void
a_click_has_a_place(void **state)
{
    const char *text = "<Click:12,3>x";
    struct ui_key key;
    (void)state;
    assert_int_equal(ui_key_parse(&text, &key), UI_KEY_CLICK);
    assert_int_equal(key.x, 12);
    assert_int_equal(key.y, 3);
    assert_string_equal(text, "x");
}

/* Every key in the table can be read, and leads to its action where that works. */
static void
every_key_leads_to_its_action(void **state)
{
    (void)state;
    for (int a = 0; a < UI_N_ACTIONS; a++) {
        const char *keys = ui_actions[a].keys;
        while (*keys) {
            struct ui_key key;
            assert_int_not_equal(ui_key_parse(&keys, &key), UI_KEY_NONE);
            const unsigned where = ui_actions[a].where;
            for (int v = 0; v < UI_N_VIEWS; v++) {
                if (!(where & 1U << v))
                    continue;
                if (ui_action_of_key(key.code, 1U << v | UI_IN_LIST) != (enum ui_action)a)
                    fail_msg("a key of '%s' is taken by '%s' in view %d", ui_actions[a].name,
                             ui_actions[ui_action_of_key(key.code, 1U << v | UI_IN_LIST)].name, v);
            }
            while (*keys == ' ')
                keys++;
        }
    }
}

static void
actions_are_found_by_name_and_beginning(void **state)
{
    (void)state;
    for (int a = 0; a < UI_N_ACTIONS; a++)
        assert_int_equal(ui_action_find(ui_actions[a].name, ui_actions[a].where), a);
    assert_int_equal(ui_action_find("save-sc", UI_IN_ALL), UI_ACT_SAVE_SCREEN);
    assert_int_equal(ui_action_find("view-", UI_IN_ALL), UI_ACT_NONE);
    assert_int_equal(ui_action_find("skip", 1U << UI_VIEW_JOBS), UI_ACT_NONE);
    assert_int_equal(ui_action_find("", UI_IN_ALL), UI_ACT_NONE);
    assert_string_equal(ui_action_complete("save-screen", UI_IN_ALL, 0), "save-screen");
    assert_null(ui_action_complete("save-screen", UI_IN_ALL, 1));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_read_by_name),
        cmocka_unit_test(a_click_has_a_place),
        cmocka_unit_test(every_key_leads_to_its_action),
        cmocka_unit_test(actions_are_found_by_name_and_beginning),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
