/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tile registers of Intel AMX (Software Developer's Manual, "Intel AMX Instruction Set
 * Reference"): eight registers of up to 16 rows x 64 bytes, whose shapes a configuration gives.
 * With TILES_IN_C, the same operations in C, for tests on machines without them: what the manual
 * says is an exception is an abort there.
 *
 * t, c, a, b are numbers of registers, literals or macros of them. Instructions are written as
 * assembly: the intrinsics of gcc 12 do not say that they read memory (of the configuration: only
 * eight of its bytes), so stores before them may be moved or dropped.
 *
 * The registers are empty again after tile_release; a thread that keeps them in use makes its
 * context switches longer.
 */
#ifndef QK_TILE_H
#define QK_TILE_H

#include <stdint.h>

#include "kernels/cpu.h"

enum { TILE_ROWS = 16, TILE_BYTES = 64 /* of a row */ };

/* As LDTILECFG reads it. Rows and bytes of a register that is not used are 0. */
struct tile_config {
    uint8_t palette; /* 1 */
    uint8_t start_row;
    uint8_t reserved[14];
    uint16_t bytes[16]; /* of a row */
    uint8_t rows[16];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct tile_config) == 64, "an operand of LDTILECFG is 64 bytes");

/* What processors need for them; whether kernels use them for every shape they can. */
#ifdef TILES_IN_C
enum { TILES_NEED = 0, TILES_ALWAYS = 1 };
#else
enum { TILES_NEED = QK_CPU_AMX, TILES_ALWAYS = 0 };
#endif

#ifndef TILES_IN_C

/* All registers get their shapes, and become zero. */
static inline void
tile_configure(const struct tile_config *config)
{
    __asm__ volatile("ldtilecfg %0" : : "m"(*config));
}

static inline void
tile_release(void)
{
    __asm__ volatile("tilerelease" : : : "memory");
}

/* Rows `stride` bytes apart, from p on. */
#define tile_load(t, p, stride) tile_load_(t, p, stride)
#define TILE_LOAD(t) "tileloadd (%0,%1,1), %%tmm" #t
#define tile_load_(t, p, stride) \
    __asm__ volatile(TILE_LOAD(t) : : "r"(p), "r"((int64_t)(stride)) : "memory")
#define tile_store(t, p, stride) tile_store_(t, p, stride)
#define tile_store_(t, p, stride)                        \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" \
                     :                                   \
                     : "r"(p), "r"((int64_t)(stride))    \
                     : "memory")
/* c[m][n] += sum over k, i of a[m][4 k + i] * b[k][4 n + i]: unsigned bytes of a, signed ones of b,
 * sums of 32 bits that wrap. */
#define tile_dot(c, a, b) tile_dot_(c, a, b)
#define tile_dot_(c, a, b) __asm__ volatile("tdpbusd %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)

#else

#include <stdlib.h>
#include <string.h>

struct tile {
    uint8_t at[TILE_ROWS][TILE_BYTES];
    int rows, bytes;
};
static _Thread_local struct tile tile_register[8];

static inline void
tile_must(int holds)
{
    if (!holds)
        abort();
}

static inline void
tile_release(void)
{
    memset(tile_register, 0, sizeof(tile_register));
}

static inline void
tile_configure(const struct tile_config *config)
{
    const uint8_t *raw = (const uint8_t *)config;
    tile_must(tile_register[0].rows == 0); /* kernels release what they configure */
    tile_must(raw[0] == 1 && raw[1] == 0);
    for (int i = 2; i < 64; i++)
        tile_must(raw[i] == 0 || (i >= 16 && i < 32) || (i >= 48 && i < 56));
    for (int i = 0; i < 8; i++) {
        struct tile *t = &tile_register[i];
        t->bytes = raw[16 + 2 * i] | raw[17 + 2 * i] << 8;
        t->rows = raw[48 + i];
        tile_must(t->bytes <= TILE_BYTES && t->rows <= TILE_ROWS);
        tile_must((t->bytes == 0) == (t->rows == 0));
    }
}

static inline struct tile *
tile_of(int t)
{
    tile_must(t >= 0 && t < 8 && tile_register[t].rows > 0);
    return &tile_register[t];
}

static inline void
tile_load(int t, const void *p, int64_t stride)
{
    struct tile *to = tile_of(t);
    memset(to->at, 0, sizeof(to->at));
    for (int i = 0; i < to->rows; i++)
        memcpy(to->at[i], (const uint8_t *)p + i * stride, (size_t)to->bytes);
}

static inline void
tile_store(int t, void *p, int64_t stride)
{
    const struct tile *from = tile_of(t);
    for (int i = 0; i < from->rows; i++)
        memcpy((uint8_t *)p + i * stride, from->at[i], (size_t)from->bytes);
}

static inline void
tile_dot(int c, int a, int b)
{
    struct tile *to = tile_of(c);
    const struct tile *x = tile_of(a), *w = tile_of(b);
    tile_must(c != a && c != b && a != b);
    tile_must(x->rows == to->rows && w->bytes == to->bytes && x->bytes == 4 * w->rows);
    for (int m = 0; m < to->rows; m++)
        for (int n = 0; 4 * n < to->bytes; n++) {
            uint32_t sum;
            memcpy(&sum, &to->at[m][4 * n], sizeof(sum));
            for (int k = 0; k < x->bytes; k++)
                sum += (uint32_t)(x->at[m][k] * (int8_t)w->at[k / 4][4 * n + k % 4]);
            memcpy(&to->at[m][4 * n], &sum, sizeof(sum));
        }
}

#endif

#endif
