/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A data file: what the samples are, where they lie, and how they become the input of a model.
 * Defaults are those of PaddleClas and PaddleOCR for the type (see qslim-data(5)).
 */
#ifndef QS_DATA_CONFIG_H
#define QS_DATA_CONFIG_H

#include "io/yaml.h"

enum qs_data_type { QS_DATA_CLASSIFICATION, QS_DATA_OCR_REC, QS_DATA_OCR_DET, QS_DATA_TENSORS };

enum { QS_COLOR_RGB, QS_COLOR_BGR };
enum { QS_LIMIT_MAX, QS_LIMIT_MIN };

struct qs_preprocess {
    int color;                     /* order of the channels of the input */
    int resize_short;              /* classification: the shorter side becomes this; 0: not */
    int size[2];                   /* classification: width and height, instead; 0: not */
    int crop;                      /* classification: side of the middle part; 0: all */
    double scale, mean[3], std[3]; /* (byte * scale - mean) / std, in the order of color */
    int shape[3];                  /* ocr_rec: channels (3), height, least width */
    int limit_side_len;            /* ocr_det */
    int limit_type;                /* ocr_det: the longer side at most, or the shorter at least */
};

struct qs_postprocess { /* ocr_det, see boxes.h */
    double thresh, box_thresh, unclip_ratio;
    int max_candidates;
};

struct qs_data_array { /* tensors */
    char *input;       /* name of an input; NULL: the only one */
    char *path;
};

struct qs_data_config {
    char *path;                        /* of the data file */
    int type;                          /* enum qs_data_type */
    char *list, *root, *dict, *labels; /* paths; NULL: none */
    char *input;                       /* NULL: the only input */
    bool use_space_char;
    struct qs_preprocess pre;
    struct qs_postprocess post;
    struct qs_data_array *array; /* tensors: [n_array] */
    int n_array;
};

/* Reads and checks a data file; paths in it are relative to it, and are so no more in `out`. */
enum qs_err qs_data_config_read(struct qs_ctx *cx, const char *path,
                                struct qs_data_config *out) QS_MUST_CHECK;
/* The same from memory, as if the file stood at `path`. */
enum qs_err qs_data_config_parse(struct qs_ctx *cx, const char *text, size_t n, const char *path,
                                 struct qs_data_config *out) QS_MUST_CHECK;
void qs_data_config_release(struct qs_data_config *c);

/* `name` as seen from `folder`, malloc. */
char *qs_path_join(const char *folder, const char *name);

#endif
