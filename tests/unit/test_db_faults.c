/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crashes and full disks at every single write of sqlite: its table of system calls is changed in a
 * child process, so the code under test has no hooks for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "db_fixture.h"

static int writes_left;  /* until it happens; negative: never */
static bool writes_kill; /* else the disk is full from there on */

static bool
write_is_hit(void)
{
    if (writes_left < 0 || writes_left-- > 0)
        return false;
    if (writes_kill)
        kill(getpid(), SIGKILL);
    writes_left = 0;
    return true;
}

static ssize_t
hit_pwrite(int fd, const void *p, size_t n, off_t offset)
{
    if (!write_is_hit())
        return pwrite(fd, p, n, offset);
    errno = ENOSPC;
    return -1;
}

static ssize_t
hit_write(int fd, const void *p, size_t n)
{
    if (!write_is_hit())
        return write(fd, p, n);
    errno = ENOSPC;
    return -1;
}

static int
hit_ftruncate(int fd, off_t n)
{
    if (!write_is_hit())
        return ftruncate(fd, n);
    errno = EIO;
    return -1;
}

static int
hit_unlink(const char *path)
{
    if (writes_kill)
        (void)write_is_hit();
    return unlink(path);
}

static void
hit_after(int n, bool kills)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find("unix");
    writes_left = n;
    writes_kill = kills;
    vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)hit_pwrite);
    vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)hit_pwrite);
    vfs->xSetSystemCall(vfs, "write", (sqlite3_syscall_ptr)hit_write);
    vfs->xSetSystemCall(vfs, "ftruncate", (sqlite3_syscall_ptr)hit_ftruncate);
    vfs->xSetSystemCall(vfs, "unlink", (sqlite3_syscall_ptr)hit_unlink);
}

/* Runs */

static int hit_at;
static bool hit_kills;

static int
store_with_hit(void)
{
    hit_after(hit_at, hit_kills);
    return store_in_child();
}

/* At each write in turn, until one child comes through untouched. */
static void
hit_every_write(bool kills, bool existing, int when_hit)
{
    enum { MOST = 1000 };
    int n = 0;
    hit_kills = kills;
    for (; n < MOST; n++) {
        remove_store(at("runs.db"));
        if (existing)
            make_store(at("runs.db"), 1);
        hit_at = n;
        const int status = in_child(store_with_hit);
        assert_sound(at("runs.db"), existing ? 2 : 1);
        /* With a full disk the log may still stand where folding it into the file failed. */
        if (status == FINE && (kills || n > 60))
            break;
        assert_true(status == when_hit || (status == FINE && !kills));
    }
    assert_in_range(n, 5, MOST - 1);
}

static void
a_kill_at_any_write_of_a_new_store_leaves_a_sound_one(void **state)
{
    (void)state;
    hit_every_write(true, false, -1);
}

static void
a_kill_at_any_write_of_a_run_leaves_a_sound_store(void **state)
{
    (void)state;
    hit_every_write(true, true, -1);
}

static void
a_disk_full_at_any_write_is_reported(void **state)
{
    (void)state;
    hit_every_write(false, false, REPORTED);
    hit_every_write(false, true, REPORTED);
}

static int
store_with_size_limit(void)
{
    const struct rlimit limit = {60000, 60000};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    int status = FINE;
    for (int i = 0; i < 100 && status == FINE; i++)
        status = store_in_child();
    return status;
}

static void
a_file_size_limit_is_reported(void **state)
{
    (void)state;
    assert_int_equal(in_child(store_with_size_limit), REPORTED);
    assert_sound(at("runs.db"), 100);
}

/* Migrations */

/* Steps that later versions could have, after the real ones. */
enum { MORE = 2 };
static struct qs_db_step more_steps[16];

