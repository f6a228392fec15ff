/* SPDX-License-Identifier: Apache-2.0 */
/* Between dataset.c (samples) and list.c (lists and labels). */
#ifndef QS_DATA_DATASET_INTERNAL_H
#define QS_DATA_DATASET_INTERNAL_H

#include "base/arena.h"
#include "data/dataset.h"
#include "io/npy.h"

struct qs_dataset_reader {
    struct qs_npy *array; /* tensors: [config.n_array] */
    int64_t max_pixels;
    int64_t first; /* sample to begin with */
    struct qs_dataset_queue *queue; /* NULL: not started */
};

/* Fills n, name, truth, has_labels. */
enum qs_err qs_list_read(struct qs_ctx *cx, struct qs_dataset *d, int64_t samples) QS_MUST_CHECK;
/* The same from memory, for type and name of d->config. */
enum qs_err qs_list_parse(struct qs_ctx *cx, struct qs_dataset *d, char *text, size_t n,
                          int64_t samples) QS_MUST_CHECK;
enum qs_err qs_arrays_open(struct qs_ctx *cx, struct qs_dataset *d, int64_t samples) QS_MUST_CHECK;

#endif
