/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "db/internal.h"

/* Columns and units are described in qslim-db(5). */
static const char version_1[] =
    "PRAGMA application_id = 0x51534C4D;\n"
    "CREATE TABLE model (\n"
    "  digest TEXT PRIMARY KEY NOT NULL, -- sha256 of program and parameters\n"
    "  path TEXT NOT NULL,               -- where it was seen last\n"
    "  format TEXT NOT NULL,             -- pdmodel, model, pir, ...; '' not known\n"
    "  bytes INTEGER NOT NULL CHECK (bytes >= 0),\n"
    "  last_seen REAL NOT NULL           -- seconds since 1970\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE TABLE run (\n"
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
    "  parent INTEGER REFERENCES run (id) ON DELETE SET NULL, -- the run it repeats\n"
    "  kind TEXT NOT NULL,           -- quantize, ...\n"
    "  state TEXT NOT NULL,          -- running, done, failed, cancelled, interrupted\n"
    "  model_path TEXT NOT NULL,\n"
    "  model_digest TEXT REFERENCES model (digest), -- NULL: not known (yet)\n"
    "  model_bytes INTEGER NOT NULL CHECK (model_bytes >= 0),\n"
    "  plan TEXT NOT NULL,           -- text form of the plan\n"
    "  method TEXT NOT NULL,\n"
    "  bits INTEGER NOT NULL CHECK (bits >= 0),\n"
    "  version TEXT NOT NULL,        -- of qslim\n"
    "  machine TEXT NOT NULL,        -- model of the CPU\n"
    "  isa TEXT NOT NULL,            -- of the kernels used\n"
    "  threads INTEGER NOT NULL CHECK (threads >= 0),\n"
    "  started REAL NOT NULL,        -- seconds since 1970\n"
    "  seconds REAL NOT NULL,        -- how long it took\n"
    "  bytes_before INTEGER NOT NULL CHECK (bytes_before >= 0),\n"
    "  bytes_after INTEGER NOT NULL CHECK (bytes_after >= 0),\n"
    "  output TEXT NOT NULL,         -- folder; '' none\n"
    "  tag TEXT NOT NULL,\n"
    "  message TEXT NOT NULL         -- of a failed run\n"
    ") STRICT;\n"
    "CREATE INDEX run_model ON run (model_digest);\n"
    "CREATE INDEX run_parent ON run (parent) WHERE parent IS NOT NULL;\n"
    "CREATE INDEX run_running ON run (state) WHERE state = 'running';\n"
    "CREATE TABLE layer (\n"
    "  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,\n"
    "  position INTEGER NOT NULL,    -- 0, 1, ... in the order of the model\n"
    "  weight TEXT NOT NULL,\n"
    "  op_type TEXT NOT NULL,\n"
    "  action TEXT NOT NULL,         -- int8, int16, simulated, kept, skipped\n"
    "  reason TEXT NOT NULL,\n"
    "  bits INTEGER NOT NULL CHECK (bits >= 0), -- 0: left as it was\n"
    "  scale_count INTEGER NOT NULL CHECK (scale_count >= 0),\n"
    "  sqnr_db REAL,                 -- dB; NULL: does not apply\n"
    "  bytes_before INTEGER NOT NULL CHECK (bytes_before >= 0),\n"
    "  bytes_after INTEGER NOT NULL CHECK (bytes_after >= 0),\n"
    "  scale_bytes INTEGER NOT NULL CHECK (scale_bytes >= 0),\n"
    "  PRIMARY KEY (run, position)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE TABLE metric (\n"
    "  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,\n"
    "  position INTEGER NOT NULL,\n"
    "  name TEXT NOT NULL,\n"
    "  value REAL,\n"
    "  low REAL,                     -- ends of the 95 % interval; NULL: none\n"
    "  high REAL,\n"
    "  PRIMARY KEY (run, position)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE TABLE file (\n"
    "  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,\n"
    "  position INTEGER NOT NULL,\n"
    "  path TEXT NOT NULL,\n"
    "  bytes INTEGER NOT NULL CHECK (bytes >= 0),\n"
    "  sha256 TEXT NOT NULL,         -- 64 hex digits\n"
    "  PRIMARY KEY (run, position)\n"
    ") STRICT, WITHOUT ROWID;\n";