static int
make_more_steps(void)
{
    const int n = qs_db_n_steps;
    memcpy(more_steps, qs_db_steps, (size_t)n * sizeof(*more_steps));
    more_steps[n].sql = "CREATE TABLE extra (run INTEGER REFERENCES run (id)) STRICT;"
                        "INSERT INTO extra SELECT id FROM run;"
                        "CREATE INDEX extra_run ON extra (run);";
    more_steps[n + 1].sql = "ALTER TABLE extra ADD COLUMN note TEXT NOT NULL DEFAULT '';"
                            "UPDATE extra SET note = 'n' || run;";
    return n + MORE;
}

static int
migrate_in_child(void)
{
    struct qs_ctx cx;
    struct qs_db *db;
    qs_ctx_init(&cx);
    if (qs_db_open(&cx, at("runs.db"), &db))
        return WRONG;
    hit_after(hit_at, hit_kills);
    const enum qs_err err = qs_db_migrate(&cx, db, more_steps, make_more_steps());
    qs_db_close(db);
    return err ? report(&cx) : FINE;
}

static void
assert_between_versions(const char *path)
{
    static const char *const found[MORE + 1] = {"0|0\n", "2|0\n", "2|1\n"};
    char *version = raw_text(path, "PRAGMA user_version");
    const int k = atoi(version) - qs_db_n_steps;
    free(version);
    assert_in_range(k, 0, MORE);
    assert_text(path,
                "SELECT count(*), count(*) FILTER (WHERE sql LIKE '%note%') FROM sqlite_schema"
                " WHERE tbl_name = 'extra'",
                found[k]);
    if (k == MORE)
        assert_text(path, "SELECT count(*) FROM extra WHERE note = 'n' || run", "3\n");
    assert_text(path, "PRAGMA integrity_check", "ok\n");
    assert_text(path, "SELECT count(*) FROM run", "3\n");
}

static void
migrate_with_hits(bool kills, int when_hit)
{
    enum { MOST = 200 };
    int status = when_hit;
    hit_kills = kills;
    for (hit_at = 0; status == when_hit && hit_at < MOST; hit_at++) {
        remove_store(at("runs.db"));
        make_store(at("runs.db"), 3);
        status = in_child(migrate_in_child);
        assert_between_versions(at("runs.db"));
    }
    assert_int_equal(status, FINE);
    assert_in_range(hit_at, 5, MOST - 1);
}

static void
a_kill_in_a_migration_leaves_one_version_or_the_next(void **state)
{
    (void)state;
    migrate_with_hits(true, -1);
}

static void
a_full_disk_in_a_migration_leaves_one_version_or_the_next(void **state)
{
    (void)state;
    migrate_with_hits(false, REPORTED);
}

static void
a_step_that_fails_leaves_the_version_before_it(void **state)
{
    struct qs_ctx cx;
    struct qs_db *db;
    (void)state;
    qs_ctx_init(&cx);
    make_store(at("runs.db"), 3);
    assert_done(&cx, qs_db_open(&cx, at("runs.db"), &db));
    const int n = make_more_steps();
    more_steps[n - 1].sql = "ALTER TABLE extra ADD COLUMN note TEXT; CREATE TABLE run (x);";
    assert_int_equal(qs_db_migrate(&cx, db, more_steps, n), QS_ERR_DB);
    qs_db_close(db);
    assert_between_versions(at("runs.db"));
    assert_refused_unchanged(at("runs.db"), "knows versions up to");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(a_kill_at_any_write_of_a_new_store_leaves_a_sound_one),
        DB_TEST(a_kill_at_any_write_of_a_run_leaves_a_sound_store),
        DB_TEST(a_disk_full_at_any_write_is_reported),
        DB_TEST(a_file_size_limit_is_reported),
        DB_TEST(a_kill_in_a_migration_leaves_one_version_or_the_next),
        DB_TEST(a_full_disk_in_a_migration_leaves_one_version_or_the_next),
        DB_TEST(a_step_that_fails_leaves_the_version_before_it),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
