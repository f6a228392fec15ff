/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into qslim: lets the n-th call of one function fail. Environment: FAULT_CALL (the
 * function), FAULT_NUMBER (n, from 1), FAULT_MARK (a file that is made when the fault happened).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *call, *mark;
static long number;
static atomic_long count;

__attribute__((constructor)) static void
start(void)
{
    const char *n = getenv("FAULT_NUMBER");
    number = n ? atol(n) : 0;
    mark = getenv("FAULT_MARK");
    call = getenv("FAULT_CALL");
}

static int
fails(const char *name, int why)
{
    if (!call || strcmp(call, name) != 0 || atomic_fetch_add(&count, 1) + 1 != number)
        return 0;
    const int fd = mark ? open(mark, O_CREAT | O_WRONLY, 0600) : -1;
    if (fd >= 0)
        close(fd);
    errno = why;
    return 1;
}

#define REAL(type, name, ...)         \
    static type (*real)(__VA_ARGS__); \
    if (!real)                        \
        *(void **)&real = dlsym(RTLD_NEXT, #name);

ssize_t
write(int fd, const void *p, size_t n)
{
    REAL(ssize_t, write, int, const void *, size_t)
    return fd > 2 && fails("write", ENOSPC) ? -1 : real(fd, p, n);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)
    return fails("pwrite", ENOSPC) ? -1 : real(fd, p, n, at);
}

int
rename(const char *from, const char *to)
{
    REAL(int, rename, const char *, const char *)
    return fails("rename", EACCES) ? -1 : real(from, to);
}

int
linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    REAL(int, linkat, int, const char *, int, const char *, int)
    return fails("linkat", EACCES) ? -1 : real(from_fd, from, to_fd, to, flags);
}

/* Files without a name are not to be had when mkostemp, their substitute, is to fail. */
int
open(const char *path, int flags, ...)
{
    REAL(int, open, const char *, int, ...)
    va_list ap;
    va_start(ap, flags);
    const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    if ((flags & O_TMPFILE) != O_TMPFILE)
        return real(path, flags, mode);
    if (call && strcmp(call, "mkostemp") == 0)
        errno = EOPNOTSUPP;
    else if (!fails("tmpfile", EOPNOTSUPP))
        return real(path, flags, mode);
    return -1;
}

int
mkostemp(char *name, int flags)
{
    REAL(int, mkostemp, char *, int)
    return fails("mkostemp", EACCES) ? -1 : real(name, flags);
}

int
mkdir(const char *path, mode_t mode)
{
    REAL(int, mkdir, const char *, mode_t)
    return fails("mkdir", EACCES) ? -1 : real(path, mode);
}

int
fsync(int fd)
{
    REAL(int, fsync, int)
    return fails("fsync", EIO) ? -1 : real(fd);
}

int
fdatasync(int fd)
{
    REAL(int, fdatasync, int)
    return fails("fdatasync", EIO) ? -1 : real(fd);
}

int
close(int fd)
{
    REAL(int, close, int)
    const int rc = real(fd);
    return fails("close", EIO) ? -1 : rc;
}

void *
mmap(void *p, size_t n, int prot, int flags, int fd, off_t at)
{
    REAL(void *, mmap, void *, size_t, int, int, int, off_t)
    return fd >= 0 && fails("mmap", ENOMEM) ? MAP_FAILED : real(p, n, prot, flags, fd, at);
}

int
posix_memalign(void **p, size_t align, size_t n)
{
    REAL(int, posix_memalign, void **, size_t, size_t)
    return fails("memalign", ENOMEM) ? ENOMEM : real(p, align, n);
}

void *
mmap64(void *p, size_t n, int prot, int flags, int fd, off64_t at)
{
    return mmap(p, n, prot, flags, fd, at);
}

#ifdef __GLIBC__
/* dlsym allocates, so the real ones are taken by their other names. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *
malloc(size_t n)
{
    return fails("malloc", ENOMEM) ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
    return fails("malloc", ENOMEM) ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
    return fails("malloc", ENOMEM) ? NULL : __libc_realloc(p, n);
}
#endif
