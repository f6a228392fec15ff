/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "db/db.h"
#include "db/internal.h"

static enum qs_err
put(struct qs_ctx *cx, struct qs_db *db, int64_t run, int position, const void *data, size_t n)
{
    sqlite3_stmt *stmt = NULL;
    enum qs_err err =
        qs_db_prepare(cx, db,
                      "INSERT INTO checkpoint (run, position, data) VALUES (?1, ?2, ?3)"
                      " ON CONFLICT (run, position) DO UPDATE SET data = excluded.data",
                      &stmt);
    if (!err) {
        sqlite3_bind_int64(stmt, 1, run);
        sqlite3_bind_int(stmt, 2, position);
        sqlite3_bind_blob64(stmt, 3, n ? data : "", n, SQLITE_STATIC);
        err = qs_db_step(cx, db, stmt, NULL);
    }
    sqlite3_finalize(stmt);
    return err;
}

enum qs_err
qs_db_checkpoint_put(struct qs_ctx *cx, struct qs_db *db, int64_t run, int position,
                     const void *data, size_t n)
{
    const enum qs_err err = qs_db_begin(cx, db, true);
    return err ? err : qs_db_finish(cx, db, put(cx, db, run, position, data, n));
}

static enum qs_err
take(struct qs_ctx *cx, struct qs_db *db, sqlite3_stmt *stmt, uint8_t **data, size_t *n)
{
    if (sqlite3_column_type(stmt, 0) != SQLITE_BLOB)
        return qs_db_damaged(cx, db, "a checkpoint cannot be read");
    const void *p = sqlite3_column_blob(stmt, 0);
    *n = (size_t)sqlite3_column_bytes(stmt, 0);
    *data = qs_xmalloc(*n + 1);
    if (*n)
        memcpy(*data, p, *n);
    return QS_OK;
}

static enum qs_err
get(struct qs_ctx *cx, struct qs_db *db, int64_t run, int position, uint8_t **data, size_t *n)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum qs_err err = qs_db_prepare(
        cx, db, "SELECT data FROM checkpoint WHERE run = ?1 AND position = ?2", &stmt);
    if (!err) {
        sqlite3_bind_int64(stmt, 1, run);
        sqlite3_bind_int(stmt, 2, position);
        err = qs_db_step(cx, db, stmt, &row);
    }
    if (!err)
        err = row ? take(cx, db, stmt, data, n)
                  : qs_fail(cx, QS_ERR_NOT_FOUND, _("run %lld has nothing to go on from"),
                            (long long)run);
    sqlite3_finalize(stmt);
    return err;
}

enum qs_err
qs_db_checkpoint_get(struct qs_ctx *cx, struct qs_db *db, int64_t run, int position, uint8_t **data,
                     size_t *n)
{
    *data = NULL;
    *n = 0;
    const enum qs_err err = qs_db_begin(cx, db, false);
    return err ? err : qs_db_finish(cx, db, get(cx, db, run, position, data, n));
}

enum qs_err
qs_db_checkpoint_drop(struct qs_ctx *cx, struct qs_db *db, int64_t run)
{
    sqlite3_stmt *stmt = NULL;
    enum qs_err err = qs_db_prepare(cx, db, "DELETE FROM checkpoint WHERE run = ?1", &stmt);
    if (!err) {
        sqlite3_bind_int64(stmt, 1, run);
        err = qs_db_step(cx, db, stmt, NULL);
    }
    sqlite3_finalize(stmt);
    return err;
}
