/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "db/internal.h"

enum { ROW_COST = 64 }; /* memory of a row beside its text, see qs_db_begin */

void
qs_db_names(struct qs_str *sql, const struct qs_db_column *column, int n)
{
    for (int i = 0; i < n; i++)
        qs_str_printf(sql, "%s%s", i ? ", " : "", column[i].name);
}

static void
bind_text(sqlite3_stmt *stmt, int at, const char *s, bool optional)
{
    if (optional && (!s || !*s))
        sqlite3_bind_null(stmt, at);
    else
        sqlite3_bind_text(stmt, at, s ? s : "", -1, SQLITE_STATIC);
}

/* Numbers are little-endian in the store, as on every machine qslim is built for. */
static void
bind_ints(sqlite3_stmt *stmt, int at, const int32_t *v, int n)
{
    if (n > 0)
        sqlite3_bind_blob64(stmt, at, v, (sqlite3_uint64)n * sizeof(*v), SQLITE_STATIC);
    else
        sqlite3_bind_zeroblob(stmt, at, 0);
}

static void
bind_one(sqlite3_stmt *stmt, int at, const struct qs_db_column *column, const char *base)
{
    const void *p = base + column->offset;
    switch (column->kind) {
    case QS_DB_TEXT:
    case QS_DB_OPTIONAL:
        bind_text(stmt, at, *(char *const *)p, column->kind == QS_DB_OPTIONAL);
        break;
    case QS_DB_INT:
        sqlite3_bind_int(stmt, at, *(const int *)p);
        break;
    case QS_DB_INT64:
        sqlite3_bind_int64(stmt, at, *(const int64_t *)p);
        break;
    case QS_DB_REF:
        if (*(const int64_t *)p)
            sqlite3_bind_int64(stmt, at, *(const int64_t *)p);
        else
            sqlite3_bind_null(stmt, at);
        break;
    case QS_DB_REAL: /* sqlite makes NULL of NaN, and the column takes none */
        sqlite3_bind_double(stmt, at, isnan(*(const double *)p) ? 0 : *(const double *)p);
        break;
    case QS_DB_MAYBE:
        sqlite3_bind_double(stmt, at, *(const double *)p);
        break;
    case QS_DB_SHA256:
        sqlite3_bind_text(stmt, at, p, -1, SQLITE_STATIC);
        break;
    case QS_DB_INTS:
        bind_ints(stmt, at, *(int32_t *const *)p, *(const int *)(base + column->count));
        break;
    }
}

/* A value that cannot be bound (too long, no memory) stays NULL, and NOT NULL refuses the row. */
void
qs_db_bind(sqlite3_stmt *stmt, int first, const struct qs_db_column *column, int n,
           const void *base)
{
    for (int i = 0; i < n; i++)
        bind_one(stmt, first + i, &column[i], base);
}

/* The functions below take the values of a row themselves: three calls for each of a dozen columns
 * are what listing many runs costs. A store is used from one thread, so they need no protection. */
static bool
read_text(struct qs_db *db, sqlite3_value *v, bool optional, char **out)
{
    const int type = sqlite3_value_type(v);
    if (optional && type == SQLITE_NULL) {
        *out = qs_xstrdup("");
        return true;
    }
    const unsigned char *s = type == SQLITE_TEXT ? sqlite3_value_text(v) : NULL;
    if (!s)
        return false;
    const size_t n = (size_t)sqlite3_value_bytes(v);
    db->text_left -= (int64_t)n;
    *out = memcpy(qs_xmalloc(n + 1), s, n + 1);
    return true;
}

static bool
read_int(sqlite3_value *v, int64_t most, int64_t *out)
{
    *out = sqlite3_value_int64(v);
    return sqlite3_value_type(v) == SQLITE_INTEGER && *out >= 0 && *out <= most;
}

static bool
read_real(sqlite3_value *v, bool maybe, double *out)
{
    const int type = sqlite3_value_type(v);
    *out = type == SQLITE_NULL ? NAN : sqlite3_value_double(v);
    return type == SQLITE_FLOAT || type == SQLITE_INTEGER || (maybe && type == SQLITE_NULL);
}

static bool
read_sha256(sqlite3_value *v, char *out)
{
    const unsigned char *s = sqlite3_value_type(v) == SQLITE_TEXT ? sqlite3_value_text(v) : NULL;
    if (!s || strlen((const char *)s) >= QS_SHA256_HEX)
        return false;
    strcpy(out, (const char *)s);
    return true;
}

static bool
read_ints(struct qs_db *db, sqlite3_value *v, int32_t **out, int *n)
{
    if (sqlite3_value_type(v) != SQLITE_BLOB)
        return false;
    const void *p = sqlite3_value_blob(v);
    const size_t bytes = (size_t)sqlite3_value_bytes(v);
    if (bytes % sizeof(**out) != 0 || (bytes && !p))
        return false;
    db->text_left -= (int64_t)bytes;
    *n = (int)(bytes / sizeof(**out));
    *out = bytes ? memcpy(qs_xmalloc(bytes), p, bytes) : NULL;
    return true;
}

static bool
read_one(struct qs_db *db, sqlite3_value *v, const struct qs_db_column *column, char *base)
{
    void *p = base + column->offset;
    int64_t i = 0;
    bool ok;
    switch (column->kind) {
    case QS_DB_TEXT:
    case QS_DB_OPTIONAL:
        return read_text(db, v, column->kind == QS_DB_OPTIONAL, p);
    case QS_DB_INT:
        ok = read_int(v, INT_MAX, &i);
        *(int *)p = ok ? (int)i : 0;
        return ok;
    case QS_DB_INT64:
        return read_int(v, INT64_MAX, p);
    case QS_DB_REF:
        return read_int(v, INT64_MAX, p) || sqlite3_value_type(v) == SQLITE_NULL;
    case QS_DB_REAL:
    case QS_DB_MAYBE:
        return read_real(v, column->kind == QS_DB_MAYBE, p);
    case QS_DB_SHA256:
        return read_sha256(v, p);
    case QS_DB_INTS:
        return read_ints(db, v, p, (int *)(base + column->count));
    }
    return false;
}

const char *
qs_db_read(struct qs_db *db, sqlite3_stmt *stmt, int first, const struct qs_db_column *column,
           int n, void *base)
{
    db->text_left -= ROW_COST;
    for (int i = 0; i < n; i++)
        if (!read_one(db, sqlite3_column_value(stmt, first + i), &column[i], base))
            return column[i].name;
    return NULL;
}

enum qs_err
qs_db_check_cost(struct qs_ctx *cx, struct qs_db *db)
{
    return db->text_left < 0 ? qs_db_damaged(cx, db, "rows overlap") : QS_OK;
}
