/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files: written beside their final name and renamed into place, so that a killed program leaves
 * the old file or the new one; sha256 is computed while writing.
 */
#ifndef QS_BASE_FILE_H
#define QS_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"

enum { QS_SHA256_HEX = 65 }; /* 64 digits and a NUL */

struct qs_file_info {
    char *path; /* owned */
    int64_t bytes;
    char sha256[QS_SHA256_HEX];
};
void qs_file_info_release(struct qs_file_info *info);

struct qs_writer; /* a file being written */

/* Starts `path`; missing folders are made. Refuses an existing one unless `force`. */
enum qs_err qs_writer_open(struct qs_ctx *cx, const char *path, int force,
                           struct qs_writer **out) QS_MUST_CHECK;
enum qs_err qs_writer_put(struct qs_ctx *cx, struct qs_writer *w, const void *p,
                          size_t n) QS_MUST_CHECK;
/* Flushes; the file is complete but not yet in place (and, where the system can, has no name yet:
 * a killed program leaves nothing). */
enum qs_err qs_writer_finish(struct qs_ctx *cx, struct qs_writer *w) QS_MUST_CHECK;
/* Renames into place (after finish) and fills `info` (may be NULL). */
enum qs_err qs_writer_commit(struct qs_ctx *cx, struct qs_writer *w,
                             struct qs_file_info *info) QS_MUST_CHECK;
/* Frees; what was not committed is removed. NULL is fine. */
void qs_writer_free(struct qs_writer *w);
/* All of that at once, for a file of n bytes. */
enum qs_err qs_write_file(struct qs_ctx *cx, const char *path, int force, const void *p,
                          size_t n) QS_MUST_CHECK;

enum qs_err qs_make_folders(struct qs_ctx *cx, const char *path) QS_MUST_CHECK;
int qs_is_folder(const char *path);
int qs_exists(const char *path);

/* A whole text file (at most `most` bytes), NUL-terminated, to be freed by the caller. */
enum qs_err qs_read_text(struct qs_ctx *cx, const char *path, const char *what, size_t most,
                         char **out, size_t *n) QS_MUST_CHECK;

/* Incremental sha256. */
struct qs_sha256;
struct qs_sha256 *qs_sha256_new(void);
void qs_sha256_add(struct qs_sha256 *s, const void *p, size_t n);
void qs_sha256_end(struct qs_sha256 *s, char hex[QS_SHA256_HEX]); /* frees s */

/* Fast 128-bit digest (XXH3) that tells models apart; not for security. */
enum { QS_DIGEST_HEX = 33 };
void qs_digest(const void *p, size_t n, char hex[QS_DIGEST_HEX]);

#endif
