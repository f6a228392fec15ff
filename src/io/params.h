/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the parameter stream (all little-endian):
 *     u32 0 | u64 levels | levels x { u64 bytes, data } | u32 0 | i32 n | TensorDesc[n] | data
 * after phi/core/framework/dense_tensor_tostream.cc and lod_tensor.cc of Paddle.
 */
#ifndef QS_IO_PARAMS_H
#define QS_IO_PARAMS_H

#include "model/graph.h"

/* Reads the record at *offset of `b` into `t` (dims in the arena; t->buf is borrowed, not
 * counted) and moves *offset behind it. */
enum qs_err qs_record_read(struct qs_ctx *cx, struct qs_arena *arena, struct qs_buf *b,
                           size_t *offset, struct qs_tensor *t) QS_MUST_CHECK;

/* Encodes the header of a record (everything before the data); returns its length, at most
 * QS_RECORD_HEADER_MOST for ranks up to QS_RECORD_RANK_MOST. */
enum { QS_RECORD_RANK_MOST = 64, QS_RECORD_HEADER_MOST = 32 + 11 * (QS_RECORD_RANK_MOST + 1) };
size_t qs_record_header(const struct qs_tensor *t, uint8_t out[QS_RECORD_HEADER_MOST]);

#endif
