/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/i18n.h"
#include "base/mem.h"

struct qs_sha256 {
    struct sha256_ctx nettle;
};

struct qs_sha256 *
qs_sha256_new(void)
{
    struct qs_sha256 *s = qs_xmalloc(sizeof(*s));
    sha256_init(&s->nettle);
    return s;
}

void
qs_sha256_add(struct qs_sha256 *s, const void *p, size_t n)
{
    if (n)
        sha256_update(&s->nettle, n, p);
}

static void
to_hex(const uint8_t *d, size_t n, char *hex)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digit[d[i] >> 4];
        hex[2 * i + 1] = digit[d[i] & 15];
    }
    hex[2 * n] = '\0';
}

void
qs_sha256_end(struct qs_sha256 *s, char hex[QS_SHA256_HEX])
{
    uint8_t d[SHA256_DIGEST_SIZE];
    sha256_digest(&s->nettle, sizeof(d), d);
    to_hex(d, sizeof(d), hex);
    free(s);
}

void
qs_digest(const void *p, size_t n, char hex[QS_DIGEST_HEX])
{
    XXH128_canonical_t d;
    XXH128_canonicalFromHash(&d, XXH3_128bits(p, n));
    to_hex(d.digest, sizeof(d.digest), hex);
}

void
qs_file_info_release(struct qs_file_info *info)
{
    free(info->path);
    *info = (struct qs_file_info){0};
}

int
qs_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int
qs_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

enum qs_err
qs_make_folders(struct qs_ctx *cx, const char *path)
{
    enum qs_err err = QS_OK;
    char *p = qs_xstrdup(path);
    for (char *s = p + 1;; s++) {
        if (*s != '/' && *s != '\0')
            continue;
        const char was = *s;
        *s = '\0';
        const int why = mkdir(p, 0777) != 0 ? errno : 0;
        if (why && !qs_is_folder(p)) {
            err = qs_fail(cx, QS_ERR_IO, _("cannot create folder '%s': %s"), p, strerror(why));
            break;
        }
        *s = was;
        if (!was)
            break;
    }
    free(p);
    return err;
}

struct qs_writer {
    char *path;
    char *temp; /* name it has before it is renamed; NULL: it has none yet */
    int fd, force;
    int64_t bytes;
    struct qs_sha256 *sha;
    char hex[QS_SHA256_HEX];
    size_t held; /* bytes in `buffer` */
    uint8_t buffer[64 << 10];
};

/* The folder of a path: malloc. */
static char *
folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return qs_xstrdup(".");
    return slash == path ? qs_xstrdup("/") : qs_xasprintf("%.*s", (int)(slash - path), path);
}

static enum qs_err
make_parent(struct qs_ctx *cx, const char *path)
{
    char *folder = folder_of(path);
    const enum qs_err err = qs_make_folders(cx, folder);
    free(folder);
    return err;
}

/* A file without a name, which goes when the program is killed; where the file system has no such
 * thing, one with a name of its own. */
static int
open_temporary(struct qs_writer *w)
{
    char *folder = folder_of(w->path);
    w->fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    free(folder);
    if (w->fd >= 0)
        return 0;
    w->temp = qs_xasprintf("%s.tmp.XXXXXX", w->path);
    w->fd = mkostemp(w->temp, O_CLOEXEC);
    if (w->fd < 0) {
        free(w->temp);
        w->temp = NULL;
        return -1;
    }
    const mode_t mask = umask(0);
    umask(mask);
    return fchmod(w->fd, 0666 & ~mask);
}

enum qs_err
qs_writer_open(struct qs_ctx *cx, const char *path, int force, struct qs_writer **out)
{
    if (!force && qs_exists(path))
        return qs_fail(cx, QS_ERR_EXISTS, _("cannot write '%s': it exists (--force replaces it)"),
                       path);
    if (qs_is_folder(path))
        return qs_fail(cx, QS_ERR_IO, _("cannot write '%s': it is a folder"), path);
    enum qs_err err = make_parent(cx, path);
    if (err)
        return err;
    struct qs_writer *w = qs_xcalloc(1, sizeof(*w));
    w->force = force;
    w->path = qs_xstrdup(path);
    w->sha = qs_sha256_new();
    if (open_temporary(w) != 0) {
        err = qs_fail(cx, QS_ERR_IO, _("cannot write '%s': %s"), path, strerror(errno));
        qs_writer_free(w);
        return err;
    }
    *out = w;
    return QS_OK;
}

