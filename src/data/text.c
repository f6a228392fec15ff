/* SPDX-License-Identifier: Apache-2.0 */
#include "data/text.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/i18n.h"
#include "base/mem.h"

/* The code point at *p, which moves on; -1 when it is not valid UTF-8 (or NUL). */
static int32_t
utf8_next(const char **p, const char *end)
{
    static const int32_t least[] = {1, 0x80, 0x800, 0x10000};
    const unsigned char first = (unsigned char)**p;
    const int more = first < 0x80 ? 0 : first >> 5 == 6 ? 1 : first >> 4 == 14 ? 2 : 3;
    int32_t c = more == 0 ? first : first & (0x3f >> more);
    if ((more == 3 && first >> 3 != 30) || end - *p <= more)
        return -1;
    for (int i = 1; i <= more; i++) {
        const unsigned char next = (unsigned char)(*p)[i];
        if (next >> 6 != 2)
            return -1;
        c = c << 6 | (next & 0x3f);
    }
    if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return -1;
    *p += more + 1;
    return c;
}

bool
qs_utf8_is_valid(const char *s, size_t n)
{
    const char *end = s + n;
    while (s < end)
        if (utf8_next(&s, end) < 0)
            return false;
    return true;
}

/* --- dictionary ------------------------------------------------------------------------------- */

static void
add_key(struct qs_dict *d, int *cap, char *key)
{
    if (d->n == *cap) {
        *cap = *cap ? 2 * *cap : 256;
        d->key = qs_xrealloc(d->key, (size_t)*cap * sizeof(*d->key));
    }
    d->key[d->n++] = key;
}

enum qs_err
qs_dict_read(struct qs_ctx *cx, const char *path, bool use_space_char, struct qs_dict *out)
{
    enum { MOST = 16 << 20 };
    static char blank[] = "", space[] = " ";
    size_t n = 0;
    int cap = 0;
    *out = (struct qs_dict){0};
    enum qs_err err = qs_read_text(cx, path, _("dictionary"), MOST, &out->text, &n);
    if (err)
        return err;
    if (!qs_utf8_is_valid(out->text, n)) {
        qs_dict_release(out);
        return qs_fail(cx, QS_ERR_FORMAT, _("cannot read dictionary '%s': it is not UTF-8"), path);
    }
    add_key(out, &cap, blank);
    char *s = strncmp(out->text, "\xef\xbb\xbf", 3) == 0 ? out->text + 3 : out->text;
    while (*s) {
        char *line = s;
        s += strcspn(s, "\n");
        if (s > line && s[-1] == '\r')
            s[-1] = '\0';
        if (*s)
            *s++ = '\0';
        add_key(out, &cap, line);
    }
    if (out->n == 1)
        err = qs_fail(cx, QS_ERR_FORMAT, _("dictionary '%s' is empty"), path);
    if (use_space_char)
        add_key(out, &cap, space);
    if (err)
        qs_dict_release(out);
    return err;
}

void
qs_dict_release(struct qs_dict *d)
{
    free(d->key);
    free(d->text);
    *d = (struct qs_dict){0};
}

void
qs_ctc_decode(const struct qs_dict *d, const float *prob, int64_t steps, int64_t n_class,
              struct qs_str *out)
{
    int64_t last = -1;
    for (int64_t t = 0; t < steps; t++, prob += n_class) {
        int64_t best = 0;
        for (int64_t c = 1; c < n_class; c++)
            if (prob[c] > prob[best])
                best = c;
        if (best != last && best > 0 && best < d->n)
            qs_str_add(out, d->key[best]);
        last = best;
    }
}

/* --- distance --------------------------------------------------------------------------------- */

static int
without_spaces(const char *s, int32_t **out)
{
    const char *end = s + strlen(s);
    int n = 0;
    *out = qs_xcalloc((size_t)(end - s) + 1, sizeof(**out));
    while (s < end) {
        const int32_t c = utf8_next(&s, end);
        if (c < 0)
            break;
        if (c != ' ')
            (*out)[n++] = c;
    }
    return n;
}

/* Levenshtein, one row at a time: cost[j] is the distance of the first i of a to the first j of
 * b. */
static int
edits(const int32_t *a, int n, const int32_t *b, int m)
{
    int *cost = qs_xcalloc((size_t)m + 1, sizeof(*cost));
    for (int j = 0; j <= m; j++)
        cost[j] = j;
    for (int i = 1; i <= n; i++) {
        int diagonal = cost[0];
        cost[0] = i;
        for (int j = 1; j <= m; j++) {
            int least = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = cost[j];
            least = least < cost[j] + 1 ? least : cost[j] + 1;
            cost[j] = least < cost[j - 1] + 1 ? least : cost[j - 1] + 1;
        }
    }
    const int out = cost[m];
    free(cost);
    return out;
}

double
qs_text_distance(const char *a, const char *b, bool *equal)
{
    int32_t *p = NULL, *q = NULL;
    const int n = without_spaces(a, &p), m = without_spaces(b, &q), longer = n > m ? n : m;
    const int distance = edits(p, n, q, m);
    free(p);
    free(q);
    *equal = distance == 0;
    return longer ? (double)distance / longer : 0;
}
