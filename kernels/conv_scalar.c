/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of conv_f32.inc without any instruction set: vectors of four floats, multiply and
 * add rounded separately. The twin that the others are compared with. */
#include "kernels/conv.h"
#include "kernels/cpu.h"

#define LANES 4
#define REGISTERS 16
#define V_FMA(x, y, z) ((x) * (y) + (z))
#define V_MAX(x, y) V_SELECT((x) > (y), x, y)
#define V_MIN(x, y) V_SELECT((x) < (y), x, y)
#define VARIANT scalar
#define NEED 0
#include "kernels/conv_f32.inc"
