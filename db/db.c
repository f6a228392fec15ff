/* SPDX-License-Identifier: Apache-2.0 */
#include "db/db.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "db/internal.h"

enum {
    BUSY_MS = 10000,
    OPS_PER_CALL = 100000, /* of the progress handler */
};

char *
qs_db_default_path(void)
{
    const char *given = getenv("QSLIM_DB");
    const char *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    if (given && *given)
        return qs_xstrdup(given);
    if (data && data[0] == '/') /* a relative one is to be ignored, says the XDG standard */
        return qs_xasprintf("%s/qslim/runs.db", data);
    return qs_xasprintf("%s/.local/share/qslim/runs.db", home && *home ? home : "");
}

enum qs_err
qs_db_damaged(struct qs_ctx *cx, struct qs_db *db, const char *what)
{
    return qs_fail(cx, QS_ERR_DB, _("run store '%s' is damaged: %s"), db->path, what);
}

static const char *
reason_of(struct qs_db *db, int rc)
{
    static const struct {
        int code;
        const char *text;
    } reason[] = {
        {SQLITE_FULL, N_("no space left")},
        {SQLITE_READONLY, N_("it is read-only")},
        {SQLITE_PERM, N_("it is read-only")},
        {SQLITE_NOTADB, N_("it is not a database")},
        {SQLITE_CORRUPT, N_("it is damaged")},
        {SQLITE_INTERRUPT, N_("it is damaged")}, /* by no_end() */
        {SQLITE_BUSY, N_("another program keeps it busy")},
        {SQLITE_LOCKED, N_("another program keeps it busy")},
        {SQLITE_PROTOCOL, N_("another program keeps it busy")},
    };
    for (size_t i = 0; i < QS_LEN(reason); i++)
        if (reason[i].code == (rc & 0xFF))
            return _(reason[i].text);
    const bool outside = (rc & 0xFF) == SQLITE_CANTOPEN || (rc & 0xFF) == SQLITE_IOERR;
    const int number = db->sql && outside ? sqlite3_system_errno(db->sql) : 0;
    if (number)
        return strerror(number);
    return db->sql && !outside ? sqlite3_errmsg(db->sql) : sqlite3_errstr(rc);
}

/* Records the sentence of an sqlite result code. */
static enum qs_err
fail(struct qs_ctx *cx, struct qs_db *db, int rc)
{
    return qs_fail(cx, QS_ERR_DB, _("run store '%s': %s"), db->path, reason_of(db, rc));
}

enum qs_err
qs_db_exec(struct qs_ctx *cx, struct qs_db *db, const char *sql)
{
    const int rc = sqlite3_exec(db->sql, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? QS_OK : fail(cx, db, rc);
}

enum qs_err
qs_db_prepare(struct qs_ctx *cx, struct qs_db *db, const char *sql, sqlite3_stmt **out)
{
    const int rc = sqlite3_prepare_v2(db->sql, sql, -1, out, NULL);
    return rc == SQLITE_OK ? QS_OK : fail(cx, db, rc);
}

enum qs_err
qs_db_step(struct qs_ctx *cx, struct qs_db *db, sqlite3_stmt *stmt, bool *row)
{
    const int rc = sqlite3_step(stmt);
    if (row)
        *row = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? QS_OK : fail(cx, db, rc);
}

enum qs_err
qs_db_once(struct qs_ctx *cx, struct qs_db *db, sqlite3_stmt *stmt)
{
    const enum qs_err err = qs_db_step(cx, db, stmt, NULL);
    sqlite3_reset(stmt);
    return err;
}

enum qs_err
qs_db_int(struct qs_ctx *cx, struct qs_db *db, const char *sql, int64_t *out)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum qs_err err = qs_db_prepare(cx, db, sql, &stmt);
    if (!err)
        err = qs_db_step(cx, db, stmt, &row);
    if (!err && !row)
        err = QS_ERR_NOT_FOUND;
    if (!err)
        *out = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return err;
}

/* Called every OPS_PER_CALL operations of sqlite's machine; not 0 ends the statement. */
static int
no_end(void *arg)
{
    struct qs_db *db = arg;
    db->ops_left -= OPS_PER_CALL;
    return db->ops_left < 0;
}

static void
refill(struct qs_db *db, int64_t bytes)
{
    db->text_left = (1 << 20) + 4 * bytes;
    db->ops_left = (32 << 20) + 16 * bytes;
}

enum qs_err
qs_db_begin(struct qs_ctx *cx, struct qs_db *db, bool write)
{
    int64_t pages = 0, size = 0;
    refill(db, 0);
    enum qs_err err = qs_db_exec(cx, db, write ? "BEGIN IMMEDIATE" : "BEGIN");
    if (err)
        return err;
    err = qs_db_int(cx, db, "PRAGMA page_count", &pages);
    if (!err)
        err = qs_db_int(cx, db, "PRAGMA page_size", &size);
    refill(db, pages * size);
    return err ? qs_db_finish(cx, db, err) : QS_OK;
}

