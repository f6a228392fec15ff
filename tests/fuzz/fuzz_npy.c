/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an .npy file. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qs_ctx cx;
    struct qs_npy a;
    char path[64];
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    qs_ctx_init(&cx);
    const enum qs_err err = qs_npy_map(&cx, path, &a);
    if (err && !*cx.message)
        abort();
    unsigned sum = 0;
    for (int64_t i = 0; !err && i < a.count * qs_dtype_bytes(a.dtype); i++)
        sum += a.data[i];
    close(fd);
    qs_npy_release(&a);
    return (int)(sum & 0);
}
