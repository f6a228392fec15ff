/* SPDX-License-Identifier: Apache-2.0 */
/* Texts as code points: dictionaries of recognition models, greedy CTC decoding (PaddleOCR's
 * CTCLabelDecode), edit distance (RecMetric). */
#ifndef QS_DATA_TEXT_H
#define QS_DATA_TEXT_H

#include <stdbool.h>

#include "base/ctx.h"
#include "base/str.h"

bool qs_utf8_is_valid(const char *s, size_t n);

/* Class 0 is the blank; then the lines of the file, and a space when asked for. */
struct qs_dict {
    char **key; /* [n], key[0] is "" */
    int n;
    char *text; /* of the keys */
};
enum qs_err qs_dict_read(struct qs_ctx *cx, const char *path, bool use_space_char,
                         struct qs_dict *out) QS_MUST_CHECK;
void qs_dict_release(struct qs_dict *d);

/* The most probable class of each of `steps` rows [n_class], repetitions and blanks left out. No
 * class may lie beyond the dictionary. Appends to `out`. */
void qs_ctc_decode(const struct qs_dict *d, const float *prob, int64_t steps, int64_t n_class,
                   struct qs_str *out);

enum { QS_TEXT_MOST = 4096 }; /* code points of a label */
/* Compares without spaces: *equal, and the edit distance by the length of the longer text (0 when
 * both are empty). Both must be valid UTF-8. */
double qs_text_distance(const char *a, const char *b, bool *equal);

#endif
