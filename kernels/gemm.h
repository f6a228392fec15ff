/* SPDX-License-Identifier: Apache-2.0 */
/*
 * General matrix products of float32, row-major. OpenBLAS does them, in the calling thread alone
 * (callers split rows and batches over their own threads); it is loaded at the first use, because
 * commands that run no model shall not pay for its start. Where it can not be loaded a plain
 * blocked loop stands in.
 */
#ifndef QK_GEMM_H
#define QK_GEMM_H

#include <stdint.h>

struct qk_matrix {
    const float *p;
    int64_t ld;     /* floats from one stored row to the next */
    int transposed; /* stored as [cols][rows] */
};

/* c[m][n] = alpha * a[m][k] * b[k][n] + beta * c; rows of c are ldc apart. c must not overlap a
 * or b; with beta 0 it need not be initialised. */
typedef void qk_sgemm_fn(int64_t m, int64_t n, int64_t k, float alpha, struct qk_matrix a,
                         struct qk_matrix b, float beta, float *c, int64_t ldc);
qk_sgemm_fn qk_sgemm;
/* The stand-in, and what tests compare with. */
qk_sgemm_fn qk_sgemm_scalar;
/* Loads the library now; qk_sgemm does it otherwise. To be called before threads are started.
 * Name of what multiplies: "openblas" or "scalar". */
const char *qk_sgemm_start(void);

#endif
