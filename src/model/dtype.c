/* SPDX-License-Identifier: Apache-2.0 */
#include "model/dtype.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"

static const struct row {
    const char *name;
    int32_t number;
    int bytes;
    bool is_float;
} row[] = {
#define ROW(name, number, bytes, is_float) {#name, number, bytes, is_float},
#include "model/dtype.inc"
#undef ROW
};

static const struct row *
find(int32_t dtype)
{
    for (size_t i = 0; i < QS_LEN(row); i++)
        if (row[i].number == dtype)
            return &row[i];
    return NULL;
}

const char *
qs_dtype_name(int32_t dtype)
{
    const struct row *r = find(dtype);
    return r ? r->name : NULL;
}

int32_t
qs_dtype_parse(const char *name)
{
    for (size_t i = 0; i < QS_LEN(row); i++)
        if (strcmp(row[i].name, name) == 0)
            return row[i].number;
    return -1;
}

int
qs_dtype_bytes(int32_t dtype)
{
    const struct row *r = find(dtype);
    return r ? r->bytes : 0;
}

bool
qs_dtype_is_float(int32_t dtype)
{
    const struct row *r = find(dtype);
    return r && r->is_float;
}
