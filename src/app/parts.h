/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of a run of a quantized model: what lies from a quantized operator to the next, in order of
 * the program. The same for a run in integers and one in floats, whose steps are not the same.
 */
#ifndef QS_APP_PARTS_H
#define QS_APP_PARTS_H

#include "engine/engine.h"
#include "model/static_notes.h"

struct qs_parts {
    const struct qs_model *model; /* the float graph, borrowed with the notes */
    const struct qs_static_notes *notes;
    int n;          /* notes->n_node */
    int32_t *maker; /* [n_var] last node of block 0 that makes it; -1 */
};

void qs_parts_init(struct qs_parts *p, const struct qs_model *m,
                   const struct qs_static_notes *notes);
void qs_parts_release(struct qs_parts *p);
/* Part of each step of an engine that runs the model, in integers or floats: [steps], to be freed.
 */
int *qs_parts_of_steps(const struct qs_parts *p, const struct qs_fast *f);
/* Adds the last run: best[n], the shortest seconds of every part so far. */
void qs_parts_note(const struct qs_parts *p, const struct qs_fast *f, const int *part_of,
                   double *best);

#endif
