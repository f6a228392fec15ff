/* SPDX-License-Identifier: Apache-2.0 */
#include "db/run_tables.h"

#include <assert.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "model/run.h"

#define RUN(field, kind) QS_DB_COLUMN(qs_run, field, kind)
static const struct qs_db_column run_column[] = {
    RUN(parent, REF),
    RUN(kind, TEXT),
    RUN(state, TEXT),
    RUN(model_path, TEXT),
    RUN(model_digest, OPTIONAL),
    RUN(model_bytes, INT64),
    RUN(plan, TEXT),
    RUN(method, TEXT),
    RUN(bits, INT),
    RUN(version, TEXT),
    RUN(machine, TEXT),
    RUN(isa, TEXT),
    RUN(threads, INT),
    RUN(started, REAL),
    RUN(seconds, REAL),
    RUN(bytes_before, INT64),
    RUN(bytes_after, INT64),
    RUN(output, TEXT),
    RUN(tag, TEXT),
    RUN(message, TEXT),
    RUN(output_digest, TEXT),
};
static_assert(QS_LEN(run_column) == QS_DB_N_RUN, "columns of a run");
const struct qs_db_column *const qs_db_run_column = run_column;

#define LAYER(field, kind) QS_DB_COLUMN(qs_run_layer, field, kind)
static const struct qs_db_column layer_column[] = {
    LAYER(weight, TEXT),       LAYER(op_type, TEXT),       LAYER(action, TEXT),
    LAYER(reason, TEXT),       LAYER(bits, INT),           LAYER(scale_count, INT),
    LAYER(sqnr_db, MAYBE),     LAYER(bytes_before, INT64), LAYER(bytes_after, INT64),
    LAYER(scale_bytes, INT64),
};
#define METRIC(field, kind) QS_DB_COLUMN(qs_run_metric, field, kind)
static const struct qs_db_column metric_column[] = {
    METRIC(name, TEXT),
    METRIC(value, MAYBE),
    METRIC(low, MAYBE),
    METRIC(high, MAYBE),
};
#define FILE_(field, kind) QS_DB_COLUMN(qs_file_info, field, kind)
static const struct qs_db_column file_column[] = {
    FILE_(path, TEXT),
    FILE_(bytes, INT64),
    FILE_(sha256, SHA256),
};

#define SENSE(field, kind) QS_DB_COLUMN(qs_run_sensitivity, field, kind)
static const struct qs_db_column sensitivity_column[] = {
    SENSE(weight, TEXT),
    SENSE(op_type, TEXT),
    SENSE(mode, TEXT),
    SENSE(bits, INT),
    SENSE(metric, MAYBE),
    QS_DB_NAMED(qs_run_sensitivity, metric_drop, drop, MAYBE),
    SENSE(others_metric, MAYBE),
    SENSE(others_drop, MAYBE),
    SENSE(cosine, MAYBE),
    SENSE(sqnr_db, MAYBE),
    SENSE(accumulated_db, MAYBE),
    SENSE(weight_db, MAYBE),
    SENSE(bytes_float, INT64),
    SENSE(bytes_quant, INT64),
};
#define SEEN(field, kind) QS_DB_COLUMN(qs_run_activation, field, kind)
static const struct qs_db_column activation_column[] = {
    SEEN(var, TEXT),
    SEEN(op_type, TEXT),
    SEEN(min, MAYBE),
    SEEN(max, MAYBE),
    SEEN(n_samples, INT64),
    SEEN(n_bad, INT64),
    SEEN(algo, TEXT),
    SEEN(threshold, MAYBE),
    SEEN(sqnr_db, MAYBE),
    SEEN(width, MAYBE),
    QS_DB_LIST(qs_run_activation, count, n_bin),
    SEEN(thresholds, TEXT),
};

#define PART(name)                                                                        \
    {                                                                                     \
#name, name##_column, QS_LEN(name##_column), sizeof(*((struct qs_run *)0)->name), \
            offsetof(struct qs_run, name), offsetof(struct qs_run, n_##name)              \
    }
static const struct qs_db_part parts[] = {PART(metric), PART(layer), PART(file), PART(sensitivity),
                                          PART(activation)};
static_assert(QS_LEN(parts) == QS_DB_N_PARTS, "tables of a run");
const struct qs_db_part *const qs_db_parts = parts;

enum qs_err
qs_db_no_run(struct qs_ctx *cx, const struct qs_db *db, int64_t id)
{
    return qs_fail(cx, QS_ERR_NOT_FOUND, _("no run %lld in '%s'"), (long long)id, db->path);
}
