/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "base/memory.h"

enum { ALIGN = 64 };

enum qs_err
qs_buf_new(struct qs_ctx *cx, size_t size, struct qs_buf **out)
{
    void *p = NULL;
    const enum qs_err err = qs_memory_check(cx, size < INT64_MAX ? (int64_t)size : INT64_MAX);
    if (err)
        return err;
    if (posix_memalign(&p, ALIGN, size ? size : 1) != 0)
        return qs_fail(cx, QS_ERR_MEMORY, _("out of memory: %zu bytes wanted"), size);
    struct qs_buf *b = qs_xcalloc(1, sizeof(*b));
    b->data = p;
    b->size = size;
    atomic_init(&b->refs, 1);
    *out = b;
    return QS_OK;
}

static enum qs_err
map_fd(struct qs_ctx *cx, int fd, const char *path, const char *what, struct qs_buf **out)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return qs_fail(cx, QS_ERR_IO, _("cannot read %s '%s': %s"), what, path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return qs_fail(cx, QS_ERR_IO, _("cannot read %s '%s': not a regular file"), what, path);
    void *p = NULL;
    const size_t size = (size_t)st.st_size;
    if (size > 0) {
        p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            return qs_fail(cx, QS_ERR_IO, _("cannot map %s '%s': %s"), what, path, strerror(errno));
    }
    struct qs_buf *b = qs_xcalloc(1, sizeof(*b));
    b->data = p;
    b->size = size;
    b->mapped = 1;
    atomic_init(&b->refs, 1);
    *out = b;
    return QS_OK;
}

enum qs_err
qs_buf_map(struct qs_ctx *cx, const char *path, const char *what, struct qs_buf **out)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return qs_fail(cx, errno == ENOENT ? QS_ERR_NOT_FOUND : QS_ERR_IO,
                       _("cannot open %s '%s': %s"), what, path, strerror(errno));
    const enum qs_err err = map_fd(cx, fd, path, what, out);
    close(fd);
    return err;
}

struct qs_buf *
qs_buf_ref(struct qs_buf *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void
qs_buf_unref(struct qs_buf *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (!b->mapped)
        free(b->data);
    else if (b->size)
        munmap(b->data, b->size);
    free(b);
}

void
qs_buf_advise(const struct qs_buf *b, size_t offset, size_t n, int ahead)
{
    if (!b->mapped || n == 0)
        return;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t from = offset / page * page, to = offset + n;
    if (!ahead) { /* only pages that hold nothing else */
        from = (offset + page - 1) / page * page;
        to = to / page * page;
    }
    if (to > from)
        madvise(b->data + from, to - from, ahead ? MADV_POPULATE_READ : MADV_DONTNEED);
}
