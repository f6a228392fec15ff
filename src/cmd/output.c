/* SPDX-License-Identifier: Apache-2.0 */
/* What commands print: JSON documents and tables. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <wchar.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/cmd.h"

enum qs_err
qs_print_json(struct qs_ctx *cx, json_t *root)
{
    const int rc = json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    json_decref(root);
    putchar('\n');
    return rc == 0 ? QS_OK : qs_fail(cx, QS_ERR_IO, _("cannot write to standard output"));
}

json_t *
qs_json_real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *
qs_json_text(const char *s)
{
    json_t *j = json_string(s);
    if (j)
        return j;
    char *copy = qs_xstrdup(s); /* not UTF-8: keep what is ASCII */
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    j = json_string(copy);
    free(copy);
    return j;
}

json_t *
qs_json_dims(const int64_t *dims, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_integer(dims[i]));
    return list;
}

struct qs_table {
    int n_col, n, cap;
    const enum qs_align *align;
    char **cell; /* [n] row by row, the titles first */
};

struct qs_table *
qs_table_new(int n_col, const char *const *title, const enum qs_align *align)
{
    struct qs_table *t = qs_xcalloc(1, sizeof(*t));
    t->n_col = n_col;
    t->align = align;
    for (int i = 0; i < n_col; i++)
        qs_table_cell(t, "%s", title[i]);
    return t;
}

void
qs_table_cell(struct qs_table *t, const char *fmt, ...)
{
    va_list ap, again;
    if (t->n == t->cap)
        t->cell =
            qs_xrealloc(t->cell, (size_t)(t->cap = t->cap ? 2 * t->cap : 64) * sizeof(*t->cell));
    va_start(ap, fmt);
    va_copy(again, ap);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    char *s = qs_xmalloc((size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    for (char *p = s; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            *p = '?'; /* names come from files */
    t->cell[t->n++] = s;
}

void
qs_table_number(struct qs_table *t, const char *fmt, double v, const char *none)
{
    char text[64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof(text), fmt, v);
#pragma GCC diagnostic pop
    qs_table_cell(t, "%s", none && isnan(v) ? none : text);
}

/* Columns on a terminal; bytes when it is not valid text. */
static int
text_width(const char *s)
{
    wchar_t wide[512];
    const size_t n = mbstowcs(wide, s, QS_LEN(wide));
    const int w = n < QS_LEN(wide) ? wcswidth(wide, n) : -1;
    return w >= 0 ? w : (int)strlen(s);
}

/* Wrapped text */

int
qs_terminal_width(FILE *out)
{
    struct winsize size;
    return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* One character: its bytes, and its columns on a terminal. */
struct glyph {
    wchar_t c;
    size_t n;
    int columns;
};

static struct glyph
glyph_at(const char *s)
{
    mbstate_t state = {0};
    struct glyph g = {(unsigned char)*s, *s != '\0', *s != '\0'};
    wchar_t c;
    const size_t n = mbrtowc(&c, s, strlen(s), &state);
    if (n > 0 && n <= strlen(s))
        g = (struct glyph){c, n, wcwidth(c) > 0 ? wcwidth(c) : 0};
    return g;
}

/* Whether a line may end between two characters that no space separates. */
static bool
breaks_between(struct glyph a, struct glyph b)
{
    static const wchar_t opening[] = L"([\u201c\uff08\u300a\u300c";
    static const wchar_t closing[] =
        L",.;:!?)]\u201d\uff0c\u3002\uff1b\uff1a\u3001\uff09\u300b\u300d"
        L"\uff01\uff1f";
    return (a.columns == 2 || b.columns == 2) && !wcschr(opening, a.c) && !wcschr(closing, b.c);
}

/* Bytes of the piece at s that stays on one line; *columns: how wide it is. A list without spaces
 * that is wider than `room` ends after a comma. */
static size_t
unbroken(const char *s, int room, int *columns)
{
    struct glyph g = glyph_at(s);
    size_t n = 0, fits = 0;
    int fits_columns = 0;
    *columns = 0;
    while (g.n > 0) {
        const struct glyph next = glyph_at(s + n + g.n);
        n += g.n;
        *columns += g.columns;
        if (next.n == 0 || next.c == L' ' || breaks_between(g, next))
            break;
        if (g.c == L',' && *columns <= room) {
            fits = n;
            fits_columns = *columns;
        }
        g = next;
    }
    if (*columns <= room || fits == 0)
        return n;
    *columns = fits_columns;
    return fits;
}

void
qs_print_wrapped(FILE *out, const char *text, int column, int indent, int width)
{
    while (*text) {
        int spaces = (int)strspn(text, " "), columns;
        text += spaces;
        const size_t n = unbroken(text, width - indent, &columns);
        if (column > indent && column + spaces + columns > width) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
            spaces = 0;
        }
        fprintf(out, "%*s%.*s", spaces, "", (int)n, text);
        column += spaces + columns;
        text += n;
    }
}

/* Tables */

static void
print_csv_cell(const char *s, FILE *out)
{
    if (s[strcspn(s, ",\"")] == '\0') {
        fputs(s, out);
        return;
    }
    fputc('"', out);
    for (; *s; s++)
        fprintf(out, *s == '"' ? "\"\"" : "%c", *s);
    fputc('"', out);
}

static void
print_padded(const char *s, int width, enum qs_align align, bool last, FILE *out)
{
    const int pad = width - text_width(s);
    if (align == QS_RIGHT)
        fprintf(out, "%*s%s", pad, "", s);
    else
        fprintf(out, "%s%*s", s, last ? 0 : pad, "");
}

/* One row; no blanks at the end of its line. */
static void
print_row(char *const *cell, int n, const int *width, const enum qs_align *align, FILE *out)
{
    while (n > 1 && cell[n - 1][0] == '\0')
        n--;
    for (int i = 0; i < n; i++) {
        print_padded(cell[i], width[i], align[i], i == n - 1, out);
        fputs(i == n - 1 ? "\n" : "  ", out);
    }
}

static void
print_csv_row(char *const *cell, int n, FILE *out)
{
    for (int i = 0; i < n; i++) {
        print_csv_cell(cell[i], out);
        fputc(i == n - 1 ? '\n' : ',', out);
    }
}

void
qs_table_print(struct qs_table *t, FILE *out, bool csv)
{
    int *width = qs_xcalloc((size_t)t->n_col, sizeof(*width));
    for (int i = 0; i < t->n && !csv; i++) {
        const int w = text_width(t->cell[i]);
        if (w > width[i % t->n_col])
            width[i % t->n_col] = w;
    }
    for (int i = 0; i + t->n_col <= t->n; i += t->n_col)
        if (csv)
            print_csv_row(t->cell + i, t->n_col, out);
        else
            print_row(t->cell + i, t->n_col, width, t->align, out);
    for (int i = 0; i < t->n; i++)
        free(t->cell[i]);
    free(width);
    free(t->cell);
    free(t);
}
