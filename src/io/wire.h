/* SPDX-License-Identifier: Apache-2.0 */
/* What reader and writer of protobuf messages share. */
#ifndef QS_IO_WIRE_H
#define QS_IO_WIRE_H

#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "io/framework.pb-c.h"
#include "model/graph.h"

/* Allocates messages in an arena; every block is followed by a NUL, so that `bytes` fields can be
 * used as strings. Freeing does nothing. */
ProtobufCAllocator qs_wire_allocator(struct qs_arena *a);

/* The same with a bound, for messages of which nobody knows what they are: two bytes can become a
 * hundred. What is over the bound fails, and `is_over` is then set. */
struct qs_wire_memory {
    struct qs_arena *arena;
    size_t left;
    bool is_over;
};
ProtobufCAllocator qs_wire_bounded(struct qs_wire_memory *memory);

/* Unknown fields of a message as encoded bytes ({NULL, 0} when there are none), and back. */
struct qs_bytes qs_wire_keep_unknown(struct qs_arena *a, const ProtobufCMessage *msg);
void qs_wire_put_unknown(struct qs_arena *a, struct qs_bytes raw, ProtobufCMessage *msg);

/* A whole message, encoded. */
struct qs_bytes qs_wire_keep(struct qs_arena *a, const ProtobufCMessage *msg);

/* Fills `m` with what a message describes (paddle_read.c); nothing of the message is kept. */
enum qs_err qs_program_take(struct qs_ctx *cx, struct qs_model *m,
                            const PaddlePb__ProgramDesc *p) QS_MUST_CHECK;

#endif
