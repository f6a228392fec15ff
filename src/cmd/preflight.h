/* SPDX-License-Identifier: Apache-2.0 */
/* What targets will do with a quantized model, as a table or JSON. */
#ifndef QS_CMD_PREFLIGHT_H
#define QS_CMD_PREFLIGHT_H

#include "app/app.h"
#include "cmd/cmd.h"

void qs_preflight_print(const struct qs_preflight *p);
/* [{target, int8, float, fused, refused, wrong, to_int8, to_float, problems}] */
json_t *qs_preflight_json(const struct qs_preflight *p);

#endif
