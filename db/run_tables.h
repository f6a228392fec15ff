/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of a run and of the tables whose rows belong to it, for db/run_write.c and
 * db/run_read.c. */
#ifndef QS_DB_RUN_TABLES_H
#define QS_DB_RUN_TABLES_H

#include "db/internal.h"

enum { QS_DB_N_RUN = 21 };
extern const struct qs_db_column *const qs_db_run_column; /* [QS_DB_N_RUN], parent first */

/* A table, and where a run has its rows. */
struct qs_db_part {
    const char *table;
    const struct qs_db_column *column;
    int n_column;
    size_t size;     /* of an element */
    size_t at, at_n; /* of array and count in struct qs_run */
};
enum { QS_DB_METRICS, QS_DB_N_PARTS = 5 };
extern const struct qs_db_part *const qs_db_parts; /* [QS_DB_N_PARTS] */

/* QS_ERR_NOT_FOUND, with the sentence. */
enum qs_err qs_db_no_run(struct qs_ctx *cx, const struct qs_db *db, int64_t id);

#endif
