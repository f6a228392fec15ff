/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The samples of a data file. Lists and labels are read and checked when it is opened; threads
 * (as many as the context's, up to 4) read and prepare the samples a few ahead of who asks for them
 * (4 for each thread and 4), who gets them in the order of the list.
 * Pictures that cannot be read are a warning each, and counted; it is an error when all are. A
 * dataset is used from one thread.
 */
#ifndef QS_DATA_DATASET_H
#define QS_DATA_DATASET_H

#include "data/boxes.h"
#include "data/config.h"
#include "data/text.h"
#include "model/step.h"

struct qs_truth {
    int64_t label;             /* classification, tensors; -1: none */
    const char *text;          /* ocr_rec; NULL: none */
    struct qs_text_area *area; /* ocr_det */
    int n_area;
};

struct qs_dataset {
    struct qs_data_config config;
    int64_t n;              /* samples in use */
    int64_t n_broken;       /* of those asked for so far since the start */
    const char **name;      /* [n] as written in the list; "#3" for tensors */
    struct qs_truth *truth; /* [n] */
    bool has_labels;
    struct qs_dict dict; /* ocr_rec */
    struct qs_dataset_reader *reader;
    struct qs_arena *arena;
};

enum { QS_SAMPLE_INPUTS_MOST = 16 };

struct qs_sample {
    int64_t i; /* which: index into name and truth */
    int n_input;
    struct qs_value input[QS_SAMPLE_INPUTS_MOST];  /* first dimension 1 */
    const char *input_name[QS_SAMPLE_INPUTS_MOST]; /* NULL: the only input of the model */
    int image_w, image_h;                          /* before resizing; 0: no picture */
};

struct qs_dataset_options {
    int64_t samples;    /* use the first so many; 0: all */
    int64_t max_pixels; /* of a picture; 0: QS_IMAGE_PIXELS_MOST */
};

enum qs_err qs_dataset_open(struct qs_ctx *cx, const char *path,
                            const struct qs_dataset_options *opt,
                            struct qs_dataset **out) QS_MUST_CHECK;
void qs_dataset_close(struct qs_dataset *d); /* NULL is fine */

/* The next sample that can be read, NULL at the end; free it with qs_sample_free. */
enum qs_err qs_dataset_next(struct qs_ctx *cx, struct qs_dataset *d,
                            struct qs_sample **out) QS_MUST_CHECK;
void qs_sample_free(struct qs_sample *s);
/* Back to the first sample. */
void qs_dataset_rewind(struct qs_dataset *d);
/* The next is sample i of the list; those before it are not read. */
void qs_dataset_seek(struct qs_dataset *d, int64_t i);

#endif