static const char version_2[] =
    "ALTER TABLE run ADD COLUMN output_digest TEXT NOT NULL DEFAULT ''; -- of the model it wrote\n"
    "CREATE TABLE sensitivity (\n"
    "  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,\n"
    "  position INTEGER NOT NULL,    -- 0, 1, ... worst first\n"
    "  weight TEXT NOT NULL,\n"
    "  op_type TEXT NOT NULL,\n"
    "  mode TEXT NOT NULL,           -- weights, activations, both\n"
    "  bits INTEGER NOT NULL CHECK (bits >= 0),\n"
    "  metric REAL,                  -- this layer alone quantized; NULL: not evaluated\n"
    "  metric_drop REAL,\n"
    "  others_metric REAL,           -- all but this layer quantized\n"
    "  others_drop REAL,\n"
    "  cosine REAL,                  -- of the output of the model\n"
    "  sqnr_db REAL,                 -- of the output of the layer, its input clean\n"
    "  accumulated_db REAL,          -- the same, all layers quantized\n"
    "  weight_db REAL,               -- of the weight\n"
    "  bytes_float INTEGER NOT NULL CHECK (bytes_float >= 0),\n"
    "  bytes_quant INTEGER NOT NULL CHECK (bytes_quant >= 0),\n"
    "  PRIMARY KEY (run, position)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE TABLE activation (\n"
    "  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,\n"
    "  position INTEGER NOT NULL,    -- 0, 1, ... in the order of the model\n"
    "  var TEXT NOT NULL,\n"
    "  op_type TEXT NOT NULL,        -- that reads it\n"
    "  min REAL,\n"
    "  max REAL,\n"
    "  n_samples INTEGER NOT NULL CHECK (n_samples >= 0),\n"
    "  n_bad INTEGER NOT NULL CHECK (n_bad >= 0), -- samples left out: NaN or infinity\n"
    "  algo TEXT NOT NULL,           -- that was taken\n"
    "  threshold REAL,\n"
    "  sqnr_db REAL,                 -- at that threshold\n"
    "  width REAL,                   -- of a bin of |x|\n"
    "  count BLOB NOT NULL,          -- of each bin, 4 bytes\n"
    "  thresholds TEXT NOT NULL,     -- of all algorithms: 'abs_max=1.25 KL=0.98'\n"
    "  PRIMARY KEY (run, position)\n"
    ") STRICT;\n"
    "CREATE TABLE checkpoint (\n"
    "  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,\n"
    "  position INTEGER NOT NULL,\n"
    "  data BLOB NOT NULL,           -- what the run goes on from\n"
    "  PRIMARY KEY (run, position)\n"
    ") STRICT;\n";

/* Append only: a released step is never edited. With each new one goes the text of a store of the
 * version before it into tests/db. */
const struct qs_db_step qs_db_steps[] = {
    {version_1},
    {version_2},
};
const int qs_db_n_steps = (int)QS_LEN(qs_db_steps);

/* Refuses a database of another program (whatever its user_version says) and a newer store. */
static enum qs_err
check_identity(struct qs_ctx *cx, struct qs_db *db, int64_t application, int64_t version,
               int64_t objects, int n)
{
    const bool fresh = application == 0 && version == 0 && objects == 0;
    if (!fresh && (application != QS_DB_APPLICATION || version < 1))
        return qs_fail(cx, QS_ERR_DB, _("'%s' is not a run store but some other database"),
                       db->path);
    if (version > n)
        return qs_fail(cx, QS_ERR_DB,
                       _("run store '%s' has version %d, this qslim knows versions up to %d"),
                       db->path, (int)version, n);
    return QS_OK;
}

/* Inside a transaction. */
static enum qs_err
inspect(struct qs_ctx *cx, struct qs_db *db, int n, int *version)
{
    int64_t application = 0, user = 0, objects = 0;
    enum qs_err err = qs_db_int(cx, db, "PRAGMA application_id", &application);
    if (!err)
        err = qs_db_int(cx, db, "PRAGMA user_version", &user);
    if (!err)
        err = qs_db_int(cx, db, "SELECT count(*) FROM (SELECT 1 FROM sqlite_schema LIMIT 1)",
                        &objects);
    if (!err)
        err = check_identity(cx, db, application, user, objects, n);
    *version = (int)user;
    return err;
}

/* Another program may have been here since; the version counts that is seen inside. */
static enum qs_err
one_step(struct qs_ctx *cx, struct qs_db *db, const struct qs_db_step *step, int n, int *version)
{
    char pragma[64];
    enum qs_err err = qs_db_begin(cx, db, true);
    if (err)
        return err;
    err = inspect(cx, db, n, version);
    if (!err && *version < n) {
        err = qs_db_exec(cx, db, step[*version].sql);
        sqlite3_snprintf(sizeof(pragma), pragma, "PRAGMA user_version = %d", ++*version);
        if (!err)
            err = qs_db_exec(cx, db, pragma);
    }
    return qs_db_finish(cx, db, err);
}

enum qs_err
qs_db_version(struct qs_ctx *cx, struct qs_db *db, int n, int *version)
{
    *version = 0;
    const enum qs_err err = qs_db_begin(cx, db, false);
    return err ? err : qs_db_finish(cx, db, inspect(cx, db, n, version));
}

enum qs_err
qs_db_migrate(struct qs_ctx *cx, struct qs_db *db, const struct qs_db_step *step, int n)
{
    int version = 0;
    enum qs_err err = qs_db_version(cx, db, n, &version);
    if (!err && version < n && db->read_only)
        return qs_fail(cx, QS_ERR_DB,
                       _("run store '%s' has version %d and cannot be brought to %d: it is "
                         "read-only"),
                       db->path, version, n);
    while (!err && version < n)
        err = one_step(cx, db, step, n, &version);
    return err;
}
