/* SPDX-License-Identifier: Apache-2.0 */
#include "use_model.h"

extern const struct qs_format qs_format_nb;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_format(&qs_format_nb, data, size);
    return 0;
}
