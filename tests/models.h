/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small models made by name, sound and hostile ones, for tests of every kind: unit tests build
 * them in memory, tests/make-model writes them as files.
 */
#ifndef QS_TESTS_MODELS_H
#define QS_TESTS_MODELS_H

#include "model/graph.h"

struct test_model {
    const char *name;
    const char *what; /* one line */
    struct qs_model *(*make)(void);
};

const struct test_model *test_model_at(int i); /* NULL after the last */

/* A new model with has_params set and all weights filled; NULL when there is no such name. The
 * weights depend on their shape and place only. */
struct qs_model *test_model(const char *name);

#endif
