/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include "base/i18n.h"

static const char *const text[QS_N_ERR] = {
#define ROW(name, text) N_(text),
#include "base/err.inc"
#undef ROW
};

const char *
qs_err_text(enum qs_err err)
{
    return _(text[err]);
}