enum qs_err
qs_db_finish(struct qs_ctx *cx, struct qs_db *db, enum qs_err err)
{
    if (!err)
        err = qs_db_exec(cx, db, "COMMIT");
    if (err && !sqlite3_get_autocommit(db->sql))
        sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

/* How the file is opened, tried in this order. */
enum way {
    WAY_SHARED,    /* as it should be */
    WAY_ALONE,     /* a WAL store where there is no shared memory (network file system) */
    WAY_UNCHANGED, /* a WAL store in a folder where nothing can be written */
};

/* What a database may bring along of someone else's making stays without effect. */
static int
configure(struct qs_db *db)
{
    static const struct {
        int option, on;
    } set[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
        {SQLITE_DBCONFIG_ENABLE_FKEY, 1},    {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
    };
    int rc = SQLITE_OK;
    for (size_t i = 0; i < QS_LEN(set) && rc == SQLITE_OK; i++)
        rc = sqlite3_db_config(db->sql, set[i].option, set[i].on, NULL);
    sqlite3_busy_timeout(db->sql, BUSY_MS);
    sqlite3_limit(db->sql, SQLITE_LIMIT_LENGTH, 64 << 20);
    sqlite3_limit(db->sql, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_progress_handler(db->sql, OPS_PER_CALL, no_end, db);
    refill(db, 0);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db->sql, "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0", NULL, NULL,
                          NULL);
    return rc;
}

/* "file:...?immutable=1" of a path. */
static char *
unchanged_uri(const char *path)
{
    struct qs_str uri;
    qs_str_init(&uri);
    qs_str_add(&uri, "file:");
    for (const char *p = path; *p; p++)
        qs_str_printf(&uri, isalnum((unsigned char)*p) || strchr("/._-", *p) ? "%c" : "%%%02X",
                      (unsigned char)*p);
    qs_str_add(&uri, "?immutable=1");
    return qs_str_take(&uri);
}

static int
open_file(struct qs_db *db, const char *path, enum way way)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (way == WAY_UNCHANGED) {
        char *uri = unchanged_uri(path);
        flags |= SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
        const int rc = sqlite3_open_v2(uri, &db->sql, flags, NULL);
        free(uri);
        return rc;
    }
    return sqlite3_open_v2(path, &db->sql, flags | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                           NULL);
}

/* Opens and reads the header; leaves db->sql for the message of a failure. */
static int
try_way(struct qs_db *db, const char *path, enum way way)
{
    sqlite3_close(db->sql);
    db->sql = NULL;
    int rc = open_file(db, path, way);
    if (rc == SQLITE_OK)
        rc = configure(db);
    if (rc == SQLITE_OK && way == WAY_ALONE)
        rc = sqlite3_exec(db->sql, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db->sql, "PRAGMA user_version", NULL, NULL, NULL);
    if (rc == SQLITE_OK && way == WAY_ALONE)
        rc = sqlite3_exec(db->sql,
                          "PRAGMA journal_mode = DELETE; PRAGMA locking_mode = NORMAL;"
                          "PRAGMA user_version",
                          NULL, NULL, NULL);
    return rc;
}

static bool
has_bytes(const char *path, const char *suffix)
{
    struct stat st;
    char *name = qs_xasprintf("%s%s", path, suffix);
    const bool yes = stat(name, &st) == 0 && st.st_size > 0;
    free(name);
    return yes;
}

static bool
other_way_may_help(int rc)
{
    const int code = rc & 0xFF;
    return code == SQLITE_CANTOPEN || code == SQLITE_IOERR || code == SQLITE_READONLY;
}

static enum qs_err
connect_to(struct qs_ctx *cx, struct qs_db *db, const char *path)
{
    const bool there = has_bytes(path, "");
    int rc = try_way(db, path, WAY_SHARED);
    if (other_way_may_help(rc) && there)
        rc = try_way(db, path, WAY_ALONE);
    /* With a journal to be played back the file alone is not a whole database. */
    if (other_way_may_help(rc) && there && !has_bytes(path, "-journal")) {
        rc = try_way(db, path, WAY_UNCHANGED);
        if (rc == SQLITE_OK && has_bytes(path, "-wal"))
            qs_warn(cx,
                    _("run store '%s': the newest runs are left out, its folder cannot be "
                      "written"),
                    db->path);
    }
    if (rc != SQLITE_OK)
        return fail(cx, db, rc);
    db->read_only = sqlite3_db_readonly(db->sql, "main") == 1;
    db->lock_path = qs_xasprintf("%s-lock", sqlite3_db_filename(db->sql, "main"));
    return QS_OK;
}

static enum qs_err
make_folder(struct qs_ctx *cx, struct qs_db *db, const char *folder)
{
    struct qs_ctx inner;
    qs_ctx_init_child(&inner, cx);
    if (qs_make_folders(&inner, folder))
        return qs_fail(cx, QS_ERR_DB, _("run store '%s': %s"), db->path, qs_message(&inner));
    if (access(folder, W_OK) != 0) /* sqlite would say that there is no such file */
        return qs_fail(cx, QS_ERR_DB, _("run store '%s': cannot write in its folder: %s"), db->path,
                       strerror(errno));
    return QS_OK;
}

/* For a store that is not there yet. */
static enum qs_err
make_folder_of(struct qs_ctx *cx, struct qs_db *db)
{
    const char *slash = strrchr(db->path, '/');
    if (!slash)
        return make_folder(cx, db, ".");
    char *folder = qs_xstrdup(db->path);
    folder[slash == db->path ? 1 : slash - db->path] = '\0';
    const enum qs_err err = make_folder(cx, db, folder);
    free(folder);
    return err;
}

/* sqlite would wait for ever on a FIFO, so nothing but a regular file gets that far. */
static enum qs_err
check_kinds(struct qs_ctx *cx, struct qs_db *db, const char *path)
{
    static const char *const suffix[] = {"", "-wal", "-shm", "-journal"};
    enum qs_err err = QS_OK;
    for (size_t i = 0; i < QS_LEN(suffix) && !err; i++) {
        struct stat st;
        char *name = qs_xasprintf("%s%s", path, suffix[i]);
        if (stat(name, &st) != 0) {
            if (errno != ENOENT)
                err = qs_fail(cx, QS_ERR_DB, _("run store '%s': %s"), db->path, strerror(errno));
        } else if (S_ISDIR(st.st_mode)) {
            err = qs_fail(cx, QS_ERR_DB, _("run store '%s': it is a folder"), name);
        } else if (!S_ISREG(st.st_mode)) {
            err = qs_fail(cx, QS_ERR_DB, _("run store '%s': it is not a regular file"), name);
        } else if (i == 0 && st.st_size == 1) { /* to sqlite this is an empty one */
            err = fail(cx, db, SQLITE_NOTADB);
        }
        free(name);
    }
    return err;
}

/* The file with links resolved, so that everyone finds the same files beside it; one that is not
 * there yet with "./" where sqlite would take the name for something else. */
static char *
resolved(const char *path)
{
    char *real = realpath(path, NULL);
    if (real)
        return real;
    return qs_xasprintf("%s%s", path[0] == '/' ? "" : "./", path);
}

/* WAL lets readers and a writer work at once and saves most fsyncs. Where it cannot be had, or
 * someone else is just using the file without it, the store works all the same. */
static enum qs_err
choose_journal(struct qs_ctx *cx, struct qs_db *db)
{
    if (db->read_only)
        return QS_OK;
    sqlite3_stmt *stmt = NULL;
    bool wal = false;
    sqlite3_busy_timeout(db->sql, 0);
    if (sqlite3_prepare_v2(db->sql, "PRAGMA journal_mode = WAL", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW) {
        const char *mode = (const char *)sqlite3_column_text(stmt, 0);
        wal = mode && strcmp(mode, "wal") == 0;
    }
    sqlite3_finalize(stmt);
    sqlite3_busy_timeout(db->sql, BUSY_MS);
    return qs_db_exec(cx, db, wal ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL");
}

static enum qs_err
open_store(struct qs_ctx *cx, struct qs_db *db)
{
    int version = 0;
    enum qs_err err = qs_exists(db->path) ? QS_OK : make_folder_of(cx, db);
    if (err)
        return err;
    char *path = resolved(db->path);
    err = check_kinds(cx, db, path);
    if (!err)
        err = connect_to(cx, db, path);
    if (!err)
        err = qs_db_version(cx, db, qs_db_n_steps, &version);
    if (!err)
        err = choose_journal(cx, db);
    if (!err && version < qs_db_n_steps)
        err = qs_db_migrate(cx, db, qs_db_steps, qs_db_n_steps);
    free(path);
    return err;
}

enum qs_err
qs_db_open(struct qs_ctx *cx, const char *path, struct qs_db **out)
{
    struct qs_db *db = qs_xcalloc(1, sizeof(*db));
    db->path = qs_xstrdup(path);
    db->lock_fd = db->probe_fd = -1;
    const enum qs_err err = open_store(cx, db);
    if (err) {
        if (db->sql) /* not even the log of a store that was refused is folded into it */
            sqlite3_db_config(db->sql, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        qs_db_close(db);
        db = NULL;
    }
    *out = db;
    return err;
}

void
qs_db_close(struct qs_db *db)
{
    if (!db)
        return;
    qs_db_alive_close(db);
    sqlite3_close(db->sql);
    free(db->lock_path);
    free(db->path);
    free(db);
}
