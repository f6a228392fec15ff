/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the file of a run store: open it, list, read, change and remove every run. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/db.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64], path[128];

static void
remove_files(void)
{
    static const char *const suffix[] = {"", "-wal", "-shm", "-journal", "-lock"};
    for (size_t i = 0; i < sizeof(suffix) / sizeof(*suffix); i++) {
        char name[160];
        snprintf(name, sizeof(name), "%s%s", path, suffix[i]);
        unlink(name);
    }
}

static void
leave(void)
{
    remove_files();
    rmdir(folder);
}

static void
make_folder(void)
{
    if (folder[0])
        return;
    strcpy(folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz_db.XXXXXX" : "fuzz_db.XXXXXX");
    if (!mkdtemp(folder))
        abort();
    snprintf(path, sizeof(path), "%s/runs.db", folder);
    atexit(leave);
}

static void
write_file(const uint8_t *data, size_t size)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    close(fd);
}

/* Touches every byte of what was read, for the sanitizers. */
static size_t
use_run(const struct qs_run *run)
{
    size_t n = strlen(run->kind) + strlen(run->state) + strlen(run->model_path) +
               strlen(run->model_digest) + strlen(run->plan) + strlen(run->message);
    for (int i = 0; i < run->n_layer; i++)
        n += strlen(run->layer[i].weight) + strlen(run->layer[i].reason);
    for (int i = 0; i < run->n_metric; i++)
        n += strlen(run->metric[i].name);
    for (int i = 0; i < run->n_file; i++)
        n += strlen(run->file[i].path) + strlen(run->file[i].sha256);
    for (int i = 0; i < run->n_sensitivity; i++)
        n += strlen(run->sensitivity[i].weight) + strlen(run->sensitivity[i].mode);
    for (int i = 0; i < run->n_activation; i++) {
        const struct qs_run_activation *a = &run->activation[i];
        n += strlen(a->var) + strlen(a->thresholds);
        for (int k = 0; k < a->n_bin; k++)
            n += (size_t)(a->count[k] & 1);
    }
    return n;
}

static size_t
use_one(struct qs_ctx *cx, struct qs_db *db, int64_t id)
{
    struct qs_run run;
    size_t n = 0;
    if (qs_db_run(cx, db, id, &run) == QS_OK) {
        n = use_run(&run);
        qs_run_release(&run);
    }
    uint8_t *data;
    size_t size;
    if (qs_db_checkpoint_get(cx, db, id, 0, &data, &size) == QS_OK && size)
        n += data[0] + data[size - 1];
    free(data);
    qs_clear(cx);
    if (qs_db_run_resume(cx, db, id) || qs_db_run_tag(cx, db, id, "tag"))
        n++;
    qs_clear(cx);
    if (qs_db_run_remove(cx, db, id))
        n++;
    qs_clear(cx);
    return n;
}

static size_t
use_store(struct qs_ctx *cx, struct qs_db *db)
{
    enum { MOST = 64 };
    struct qs_runs runs;
    struct qs_db_model *model;
    struct qs_run run = {.model_digest = (char[]){"d"}, .model_path = (char[]){"p"}};
    size_t n = 0;
    int n_model;
    if (qs_db_models(cx, db, &model, &n_model) == QS_OK)
        qs_db_models_free(model, n_model);
    qs_clear(cx);
    if (qs_db_runs(cx, db, NULL, &runs) == QS_OK) {
        for (int i = 0; i < runs.n && i < MOST; i++)
            n += use_run(&runs.run[i]) + use_one(cx, db, runs.run[i].id);
        qs_runs_release(&runs);
    }
    qs_clear(cx);
    if (qs_db_run_begin(cx, db, &run) == QS_OK)
        n += use_one(cx, db, run.id);
    return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qs_ctx cx;
    struct qs_db *db;
    make_folder();
    remove_files();
    write_file(data, size);
    qs_ctx_init(&cx);
    if (qs_db_open(&cx, path, &db) == QS_OK) {
        use_store(&cx, db);
        qs_db_close(db);
    }
    return 0;
}
