/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of tensors and threads that plans take turns in. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/lower.h"

struct qs_room *
qs_room_new(int threads)
{
    struct qs_room *r = qs_xcalloc(1, sizeof(*r));
    r->team = qs_team_new(threads);
    return r;
}

void
qs_room_free(struct qs_room *r)
{
    if (!r)
        return;
    for (int i = 0; i < r->n_part; i++)
        qs_room_free(r->part[i]);
    free(r->part);
    qs_team_free(r->team);
    free(r->memory);
    free(r);
}

int64_t
qs_room_bytes(const struct qs_room *r)
{
    int64_t bytes = r->floats * (int64_t)sizeof(float);
    for (int i = 0; i < r->n_part; i++)
        bytes += qs_room_bytes(r->part[i]);
    return bytes;
}

struct qs_room *
qs_room_part(struct qs_room *r, int i)
{
    while (r->n_part <= i) {
        r->part = qs_xrealloc(r->part, (size_t)(r->n_part + 1) * sizeof(struct qs_room *));
        r->part[r->n_part++] = qs_room_new(1);
    }
    return r->part[i];
}

/* ---- borders of zeros ---- */

/* Of one block, or of an image of bytes; an element has `size` bytes. */
static void
clear_border(const struct value *v, char *first, int64_t size, int zero)
{
    const int64_t side = v->halo_w * v->pixel * size, step = v->row * size;
    const int64_t top = v->halo_h * step + side;
    char *row = first;
    memset(first - top, zero, (size_t)top);
    for (int64_t y = 0; y + 1 < v->d[2]; y++, row += step)
        memset(row + step - 2 * side, zero, (size_t)(2 * side));
    memset(row + step - 2 * side, zero, (size_t)top);
}

void
qs_room_clear_halo(const struct value *v)
{
    const bool bytes = v->layout == BYTES;
    const int64_t size = bytes ? 1 : (int64_t)sizeof(float);
    if (v->layout == PLAIN || v->halo_h + v->halo_w == 0)
        return;
    for (int64_t i = 0; i < v->d[0]; i++)
        for (int b = 0; b < (bytes ? 1 : v->blocks); b++)
            clear_border(v, (char *)v->data + (i * v->image + b * v->block) * size, size,
                         bytes ? QK_I8_ZERO : 0);
}

/* ---- places ---- */

/* Aliases of inputs that the caller owns follow when they run. */
static void
place_values(struct qs_fast *f)
{
    for (int i = 0; i < f->n_value; i++) {
        struct value *v = &f->value[i];
        const struct value *whole = &f->value[qs_place_root(f, i)];
        if (!qs_place_has_memory(f, whole))
            continue;
        v->data = f->memory + whole->offset;
        if (v->alias >= 0)
            continue; /* dense: what it is an alias of has no halo */
        v->data += qs_place_first(v);
        v->halo_shared = whole->halo_shared;
    }
}

void
qs_room_enter(struct qs_fast *f)
{
    if (f->room->user == f)
        return;
    if (f->memory != f->room->memory) {
        f->memory = f->room->memory;
        place_values(f);
    }
    for (int i = 0; i < f->n_value; i++)
        if (qs_place_has_memory(f, &f->value[i]) && !f->value[i].halo_shared)
            qs_room_clear_halo(&f->value[i]);
    f->room->user = f;
}

enum qs_err
qs_room_reserve(struct qs_ctx *cx, struct qs_fast *f)
{
    struct qs_room *r = f->room;
    const int64_t floats = f->memory_floats + QS_ROOM_ALIGN;
    if (floats > r->floats) {
        free(r->memory);
        r->memory = NULL;
        r->user = NULL;
        r->floats = 0;
        const enum qs_err err = qs_floats_new(cx, floats, &r->memory);
        if (err)
            return err;
        memset(r->memory, 0, (size_t)floats * sizeof(float));
        r->floats = floats;
    }
    qs_room_enter(f);
    return QS_OK;
}
