/* SPDX-License-Identifier: Apache-2.0 */
/* Text in the cells of the screen, and the screen as text. */
#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/file.h"
#include "ui/screen.h"

/* One character of UTF-8; what is none is '?', one byte long. */
static wchar_t
decode(const char **text)
{
    static const unsigned least[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)*text;
    const int more = p[0] < 0x80 ? 0 : p[0] < 0xC2 ? -1 : p[0] < 0xE0 ? 1 : p[0] < 0xF0 ? 2 : 3;
    *text += 1;
    if (more <= 0 || p[0] > 0xF4)
        return more == 0 ? (wchar_t)p[0] : L'?';
    unsigned c = p[0] & (0x3FU >> more);
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return L'?';
        c = c << 6 | (p[i] & 0x3F);
    }
    if (c < least[more] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
        return L'?';
    *text += more;
    return (wchar_t)c;
}

/* The next character that can be shown and its columns. */
static wchar_t
next_char(const char **text, int *columns_used)
{
    wchar_t c = decode(text);
    int w = wcwidth(c);
    if (c < 0x20 || w < 0 || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069)) {
        c = L'?';
        w = 1;
    }
    *columns_used = w;
    return c;
}

int
ui_width(const char *text)
{
    int total = 0, w;
    while (*text) {
        next_char(&text, &w);
        total += w;
    }
    return total;
}

int
ui_put(struct ui_screen *s, int y, int x, int w, enum ui_item item, const char *text)
{
    enum { LONGEST = 1024 };
    wchar_t line[LONGEST + 2];
    if (y < 0 || y >= s->h || x < 0 || x >= s->w || w <= 0)
        return 0;
    if (w > s->w - x)
        w = s->w - x;
    int n = 0, used = 0, cut_n = 0, cut_used = 0, cw;
    while (*text && n < LONGEST) {
        const char *next = text;
        const wchar_t c = next_char(&next, &cw);
        if (used + cw > w)
            break;
        text = next;
        if (cw == 0 && n == 0)
            continue;
        line[n++] = c;
        used += cw;
        if (used < w) {
            cut_n = n;
            cut_used = used;
        }
    }
    if (*text) { /* it does not fit */
        n = cut_n;
        used = cut_used;
        line[n++] = s->utf8 ? L'\u2026' : L'~';
        used++;
    }
    ui_screen_set_style(s, item);
    mvaddnwstr(y, x, line, n);
    return used;
}

int
ui_putf(struct ui_screen *s, int y, int x, int w, enum ui_item item, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    return ui_put(s, y, x, w, item, line);
}

void
ui_put_char(struct ui_screen *s, int y, int x, int n, enum ui_item item, unsigned wide, char plain)
{
    if (y < 0 || y >= s->h || x < 0)
        return;
    if (n > s->w - x)
        n = s->w - x;
    const wchar_t c = s->utf8 ? (wchar_t)wide : (wchar_t)plain;
    ui_screen_set_style(s, item);
    for (int i = 0; i < n; i++)
        mvaddnwstr(y, x + i, &c, 1);
}

void
ui_put_cell(struct ui_screen *s, int y, int x, int w, enum ui_item item, bool right,
            const char *text)
{
    const int need = right ? ui_width(text) : 0;
    const int blank = right && need < w ? w - need : 0;
    ui_put_char(s, y, x, blank, item, ' ', ' ');
    const int used = blank + ui_put(s, y, x + blank, w - blank, item, text);
    ui_put_char(s, y, x + used, w - used, item, ' ', ' ');
}

/* Bytes of `text` that fit into `w` columns, preferably up to a blank. */
static size_t
break_line(const char *text, int w)
{
    const char *p = text, *blank = NULL;
    int used = 0, cw;
    while (*p && *p != '\n') {
        const char *at = p;
        next_char(&p, &cw);
        if (used + cw > w) {
            p = at;
            break;
        }
        used += cw;
        if (*at == ' ')
            blank = at;
    }
    if (!*p || *p == '\n' || *p == ' ' || !blank)
        return p == text ? strlen(text) : (size_t)(p - text);
    return (size_t)(blank - text);
}

int
ui_put_wrapped(struct ui_screen *s, struct ui_rect r, enum ui_item item, const char *text)
{
    int rows = 0;
    while (*text && r.w > 0) {
        const size_t n = break_line(text, r.w);
        if (s && rows < r.h) {
            char *line = strndup(text, n);
            ui_put(s, r.y + rows, r.x, r.w, item, line ? line : "");
            free(line);
        }
        rows++;
        text += n;
        if (*text == '\n')
            text++;
        else
            while (*text == ' ')
                text++;
    }
    return rows;
}

void
ui_put_rule(struct ui_screen *s, int y, int x, int w, const char *title, bool focus)
{
    ui_put_char(s, y, x, w, UI_LINE, 0x2500, '-');
    if (!title || w < 6)
        return;
    ui_put(s, y, x + 2, 1, focus ? UI_TITLE : UI_DIM, focus ? ">" : " ");
    const int used = ui_put(s, y, x + 3, w - 5, focus ? UI_TITLE : UI_STRONG, title);
    ui_put(s, y, x + 3 + used, 1, UI_TEXT, " ");
}

static void
print_row(struct ui_screen *s, int y, struct qs_str *out)
{
    const size_t start = out->n;
    for (int x = 0; x < s->w;) {
        cchar_t cell;
        wchar_t wc[CCHARW_MAX + 1] = {0};
        attr_t attr;
        short pair;
        mvin_wch(y, x, &cell);
        if (getcchar(&cell, wc, &attr, &pair, NULL) != OK)
            wc[0] = L' ';
        char bytes[MB_LEN_MAX + 1];
        mbstate_t state = {0};
        int columns_used = wcwidth(wc[0]);
        for (int i = 0; wc[i]; i++) {
            const size_t n = wcrtomb(bytes, wc[i], &state);
            if (n != (size_t)-1)
                qs_str_addn(out, bytes, n);
        }
        x += columns_used > 1 ? columns_used : 1;
    }
    while (out->n > start && out->s[out->n - 1] == ' ')
        out->n--;
    out->s[out->n] = '\0';
    qs_str_add(out, "\n");
}

void
ui_screen_print(struct ui_screen *s, struct qs_str *out)
{
    for (int y = 0; y < s->h; y++)
        print_row(s, y, out);
}

enum qs_err
ui_screen_save(struct qs_ctx *cx, struct ui_screen *s, const char *path)
{
    struct qs_str text;
    struct qs_writer *w = NULL;
    qs_str_init(&text);
    ui_screen_print(s, &text);
    enum qs_err err = qs_writer_open(cx, path, 1, &w);
    if (!err)
        err = qs_writer_put(cx, w, text.s, text.n);
    if (!err)
        err = qs_writer_finish(cx, w);
    if (!err)
        err = qs_writer_commit(cx, w, NULL);
    qs_writer_free(w);
    qs_str_release(&text);
    return err;
}
