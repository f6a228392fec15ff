/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the process that began a run still lives. It holds a lock on byte `id` of an empty file
 * beside the store ("runs.db-lock"); the kernel drops the lock when the process ends, however it
 * ends. Unlike a stored process number this cannot be wrong after a reboot, in a container or
 * when the number is given out again. The locks belong to the open file (F_OFD_SETLK): those of
 * sqlite, which belong to the process, are on other files and cannot be disturbed.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/i18n.h"
#include "db/internal.h"

/* The lock file belongs to whoever may write the store. */
static void
copy_mode(int fd, const struct stat *lock, const char *store)
{
    struct stat st;
    if (stat(store, &st) == 0 && lock->st_uid == geteuid() &&
        (st.st_mode & 0666) != (lock->st_mode & 0777))
        (void)!fchmod(fd, st.st_mode & 0666);
}

/* -1 and errno on failure. Never waits: what is not a regular file is not taken. */
static int
open_lock(const struct qs_db *db, int flags)
{
    struct stat st;
    const int fd =
        open(db->lock_path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0666);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        if (flags & O_CREAT)
            copy_mode(fd, &st, sqlite3_db_filename(db->sql, "main"));
        return fd;
    }
    close(fd);
    errno = EINVAL;
    return -1;
}

static struct flock
byte_lock(int64_t id, short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = id, .l_len = 1};
}

enum qs_err
qs_db_alive_hold(struct qs_ctx *cx, struct qs_db *db, int64_t id)
{
    if (db->lock_fd < 0)
        db->lock_fd = open_lock(db, O_RDWR | O_CREAT);
    struct flock lock = byte_lock(id, F_WRLCK);
    if (db->lock_fd < 0 || fcntl(db->lock_fd, F_OFD_SETLK, &lock) != 0)
        return qs_fail(cx, QS_ERR_DB, _("run store '%s': cannot lock '%s': %s"), db->path,
                       db->lock_path, strerror(errno));
    return QS_OK;
}

void
qs_db_alive_drop(struct qs_db *db, int64_t id)
{
    struct flock lock = byte_lock(id, F_UNLCK);
    if (db->lock_fd >= 0)
        (void)fcntl(db->lock_fd, F_OFD_SETLK, &lock);
}

/* Asks through an open file of its own, which the locks held here stand against like anyone's. */
bool
qs_db_is_dead(struct qs_db *db, int64_t id)
{
    if (db->probe_fd < 0)
        db->probe_fd = open_lock(db, O_RDONLY);
    if (db->probe_fd < 0)
        return errno == ENOENT;
    struct flock lock = byte_lock(id, F_WRLCK);
    return fcntl(db->probe_fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}

void
qs_db_alive_close(struct qs_db *db)
{
    if (db->lock_fd >= 0)
        close(db->lock_fd);
    if (db->probe_fd >= 0)
        close(db->probe_fd);
}
