/* SPDX-License-Identifier: Apache-2.0 */
/* A pattern, a NUL byte and a text to match: neither may take long or much memory. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[128] = "", *both = malloc(size + 2);
    if (!both)
        abort();
    if (size)
        memcpy(both, data, size);
    both[size] = both[size + 1] = '\0';
    const char *text = both + strlen(both) + 1;
    struct qs_pattern *p = qs_pattern_new(both, why, sizeof(why));
    if (p)
        qs_pattern_match(p, text);
    else if (!*why)
        abort();
    qs_pattern_free(p);
    free(both);
    return 0;
}
