/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thresholds of Paddle's calibrators for calib.py:
 *     calib_raw N_BATCH PREFIX ...
 * reads the batches PREFIX.0.npy ... of each activation and writes a line for each format:
 * PREFIX, 0 (fakequant) or 1 (qdq), the thresholds in the order of algo.inc.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/npy.h"
#include "model/calib.h"

static int
add_batch(struct qs_ctx *cx, struct qs_observer *o, const char *prefix, int batch)
{
    char path[4096];
    struct qs_npy npy;
    snprintf(path, sizeof(path), "%s.%d.npy", prefix, batch);
    if (qs_npy_read(cx, path, &npy) != QS_OK)
        return 1;
    struct qs_value v = {.dtype = npy.dtype, .n = npy.n, .count = npy.count, .buf = npy.buf};
    memcpy(v.d, npy.d, sizeof(v.d));
    v.data = npy.buf->data;
    const int failed = qs_observer_add(cx, o, &v) != QS_OK;
    qs_npy_release(&npy);
    return failed;
}

static int
calibrate(struct qs_ctx *cx, const char *prefix, int n_batch, bool qdq)
{
    const struct qs_calib_options opt = {
        .bits = 8, .hist_percent = 0.9999, .paddle = true, .qdq = qdq};
    struct qs_observer *o = qs_observer_new(&opt);
    struct qs_observed seen;
    int failed = 0;
    do
        for (int i = 0; i < n_batch && !failed; i++)
            failed = add_batch(cx, o, prefix, i);
    while (!failed && qs_observer_again(o));
    qs_observer_result(o, &seen);
    printf("%s %d", prefix, qdq);
    for (int i = 0; i < QS_N_ALGO; i++)
        printf(" %.9g", seen.threshold[i]);
    putchar('\n');
    qs_observer_free(o);
    return failed;
}

int
main(int argc, char **argv)
{
    struct qs_ctx cx;
    int failed = argc < 3;
    qs_ctx_init(&cx);
    for (int i = 2; i < argc && !failed; i++)
        failed = calibrate(&cx, argv[i], atoi(argv[1]), false) ||
                 calibrate(&cx, argv[i], atoi(argv[1]), true);
    if (failed)
        fprintf(stderr, "calib_raw: %s\n", qs_message(&cx));
    return failed;
}
