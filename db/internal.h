/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store share. Nothing outside db/ and its tests includes this. */
#ifndef QS_DB_INTERNAL_H
#define QS_DB_INTERNAL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/str.h"

struct qs_db {
    sqlite3 *sql;
    char *path;      /* as given, for messages */
    char *lock_path; /* beside the resolved file, see alive.c */
    int lock_fd;     /* holds the locks of runs begun here; -1: none yet */
    int probe_fd;    /* asks about locks; -1: not open */
    bool read_only;
    int64_t text_left; /* see qs_db_begin */
    int64_t ops_left;
};

/* For contents that no version of qslim writes: "run store 'p' is damaged: <what>". */
enum qs_err qs_db_damaged(struct qs_ctx *cx, struct qs_db *db, const char *what);

/* Runs statements that give no rows. */
enum qs_err qs_db_exec(struct qs_ctx *cx, struct qs_db *db, const char *sql) QS_MUST_CHECK;
enum qs_err qs_db_prepare(struct qs_ctx *cx, struct qs_db *db, const char *sql,
                          sqlite3_stmt **out) QS_MUST_CHECK;
/* *row: whether there is one (may be NULL when none is expected). */
enum qs_err qs_db_step(struct qs_ctx *cx, struct qs_db *db, sqlite3_stmt *stmt,
                       bool *row) QS_MUST_CHECK;
/* Steps once, then makes the statement ready for other values. */
enum qs_err qs_db_once(struct qs_ctx *cx, struct qs_db *db, sqlite3_stmt *stmt) QS_MUST_CHECK;
/* First column of the first row; QS_ERR_NOT_FOUND without a sentence when there is none. */
enum qs_err qs_db_int(struct qs_ctx *cx, struct qs_db *db, const char *sql,
                      int64_t *out) QS_MUST_CHECK;

/* Starts a transaction; a writing one waits for its turn here and nowhere else. It also sets what
 * the transaction may cost: a damaged file can hold a tree that never ends or many rows on the
 * same bytes, a sound one cannot give more text than it has bytes. */
enum qs_err qs_db_begin(struct qs_ctx *cx, struct qs_db *db, bool write) QS_MUST_CHECK;
/* Commits when `err` is QS_OK, else rolls back; returns what came of it. */
enum qs_err qs_db_finish(struct qs_ctx *cx, struct qs_db *db, enum qs_err err) QS_MUST_CHECK;

/* A step takes a store from version i to i + 1; version 0 is an empty file. Steps are only ever
 * appended. Each one and the new version number are one transaction. */
struct qs_db_step {
    const char *sql;
};
extern const struct qs_db_step qs_db_steps[];
extern const int qs_db_n_steps;
enum { QS_DB_APPLICATION = 0x51534C4D }; /* "QSLM", PRAGMA application_id */
/* Refuses what is not a store and what is newer than n; changes nothing. */
enum qs_err qs_db_version(struct qs_ctx *cx, struct qs_db *db, int n, int *version) QS_MUST_CHECK;
/* Takes the store from where it is to version n. */
enum qs_err qs_db_migrate(struct qs_ctx *cx, struct qs_db *db, const struct qs_db_step *step,
                          int n) QS_MUST_CHECK;

/* Where a column of a table lives in a struct. Statements, binding and reading follow an array of
 * these, so column order is the array's and each name is written once. */
enum qs_db_kind {
    QS_DB_TEXT,     /* char *, owned; NULL is stored as '', never read back as NULL */
    QS_DB_OPTIONAL, /* char *, owned; NULL or "" is stored as NULL, read back as "" */
    QS_DB_INT,      /* int, not negative */
    QS_DB_INT64,    /* int64_t, not negative */
    QS_DB_REF,      /* int64_t; 0 is NULL */
    QS_DB_REAL,     /* double, not NaN */
    QS_DB_MAYBE,    /* double; NaN is NULL */
    QS_DB_SHA256,   /* char[QS_SHA256_HEX] */
    QS_DB_INTS,     /* int32_t *, owned, and how many in an int; BLOB */
};
struct qs_db_column {
    const char *name;
    enum qs_db_kind kind;
    size_t offset;
    size_t count; /* INTS: where the number of elements is */
};
/* `name` in the table: where it may not be that of the field, a word of SQL. */
#define QS_DB_NAMED(type, name, field, kind)                 \
    {                                                        \
#name, QS_DB_##kind, offsetof(struct type, field), 0 \
    }
#define QS_DB_COLUMN(type, field, kind) QS_DB_NAMED(type, field, field, kind)
#define QS_DB_LIST(type, field, n_field)                                                 \
    {                                                                                    \
#field, QS_DB_INTS, offsetof(struct type, field), offsetof(struct type, n_field) \
    }

/* Appends "name, name, ...". */
void qs_db_names(struct qs_str *sql, const struct qs_db_column *column, int n);
/* Binds the columns to parameters first, first + 1, ... */
void qs_db_bind(sqlite3_stmt *stmt, int first, const struct qs_db_column *column, int n,
                const void *base);
/* Reads the columns of a row from result column `first` on into `base` (zeroed before). Returns
 * NULL, or the name of a column that holds what it cannot; `base` may be released in any case. */
const char *qs_db_read(struct qs_db *db, sqlite3_stmt *stmt, int first,
                       const struct qs_db_column *column, int n, void *base);
/* QS_ERR_DB when more was read than a sound file can hold. */
enum qs_err qs_db_check_cost(struct qs_ctx *cx, struct qs_db *db) QS_MUST_CHECK;

/* Takes away the checkpoints of a run inside a transaction. */
enum qs_err qs_db_checkpoint_drop(struct qs_ctx *cx, struct qs_db *db, int64_t run) QS_MUST_CHECK;

/* Upserts the model of a run inside a transaction; an empty format leaves the known one. */
struct qs_db_model;
enum qs_err qs_db_model_put(struct qs_ctx *cx, struct qs_db *db,
                            const struct qs_db_model *model) QS_MUST_CHECK;

/* Tells other processes that the run's process lives, until it ends in whatever way. */
enum qs_err qs_db_alive_hold(struct qs_ctx *cx, struct qs_db *db, int64_t id) QS_MUST_CHECK;
void qs_db_alive_drop(struct qs_db *db, int64_t id);
/* True only when the process that began the run is certainly gone. */
bool qs_db_is_dead(struct qs_db *db, int64_t id);
void qs_db_alive_close(struct qs_db *db);

#endif
