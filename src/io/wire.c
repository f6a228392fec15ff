/* SPDX-License-Identifier: Apache-2.0 */
#include "io/wire.h"

#include <string.h>

static void *
arena_alloc(void *arg, size_t n)
{
    char *p = qs_arena_alloc(arg, n + 1);
    p[n] = '\0';
    return p;
}

static void
arena_free(void *arg, void *p)
{
    (void)arg;
    (void)p;
}

ProtobufCAllocator
qs_wire_allocator(struct qs_arena *a)
{
    return (ProtobufCAllocator){arena_alloc, arena_free, a};
}

struct qs_bytes
qs_wire_keep(struct qs_arena *a, const ProtobufCMessage *msg)
{
    const size_t n = protobuf_c_message_get_packed_size(msg);
    uint8_t *p = qs_arena_alloc(a, n + 1);
    protobuf_c_message_pack(msg, p);
    p[n] = '\0';
    return (struct qs_bytes){(const char *)p, n};
}

struct qs_bytes
qs_wire_keep_unknown(struct qs_arena *a, const ProtobufCMessage *msg)
{
    if (msg->n_unknown_fields == 0)
        return (struct qs_bytes){0};
    /* a message with nothing but unknown fields packs to just these */
    static const ProtobufCMessageDescriptor nothing = {
        .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
        .name = "nothing",
        .sizeof_message = sizeof(ProtobufCMessage),
    };
    ProtobufCMessage only = PROTOBUF_C_MESSAGE_INIT(&nothing);
    only.n_unknown_fields = msg->n_unknown_fields;
    only.unknown_fields = msg->unknown_fields;
    return qs_wire_keep(a, &only);
}

static const uint8_t *
get_varint(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
    *v = 0;
    for (int shift = 0; p < end && shift < 64; shift += 7) {
        const uint8_t byte = *p++;
        *v |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80))
            return p;
    }
    return NULL;
}

/* End of the value at p; NULL when it is not whole. */
static const uint8_t *
skip_value(const uint8_t *p, const uint8_t *end, unsigned wire_type)
{
    uint64_t n;
    switch (wire_type) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return get_varint(p, end, &n);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        return end - p >= 8 ? p + 8 : NULL;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        p = get_varint(p, end, &n);
        return p && n <= (uint64_t)(end - p) ? p + n : NULL;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        return end - p >= 4 ? p + 4 : NULL;
    default:
        return NULL;
    }
}

void
qs_wire_put_unknown(struct qs_arena *a, struct qs_bytes raw, ProtobufCMessage *msg)
{
    if (!raw.p)
        return;
    ProtobufCMessageUnknownField *field = NULL;
    int n = 0, cap = 0;
    const uint8_t *p = (const uint8_t *)raw.p, *end = p + raw.n;
    while (p < end) {
        uint64_t key;
        const uint8_t *value = get_varint(p, end, &key);
        const uint8_t *next = value ? skip_value(value, end, key & 7) : NULL;
        if (!next)
            break; /* cannot happen: the reader kept whole fields */
        ProtobufCMessageUnknownField *f =
            qs_arena_grow(a, (void **)&field, n++, &cap, sizeof(*field));
        f->tag = (uint32_t)(key >> 3);
        f->wire_type = (ProtobufCWireType)(key & 7);
        f->len = (size_t)(next - value);
        f->data = (uint8_t *)value;
        p = next;
    }
    msg->n_unknown_fields = (unsigned)n;
    msg->unknown_fields = field;
}
