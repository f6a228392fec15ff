/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a data file. */
#include <stdlib.h>

#include "data/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qs_ctx cx;
    struct qs_data_config c;
    qs_ctx_init(&cx);
    if (size > QS_YAML_BYTES_MOST)
        return 0;
    const enum qs_err err = qs_data_config_parse(&cx, (const char *)data, size, "a/fuzz.yaml", &c);
    if (err && !*cx.message)
        abort();
    if (!err && c.type != QS_DATA_TENSORS && (!c.list || !c.root))
        abort();
    qs_data_config_release(&c);
    return 0;
}