static enum qs_err
write_all(struct qs_ctx *cx, struct qs_writer *w, const uint8_t *p, size_t n)
{
    while (n > 0) {
        const ssize_t k = write(w->fd, p, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return qs_fail(cx, QS_ERR_IO, _("cannot write '%s': %s"), w->path, strerror(errno));
        p += k;
        n -= (size_t)k;
        w->bytes += k;
    }
    return QS_OK;
}

struct hash_job {
    struct qs_sha256 *sha;
    const uint8_t *p;
    size_t n;
};

static void *
hash(void *arg)
{
    const struct hash_job *job = arg;
    qs_sha256_add(job->sha, job->p, job->n);
    return NULL;
}

/* Large pieces are hashed while they are written: either takes about as long as the other. */
static enum qs_err
put_now(struct qs_ctx *cx, struct qs_writer *w, const uint8_t *p, size_t n)
{
    enum { WORTH_A_THREAD = 256 << 10 };
    struct hash_job job = {w->sha, p, n};
    pthread_t thread;
    const int own =
        n >= WORTH_A_THREAD && cx->threads > 1 && pthread_create(&thread, NULL, hash, &job) == 0;
    const enum qs_err err = write_all(cx, w, p, n);
    if (own)
        pthread_join(thread, NULL);
    else
        hash(&job);
    return err;
}

static enum qs_err
flush(struct qs_ctx *cx, struct qs_writer *w)
{
    const size_t n = w->held;
    w->held = 0;
    return put_now(cx, w, w->buffer, n);
}

enum qs_err
qs_writer_put(struct qs_ctx *cx, struct qs_writer *w, const void *p, size_t n)
{
    if (n > sizeof(w->buffer) - w->held) {
        const enum qs_err err = flush(cx, w);
        if (err || n > sizeof(w->buffer) / 2)
            return err ? err : put_now(cx, w, p, n);
    }
    if (n)
        memcpy(w->buffer + w->held, p, n);
    w->held += n;
    return QS_OK;
}

enum qs_err
qs_writer_finish(struct qs_ctx *cx, struct qs_writer *w)
{
    const enum qs_err err = flush(cx, w);
    if (err)
        return err;
    qs_sha256_end(w->sha, w->hex);
    w->sha = NULL;
    return QS_OK;
}

/* Gives a file without a name the one it will be renamed from. */
static int
link_temporary(struct qs_writer *w)
{
    char fd[32];
    snprintf(fd, sizeof(fd), "/proc/self/fd/%d", w->fd);
    for (int i = 0; i < 100; i++) {
        char *name = qs_xasprintf("%s.tmp.%ld.%d", w->path, (long)getpid(), i);
        if (linkat(AT_FDCWD, fd, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0) {
            w->temp = name;
            return 0;
        }
        free(name);
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

static int
close_file(struct qs_writer *w)
{
    const int fd = w->fd;
    w->fd = -1;
    return close(fd);
}

enum qs_err
qs_writer_commit(struct qs_ctx *cx, struct qs_writer *w, struct qs_file_info *info)
{
    if (!w->force && qs_exists(w->path))
        return qs_fail(cx, QS_ERR_EXISTS, _("cannot write '%s': it exists (--force replaces it)"),
                       w->path);
    if ((!w->temp && link_temporary(w) != 0) || close_file(w) != 0)
        return qs_fail(cx, QS_ERR_IO, _("cannot write '%s': %s"), w->path, strerror(errno));
    if (rename(w->temp, w->path) != 0)
        return qs_fail(cx, QS_ERR_IO, _("cannot rename '%s' to '%s': %s"), w->temp, w->path,
                       strerror(errno));
    free(w->temp);
    w->temp = NULL;
    if (info) {
        info->path = qs_xstrdup(w->path);
        info->bytes = w->bytes;
        memcpy(info->sha256, w->hex, sizeof(info->sha256));
    }
    return QS_OK;
}

void
qs_writer_free(struct qs_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    if (w->temp)
        unlink(w->temp);
    free(w->sha);
    free(w->temp);
    free(w->path);
    free(w);
}

enum qs_err
qs_write_file(struct qs_ctx *cx, const char *path, int force, const void *p, size_t n)
{
    struct qs_writer *w = NULL;
    enum qs_err err = qs_writer_open(cx, path, force, &w);
    if (!err)
        err = qs_writer_put(cx, w, p, n);
    if (!err)
        err = qs_writer_finish(cx, w);
    if (!err)
        err = qs_writer_commit(cx, w, NULL);
    qs_writer_free(w);
    return err;
}

enum qs_err
qs_read_text(struct qs_ctx *cx, const char *path, const char *what, size_t most, char **out,
             size_t *n)
{
    struct qs_buf *b = NULL;
    enum qs_err err = qs_buf_map(cx, path, what, &b);
    if (err)
        return err;
    if (b->size > most) {
        err =
            qs_fail(cx, QS_ERR_FORMAT, _("cannot read %s '%s': it has %zu bytes, the limit is %zu"),
                    what, path, b->size, most);
    } else {
        *out = qs_xmalloc(b->size + 1);
        if (b->size)
            memcpy(*out, b->data, b->size);
        (*out)[b->size] = '\0';
        *n = b->size;
    }
    qs_buf_unref(b);
    return err;
}
