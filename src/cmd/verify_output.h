/* SPDX-License-Identifier: Apache-2.0 */
/* What the verification of a written model found, for people and as JSON. */
#ifndef QS_CMD_VERIFY_OUTPUT_H
#define QS_CMD_VERIFY_OUTPUT_H

#include "app/app.h"
#include "cmd/cmd.h"

json_t *qs_verified_json(const struct qs_verified *v); /* null: it was not asked for */
void qs_verified_print(const struct qs_verified *v);

#endif
