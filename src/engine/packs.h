/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packed weights, kept under what they were made from, so that plans for other shapes and plans of
 * other threads find them. A pack lives as long as somebody holds it. Functions may be called from
 * any thread.
 */
#ifndef QS_ENGINE_PACKS_H
#define QS_ENGINE_PACKS_H

#include "engine/fast.h"

/* All that a pack depends on; pointers are compared by what they point to, but for `weight`
 * and `integers`. */
struct qs_pack_key {
    const struct qs_tensor *weight;
    const struct qs_buf *integers; /* of the weight; NULL: floats */
    int form;                      /* of the user's choice */
    int kh, kw, vector;            /* vector: lanes of the kernel */
    int64_t oc, ic;
    const int32_t *lanes; /* [n_lanes] channels of each block */
    const double *scale;  /* [n_scale] */
    const double *shift;  /* [n_scale] */
    int64_t n_lanes, n_scale;
};

struct qs_pack {
    float *packed, *bias;       /* may be NULL */
    int64_t floats;             /* of all */
    struct qs_tensor *constant; /* that was computed; its buffer and dims are its own. NULL */
};

void qs_pack_free_constant(struct qs_tensor *t); /* NULL is fine */

/* The pack with that key, one reference more; NULL: there is none. */
const struct qs_pack *qs_packs_find(struct qs_packs *p, const struct qs_pack_key *key);
/* Keeps a pack (takes over its arrays) with one reference; when there is one with that key
 * already, that one is returned and these arrays are freed. */
const struct qs_pack *qs_packs_add(struct qs_packs *p, const struct qs_pack_key *key,
                                   struct qs_pack made);
void qs_packs_drop(struct qs_packs *p, const struct qs_pack *pack); /* NULL is fine */

#endif
