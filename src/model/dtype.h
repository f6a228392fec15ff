/* SPDX-License-Identifier: Apache-2.0 */
/* Element types, by Paddle's numbers (framework.proto, VarType.Type). The same enum of Paddle
 * also numbers containers; those are enum qs_container. */
#ifndef QS_MODEL_DTYPE_H
#define QS_MODEL_DTYPE_H

#include <stdbool.h>
#include <stdint.h>

enum qs_dtype {
#define ROW(name, number, bytes, is_float) QS_DTYPE_##name = number,
#include "model/dtype.inc"
#undef ROW
};

enum qs_container {
    QS_LOD_TENSOR = 7,
    QS_SELECTED_ROWS = 8,
    QS_FEED_MINIBATCH = 9,
    QS_FETCH_LIST = 10,
    QS_STEP_SCOPES = 11,
    QS_LOD_TENSOR_ARRAY = 13,
    QS_READER = 15,
    QS_RAW = 17,
};

/* "float32"; "type 99" style names do not exist: NULL for a number that is no element type. */
const char *qs_dtype_name(int32_t dtype);
/* The number of a name; -1 when there is none. */
int32_t qs_dtype_parse(const char *name);
/* Bytes of an element; 0 when `dtype` is no element type. */
int qs_dtype_bytes(int32_t dtype);
bool qs_dtype_is_float(int32_t dtype);

#endif
