/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gemm.h"

#include <cblas.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

enum { BLOCK_K = 128 };

typedef __typeof__(cblas_sgemm) blas_fn;
typedef __typeof__(cblas_sgemv) blas_vector_fn;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static blas_fn *blas;
static blas_vector_fn *blas_vector;

/* The library starts its own threads when it is loaded, unless the environment says otherwise. */
static void
load(void)
{
    static const char *const names[] = {"libopenblas.so.0", "libopenblas.so", "libblas.so.3"};
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    for (int i = 0; i < 3 && !blas; i++) {
        void *lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (!lib)
            continue;
        *(void **)&blas = dlsym(lib, "cblas_sgemm");
        *(void **)&blas_vector = dlsym(lib, "cblas_sgemv");
    }
}

const char *
qk_sgemm_start(void)
{
    pthread_once(&once, load);
    return blas ? "openblas" : "scalar";
}

static float
at(const struct qk_matrix *a, int64_t i, int64_t j)
{
    return a->transposed ? a->p[j * a->ld + i] : a->p[i * a->ld + j];
}

static void
scale_row(float *c, int64_t n, float beta)
{
    for (int64_t j = 0; j < n; j++)
        c[j] = beta == 0 ? 0 : beta * c[j];
}

/* c[n] += x * row i of b */
static void
add_row(float *restrict c, int64_t n, float x, const struct qk_matrix *b, int64_t i)
{
    const float *p = b->transposed ? b->p + i : b->p + i * b->ld;
    if (b->transposed)
        for (int64_t j = 0; j < n; j++)
            c[j] += x * p[j * b->ld];
    else
        for (int64_t j = 0; j < n; j++)
            c[j] += x * p[j];
}

void
qk_sgemm_scalar(int64_t m, int64_t n, int64_t k, float alpha, struct qk_matrix a,
                struct qk_matrix b, float beta, float *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i++)
        scale_row(c + i * ldc, n, beta);
    for (int64_t from = 0; from < k; from += BLOCK_K) {
        const int64_t to = from + BLOCK_K < k ? from + BLOCK_K : k;
        for (int64_t i = 0; i < m; i++)
            for (int64_t l = from; l < to; l++)
                add_row(c + i * ldc, n, alpha * at(&a, i, l), &b, l);
    }
}

static int
fits(int64_t v)
{
    return v > 0 && v <= INT32_MAX;
}

/* A row times a matrix, without the copies of the matrix that sgemm makes first. */
static void
multiply_row(int64_t n, int64_t k, float alpha, struct qk_matrix a, struct qk_matrix b, float beta,
             float *c)
{
    const blasint step = (blasint)(a.transposed ? a.ld : 1);
    if (b.transposed)
        blas_vector(CblasRowMajor, CblasNoTrans, (blasint)n, (blasint)k, alpha, b.p, (blasint)b.ld,
                    a.p, step, beta, c, 1);
    else
        blas_vector(CblasRowMajor, CblasTrans, (blasint)k, (blasint)n, alpha, b.p, (blasint)b.ld,
                    a.p, step, beta, c, 1);
}

void
qk_sgemm(int64_t m, int64_t n, int64_t k, float alpha, struct qk_matrix a, struct qk_matrix b,
         float beta, float *c, int64_t ldc)
{
    pthread_once(&once, load);
    if (!blas || !fits(m) || !fits(n) || !fits(k) || !fits(a.ld) || !fits(b.ld) || !fits(ldc)) {
        qk_sgemm_scalar(m, n, k, alpha, a, b, beta, c, ldc);
        return;
    }
    if (m == 1 && blas_vector) {
        multiply_row(n, k, alpha, a, b, beta, c);
        return;
    }
    blas(CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans,
         b.transposed ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, alpha, a.p,
         (blasint)a.ld, b.p, (blasint)b.ld, beta, c, (blasint)ldc);
}
