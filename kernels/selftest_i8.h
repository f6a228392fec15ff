/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares a variant of the kernels on integers (conv_i8.h) with the scalar one on random shapes:
 * same bits, nothing written beside the output. The scalar one is compared with the formulas of
 * that header on plain tensors. Serves `qslim selftest` and tests/checkconv_i8.
 */
#ifndef QK_SELFTEST_I8_H
#define QK_SELFTEST_I8_H

#include "kernels/conv_i8.h"
#include "kernels/selftest.h"

extern const int qk_i8_n_checks;

/* Fills verdict[qk_i8_n_checks] for `variant`, which this machine must have; returns how many
 * failed. The same seed gives the same cases. */
int qk_selftest_i8(const struct qk_conv_i8 *variant, uint64_t seed, struct qk_verdict *verdict);

#endif
