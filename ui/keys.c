/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"

#define IN(view) (1 << UI_VIEW_##view)
#define IN_LIST UI_IN_LIST
#define IN_ALL UI_IN_ALL
#define IN_DRAWN UI_IN_DRAWN
#define IN_COMMANDS UI_IN_COMMANDS

const struct ui_action_row ui_actions[UI_N_ACTIONS] = {
#define ACTION(id, name, keys, where, arg, hint, help) {name, keys, where, arg, hint, help},
#include "ui/keys.inc"
#undef ACTION
#define VIEW(id, name, keys, title) {"view-" #name, keys, IN_ALL, NULL, NULL, title},
#include "ui/views.inc"
#undef VIEW
};

bool
ui_takes_path(enum ui_action act)
{
    static const char *const word[] = {"DATA", "FILE", "FOLDER", "MODEL"};
    const char *arg = ui_actions[act].arg;
    for (size_t i = 0; arg && i < QS_LEN(word); i++)
        if (strstr(arg, word[i]))
            return true;
    return false;
}

static const struct {
    const char *name;
    int code;
} key_name[] = {
    {"Enter", UI_KEY_ENTER},
    {"Esc", UI_KEY_ESC},
    {"Tab", UI_KEY_TAB},
    {"S-Tab", UI_KEY_BACK_TAB},
    {"Space", ' '},
    {"lt", '<'},
    {"Backspace", UI_KEY_BACKSPACE},
    {"Up", UI_KEY_UP},
    {"Down", UI_KEY_DOWN},
    {"Left", UI_KEY_LEFT},
    {"Right", UI_KEY_RIGHT},
    {"PageUp", UI_KEY_PAGE_UP},
    {"PageDown", UI_KEY_PAGE_DOWN},
    {"Home", UI_KEY_HOME},
    {"End", UI_KEY_END},
    {"Delete", UI_KEY_DELETE},
    {"Insert", UI_KEY_INSERT},
    {"Click", UI_KEY_CLICK},
    {"Double", UI_KEY_DOUBLE},
    {"WheelUp", UI_KEY_WHEEL_UP},
    {"WheelDown", UI_KEY_WHEEL_DOWN},
    {"Resize", UI_KEY_RESIZE},
};

static int
parse_name(const char *name, size_t n)
{
    if (n == 3 && name[0] == 'C' && name[1] == '-')
        return name[2] & 0x1F;
    if (n >= 2 && n <= 3 && name[0] == 'F') {
        const int f = atoi(name + 1);
        return f >= 1 && f <= 12 ? UI_KEY_F1 + f - 1 : UI_KEY_NONE;
    }
    for (size_t i = 0; i < QS_LEN(key_name); i++)
        if (strlen(key_name[i].name) == n && memcmp(key_name[i].name, name, n) == 0)
            return key_name[i].code;
    return UI_KEY_NONE;
}

static int
parse_char(const char **text)
{
    const unsigned char *p = (const unsigned char *)*text;
    int more = p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 1 : p[0] < 0xF0 ? 2 : p[0] < 0xF5 ? 3 : 0;
    int c = more ? p[0] & (0x3F >> more) : p[0];
    *text += 1;
    for (int i = 1; i <= more && (p[i] & 0xC0) == 0x80; i++) {
        c = c << 6 | (p[i] & 0x3F);
        *text += 1;
    }
    return c;
}

int
ui_key_parse(const char **text, struct ui_key *key)
{
    *key = (struct ui_key){.code = UI_KEY_NONE};
    const char *end = **text == '<' ? strchr(*text + 1, '>') : NULL;
    if (!end || end == *text + 1) {
        key->code = parse_char(text);
        return key->code;
    }
    const char *name = *text + 1;
    size_t n = (size_t)(end - name);
    const char *colon = memchr(name, ':', n);
    if (colon) {
        n = (size_t)(colon - name);
        if (sscanf(colon + 1, "%d%*[,x]%d", &key->x, &key->y) != 2)
            return UI_KEY_NONE;
    }
    *text = end + 1;
    key->code = parse_name(name, n);
    return key->code;
}

const char *
ui_key_name(int key, char *out, size_t cap)
{
    for (size_t i = 0; i < QS_LEN(key_name); i++)
        if (key_name[i].code == key && key != '<') {
            snprintf(out, cap, "%s", key_name[i].name);
            return out;
        }
    if (key >= UI_KEY_F1)
        snprintf(out, cap, "F%d", key - UI_KEY_F1 + 1);
    else if (key >= 0 && key < 0x20)
        snprintf(out, cap, "^%c", key + '@');
    else
        snprintf(out, cap, "%c", key < 0x7F ? key : '?');
    return out;
}

static bool
has_key(const char *keys, int key)
{
    struct ui_key k;
    while (*keys) {
        if (ui_key_parse(&keys, &k) == key)
            return true;
        while (*keys == ' ')
            keys++;
    }
    return false;
}

/* Rows of a form of the view first, then those of the view, of lists, and the rest. */
static enum ui_action
find_key(int key, unsigned bits)
{
    for (int i = 0; i < UI_N_ACTIONS; i++)
        if ((ui_actions[i].where & bits) && has_key(ui_actions[i].keys, key))
            return (enum ui_action)i;
    return UI_ACT_NONE;
}

enum ui_action
ui_action_of_key(int key, unsigned where)
{
    const unsigned views = (1U << UI_N_VIEWS) - 1;
    enum ui_action act = find_key(key, where & UI_IN_DRAWN);
    if (act == UI_ACT_NONE)
        act = find_key(key, where & views);
    if (act == UI_ACT_NONE)
        act = find_key(key, where & UI_IN_LIST);
    if (act == UI_ACT_NONE)
        act = find_key(key, UI_IN_ALL);
    return act;
}

const char *
ui_action_complete(const char *prefix, unsigned where, int i)
{
    for (int a = 0; a < UI_N_ACTIONS; a++)
        if ((ui_actions[a].where & (where | UI_IN_ALL | UI_IN_COMMANDS)) &&
            strncmp(ui_actions[a].name, prefix, strlen(prefix)) == 0 && i-- == 0)
            return ui_actions[a].name;
    return NULL;
}

enum ui_action
ui_action_find(const char *name, unsigned where)
{
    enum ui_action found = UI_ACT_NONE;
    int n = 0;
    for (int a = 0; a < UI_N_ACTIONS; a++) {
        if (!(ui_actions[a].where & (where | UI_IN_ALL | UI_IN_COMMANDS)))
            continue;
        if (strcmp(ui_actions[a].name, name) == 0)
            return (enum ui_action)a;
        if (*name && strncmp(ui_actions[a].name, name, strlen(name)) == 0) {
            found = (enum ui_action)a;
            n++;
        }
    }
    return n == 1 ? found : UI_ACT_NONE;
}

const char *
ui_action_first_key(enum ui_action act, char *out, size_t cap)
{
    struct ui_key k;
    const char *keys = ui_actions[act].keys;
    if (!*keys)
        return "";
    return ui_key_name(ui_key_parse(&keys, &k), out, cap);
}
