/* SPDX-License-Identifier: Apache-2.0 */
/* The ranges of activations in a quantized model, as a table or JSON. */
#ifndef QS_CMD_ACTIVATIONS_H
#define QS_CMD_ACTIVATIONS_H

#include "app/app.h"
#include "cmd/cmd.h"

void qs_activations_print(const struct qs_apart *a, bool csv);
/* [{activation, op_type, bits, threshold, rounding, observed}] */
json_t *qs_activations_json(const struct qs_apart *a);

#endif
