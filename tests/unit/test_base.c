/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/parallel.h"
#include "base/pattern.h"
#include "base/str.h"

/* Arena */

static void
arena_gives_aligned_blocks_of_any_size(void **state)
{
    static const size_t size[] = {0, 1, 15, 16, 17, 4096, 20000, 1 << 20, 3 << 20, 5};
    struct qs_arena a;
    unsigned char *p[QS_LEN(size)];
    (void)state;
    qs_arena_init(&a);
    for (size_t i = 0; i < QS_LEN(size); i++) {
        p[i] = qs_arena_alloc(&a, size[i]);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        memset(p[i], (int)i, size[i]);
    }
    for (size_t i = 0; i < QS_LEN(size); i++)
        for (size_t k = 0; k < size[i]; k++)
            assert_int_equal(p[i][k], i);
    qs_arena_release(&a);
    assert_null(a.top);
}

static void
arena_array_grows_and_keeps_its_elements(void **state)
{
    struct qs_arena a;
    int *list = NULL, cap = 0;
    (void)state;
    qs_arena_init(&a);
    for (int i = 0; i < 1000; i++) {
        int *e = qs_arena_grow(&a, (void **)&list, i, &cap, sizeof(*list));
        assert_int_equal(*e, 0);
        *e = i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(list[i], i);
    qs_arena_release(&a);
}

static void
arena_strings_end_with_nul(void **state)
{
    struct qs_arena a;
    (void)state;
    qs_arena_init(&a);
    assert_string_equal(qs_arena_memdup(&a, "abc\0def", 3), "abc");
    assert_string_equal(qs_arena_memdup(&a, NULL, 0), "");
    assert_string_equal(qs_arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    qs_arena_release(&a);
}

/* Messages */

static void
first_message_wins_and_stays_one_line(void **state)
{
    struct qs_ctx cx;
    (void)state;
    qs_ctx_init(&cx);
    assert_int_equal(qs_fail(&cx, QS_ERR_FORMAT, "bad '%s'", "a\nb\033"), QS_ERR_FORMAT);
    assert_int_equal(qs_fail(&cx, QS_ERR_IO, "later"), QS_ERR_FORMAT);
    assert_int_equal(qs_prefix(&cx, "in '%s'", "c\td"), QS_ERR_FORMAT);
    assert_string_equal(qs_message(&cx), "in 'c?d': bad 'a?b?'");
    qs_clear(&cx);
    assert_int_equal(cx.err, QS_OK);
}

static void
long_message_is_cut_at_a_character(void **state)
{
    struct qs_ctx cx;
    char text[2 * sizeof(cx.message)];
    (void)state;
    for (int shift = 0; shift < 3; shift++) {
        qs_ctx_init(&cx);
        memset(text, 'x', (size_t)shift);
        for (size_t i = (size_t)shift; i + 3 < sizeof(text); i += 3)
            memcpy(text + i, "\xe6\xa8\xa1", 4);
        (void)qs_fail(&cx, QS_ERR_IO, "%s", text);
        (void)qs_prefix(&cx, "%s", text);
        assert_int_equal((strlen(cx.message) - (size_t)shift) % 3, 0);
        assert_in_range(strlen(cx.message), sizeof(cx.message) - 6, sizeof(cx.message) - 1);
    }
}

/* Options */

struct values {
    bool flag;
    int whole, choice;
    double real;
    int64_t size;
    char *text;
    struct qs_strv list;
};

static const char *const colours[] = {"red", "green", NULL};
#define AT(member) offsetof(struct values, member)
static const struct qs_opt opts[] = {
    {"flag", 'f', QS_OPT_FLAG, AT(flag), 0, 0, NULL, "no", NULL, ""},
    {"whole", 0, QS_OPT_INT, AT(whole), -2, 16, NULL, "8", "N", ""},
    {"choice", 0, QS_OPT_CHOICE, AT(choice), 0, 0, colours, "green", "C", ""},
    {"real", 0, QS_OPT_FLOAT, AT(real), 0, 0.5, NULL, "0.25", "R", ""},
    {"size", 0, QS_OPT_SIZE, AT(size), 0, 0, NULL, NULL, "B", ""},
    {"text", 0, QS_OPT_TEXT, AT(text), 0, 0, NULL, NULL, "T", ""},
    {"list", 0, QS_OPT_LIST, AT(list), 0, 0, NULL, NULL, "L", ""},
};
#undef AT

static void
options_take_what_is_in_range_only(void **state)
{
    static const struct {
        const char *name, *text, *prints; /* NULL: refused */
    } row[] = {
        {"flag", NULL, "yes"},
        {"flag", "no", "no"},
        {"flag", "maybe", NULL},
        {"whole", "-2", "-2"},
        {"whole", "16", "16"},
        {"whole", "17", NULL},
        {"whole", "-3", NULL},
        {"whole", "1.5", NULL},
        {"whole", "", NULL},
        {"whole", "8x", NULL},
        {"whole", "nan", NULL},
        {"whole", "1e1", "10"},
        {"whole", "1e400", NULL},
        {"choice", "red", "red"},
        {"choice", "re", NULL},
        {"choice", "", NULL},
        {"real", "0.5", "0.5"},
        {"real", "0.1", "0.1"},
        {"real", "0.49990", "0.4999"},
        {"real", "0.0001", "0.0001"},
        {"real", "0.123456789012345678", "0.12345678901234568"},
        {"real", "0.51", NULL},
        {"real", "-0.1", NULL},
        {"real", "inf", NULL},
        {"real", "nan", NULL},
        {"size", "500", "500"},
        {"size", "2k", "2000"},
        {"size", "1.5MB", "1500000"},
        {"size", "3G", "3000000000"},
        {"size", "-1", NULL},
        {"size", "40%", NULL},
        {"size", "1e30", NULL},
        {"size", "M", NULL},
        {"text", "a b", "a b"},
        {"text", "", ""},
        {"list", "one", "one"},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        struct values v;
        struct qs_ctx cx;
        struct qs_str out;
        qs_ctx_init(&cx);
        qs_str_init(&out);
        qs_opts_init(opts, QS_LEN(opts), &v);
        const struct qs_opt *o = qs_opts_find(opts, QS_LEN(opts), row[i].name, strlen(row[i].name));
        const enum qs_err err = qs_opt_set(&cx, o, row[i].text, &v);
        qs_opt_print(o, &v, &out);
        if (err != (row[i].prints ? QS_OK : QS_ERR_USAGE) ||
            (row[i].prints && strcmp(out.s, row[i].prints) != 0))
            fail_msg("--%s '%s' gives '%s' (%s)", row[i].name, row[i].text, out.s, qs_message(&cx));
        qs_str_release(&out);
        qs_opts_release(opts, QS_LEN(opts), &v);
    }
}

static void
options_know_their_defaults_and_copy_deeply(void **state)
{
    struct values a, b;
    struct qs_ctx cx;
    (void)state;
    qs_ctx_init(&cx);
    qs_opts_init(opts, QS_LEN(opts), &a);
    assert_int_equal(a.whole, 8);
    assert_int_equal(a.choice, 1);
    for (size_t i = 0; i < QS_LEN(opts); i++)
        assert_true(qs_opt_is_default(&opts[i], &a));
    assert_int_equal(qs_opt_set(&cx, &opts[5], "text", &a), QS_OK);
    assert_int_equal(qs_opt_set(&cx, &opts[6], "x", &a), QS_OK);
    assert_int_equal(qs_opt_set(&cx, &opts[6], "y", &a), QS_OK);
    qs_opts_copy(opts, QS_LEN(opts), &b, &a);
    qs_opts_release(opts, QS_LEN(opts), &a);
    assert_string_equal(b.text, "text");
    assert_int_equal(b.list.n, 2);
    assert_string_equal(b.list.v[1], "y");
    assert_false(qs_opt_is_default(&opts[5], &b));
    assert_false(qs_opt_is_default(&opts[6], &b));
    qs_opts_release(opts, QS_LEN(opts), &b);
}

/* Strings and patterns */

static void
sizes_read_well(void **state)
{
    static const struct {
        int64_t n;
        const char *bytes, *count;
    } row[] = {
        {0, "0 B", "0"},
        {999, "999 B", "999"},
        {1000, "1.00 kB", "1.00k"},
        {9999, "10.0 kB", "10.0k"},
        {17000000, "17.0 MB", "17.0M"},
        {999500000, "1.00 GB", "1.00G"},
        {INT64_MAX, "9.22 EB", "9.22E"},
        {INT64_MIN, "-9.22 EB", "-9.22E"},
    };
    char out[16];
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        assert_string_equal(qs_format_bytes(out, sizeof(out), row[i].n), row[i].bytes);
        assert_string_equal(qs_format_count(out, sizeof(out), row[i].n), row[i].count);
    }
}

static void
patterns_match_as_glob_or_regex(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } row[] = {
        {"conv1.w", "conv1.w", true},
        {"conv1.w", "conv1xw", false},
        {"conv*", "conv2d_0.w_0", true},
        {"conv*", "a_conv", false},
        {"*", "", true},
        {"", "", true},
        {"", "a", false},
        {"conv[12].w", "conv2.w", true},
        {"conv[!12].w", "conv2.w", false},
        {"conv[!12].w", "conv3.w", true},
        {"conv?.w", "conv.w", false},
        {"a/b*", "a/b/c", true},
        {"a\\*", "a*", true},
        {"a\\*", "ab", false},
        {"*a*b*c*", "xxaxxbxxcxx", true},
        {"*a*b*c*", "xxaxxcxxbxx", false},
        {"?", "\xe6\xa8\xa1", true},
        {"[]a]", "]", true},
        {"[a-c]*", "b1", true},
        {"[a-c]*", "d1", false},
        {"/conv/", "my_conv_1", true},
        {"/^conv[0-9]+$/", "conv12", true},
        {"/^conv[0-9]+$/", "conv", false},
        {"/a|b/", "xb", true},
        {"/a|b|c/", "xxc", true},
        {"/^(a|b|)$/", "", true},
        {"/^(a|b|)$/", "c", false},
        {"/(fc|mul)_[0-9]{2,3}/", "fc_12", true},
        {"/^x{2,3}$/", "x", false},
        {"/^x{2,3}$/", "xxx", true},
        {"/^x{2,3}$/", "xxxx", false},
        {"/^x{2,}$/", "xxxxxxx", true},
        {"/^x{0}$/", "", true},
        {"/^(ab?)*c$/", "abaac", true},
        {"/^(ab?)*c$/", "abbc", false},
        {"/^a.c$/", "abc", true},
        {"/^a.c$/",
         "a\xe6\xa8\xa1"
         "c",
         true},
        {"/^a.c$/", "ac", false},
        {"/^a\\.c$/", "abc", false},
        {"/^a\\.c$/", "a.c", true},
        {"/\\d\\w\\s\\D/", "1_ x", true},
        {"/^\\D$/", "7", false},
        {"/[^a-z]/", "abc", false},
        {"/[^a-z]/", "ab1", true},
        {"/^[[:digit:]_]+$/", "12_3", true},
        {"/^[[:digit:]_]+$/", "12a", false},
        {"/^[]x-]+$/", "]-x", true},
        {"/^[\xe4\xb8\x80-\xe9\xbe\xa5]$/", "\xe6\xa8\xa1", true},
        {"/(a*)*b/", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false},
        {"/a$b/", "a$b", false},
        {"/(^a)|(b$)/", "xb", true},
        {"//", "anything", true},
        {"/", "/", true},
        {"/x", "/x", true},
    };
    (void)state;
    for (size_t i = 0; i < QS_LEN(row); i++) {
        char why[128];
        struct qs_pattern *p = qs_pattern_new(row[i].pattern, why, sizeof(why));
        if (!p || qs_pattern_match(p, row[i].text) != row[i].matches)
            fail_msg("'%s' on '%s'", row[i].pattern, row[i].text);
        qs_pattern_free(p);
    }
}

static void
patterns_that_cannot_be_borne_are_refused(void **state)
{
    static const char *const pattern[] = {
        "/(/",
        "/)/",
        "/a)/",
        "/[a/",
        "/[/",
        "/[]/",
        "/[b-a]/",
        "/[[:nix:]]/",
        "/[[.ab.]]/",
        "/*/",
        "/a|*/",
        "/(+)/",
        "/a{2,1}/",
        "/a{99999999999999999999}/",
        "/(a{99}{99}){99}/",
        "/a\\1/",
        "/a\\/",
        "[b-a]",
        "a[",
    };
    char why[128], *longest = qs_xmalloc(3000);
    (void)state;
    for (size_t i = 0; i < QS_LEN(pattern); i++) {
        why[0] = '\0';
        struct qs_pattern *p = qs_pattern_new(pattern[i], why, sizeof(why));
        if (p || !*why)
            fail_msg("'%s' was taken", pattern[i]);
    }
    memset(longest, 'a', 2999);
    longest[2999] = '\0';
    assert_null(qs_pattern_new(longest, why, sizeof(why)));
    free(longest);
}

/* Files */

struct folder {
    char path[64];
};

static int
make_folder(void **state)
{
    struct folder *f = qs_xcalloc(1, sizeof(*f));
    const char *base = getenv("TMPDIR");
    snprintf(f->path, sizeof(f->path), "%.40s/qslim-test.XXXXXX", base ? base : "/tmp");
    *state = f;
    return mkdtemp(f->path) ? 0 : 1;
}

static void
remove_all(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        char *name = qs_xasprintf("%s/%s", path, e->d_name);
        remove_all(name);
        free(name);
    }
    if (d)
        closedir(d);
    remove(path);
}

static int
drop_folder(void **state)
{
    struct folder *f = *state;
    remove_all(f->path);
    free(f);
    return 0;
}

static int
count_files(const char *path)
{
    int n = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static void
write_text(const char *path, const char *text, int force)
{
    struct qs_ctx cx;
    struct qs_writer *w = NULL;
    qs_ctx_init(&cx);
    assert_int_equal(qs_writer_open(&cx, path, force, &w), QS_OK);
    assert_int_equal(qs_writer_put(&cx, w, text, strlen(text)), QS_OK);
    assert_int_equal(qs_writer_finish(&cx, w), QS_OK);
    assert_int_equal(qs_writer_commit(&cx, w, NULL), QS_OK);
    qs_writer_free(w);
}

static char *
text_of(const char *path)
{
    struct qs_ctx cx;
    char *text = NULL;
    size_t n;
    qs_ctx_init(&cx);
    assert_int_equal(qs_read_text(&cx, path, "file", 1 << 20, &text, &n), QS_OK);
    return text;
}

static void
writer_replaces_whole_files_only(void **state)
{
    const struct folder *f = *state;
    struct qs_ctx cx;
    struct qs_writer *w = NULL;
    char *path = qs_xasprintf("%s/deep/er/file", f->path), *text;
    char *folder = qs_xasprintf("%s/deep/er", f->path);
    qs_ctx_init(&cx);
    write_text(path, "old", 0);
    assert_int_equal(qs_writer_open(&cx, path, 0, &w), QS_ERR_EXISTS);
    qs_clear(&cx);
    assert_int_equal(qs_writer_open(&cx, path, 1, &w), QS_OK);
    assert_int_equal(qs_writer_put(&cx, w, "new", 3), QS_OK);
    assert_int_equal(qs_writer_finish(&cx, w), QS_OK);
    text = text_of(path);
    assert_string_equal(text, "old");
    free(text);
    qs_writer_free(w); /* not committed: nothing happened */
    text = text_of(path);
    assert_string_equal(text, "old");
    free(text);
    assert_int_equal(count_files(folder), 1);
    write_text(path, "new", 1);
    text = text_of(path);
    assert_string_equal(text, "new");
    free(text);
    assert_int_equal(count_files(folder), 1);
    free(folder);
    free(path);
}

static void
writer_tells_bytes_and_sha256(void **state)
{
    /* one put of all, puts of odd sizes around the buffer: the same digest */
    static const size_t step[] = {1 << 20, 1000, 65536, 40000, 7};
    const struct folder *f = *state;
    enum { ALL = 300000 };
    uint8_t *data = qs_xmalloc(ALL);
    char *path = qs_xasprintf("%s/file", f->path), first[QS_SHA256_HEX] = "";
    for (int i = 0; i < ALL; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    for (size_t s = 0; s < QS_LEN(step); s++) {
        struct qs_ctx cx;
        struct qs_writer *w = NULL;
        struct qs_file_info info;
        qs_ctx_init(&cx);
        cx.threads = 1 + (int)s % 2;
        assert_int_equal(qs_writer_open(&cx, path, 1, &w), QS_OK);
        for (size_t at = 0; at < ALL; at += step[s])
            assert_int_equal(
                qs_writer_put(&cx, w, data + at, ALL - at < step[s] ? ALL - at : step[s]), QS_OK);
        assert_int_equal(qs_writer_finish(&cx, w), QS_OK);
        assert_int_equal(qs_writer_commit(&cx, w, &info), QS_OK);
        qs_writer_free(w);
        assert_int_equal(info.bytes, ALL);
        if (s == 0)
            memcpy(first, info.sha256, sizeof(first));
        assert_string_equal(info.sha256, first);
        qs_file_info_release(&info);
    }
    struct qs_sha256 *sha = qs_sha256_new();
    char hex[QS_SHA256_HEX];
    qs_sha256_add(sha, "abc", 3);
    qs_sha256_end(sha, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    free(path);
    free(data);
}

static void
mapping_takes_regular_files_only(void **state)
{
    const struct folder *f = *state;
    char *path[] = {qs_xasprintf("%s/none", f->path), qs_xstrdup(f->path),
                    qs_xasprintf("%s/fifo", f->path), qs_xstrdup("/dev/zero")};
    assert_int_equal(mkfifo(path[2], 0600), 0);
    for (size_t i = 0; i < QS_LEN(path); i++) {
        struct qs_ctx cx;
        struct qs_buf *b = NULL;
        qs_ctx_init(&cx);
        assert_int_equal(qs_buf_map(&cx, path[i], "file", &b),
                         i == 0 ? QS_ERR_NOT_FOUND : QS_ERR_IO);
        assert_non_null(strstr(qs_message(&cx), path[i]));
        free(path[i]);
    }
}

static void
empty_file_maps_to_no_bytes(void **state)
{
    const struct folder *f = *state;
    struct qs_ctx cx;
    struct qs_buf *b = NULL;
    char *path = qs_xasprintf("%s/file", f->path);
    qs_ctx_init(&cx);
    write_text(path, "", 0);
    assert_int_equal(qs_buf_map(&cx, path, "file", &b), QS_OK);
    assert_int_equal(b->size, 0);
    qs_buf_unref(qs_buf_ref(b));
    qs_buf_unref(b);
    free(path);
}

/* The address sanitizer, where it is built in, shall let the allocation fail. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void
too_much_memory_is_an_error(void **state)
{
    struct qs_ctx cx;
    struct qs_buf *b = NULL;
    (void)state;
    qs_ctx_init(&cx);
    assert_int_equal(qs_buf_new(&cx, SIZE_MAX / 2, &b), QS_ERR_MEMORY);
    assert_non_null(strstr(qs_message(&cx), "out of memory"));
}

/* Parallel loop */

enum { ITEMS = 1000 };

static enum qs_err
mark(struct qs_ctx *cx, void *arg, int64_t i)
{
    atomic_int *seen = arg;
    (void)cx;
    atomic_fetch_add(&seen[i], 1);
    return QS_OK;
}

static enum qs_err
refuse_17(struct qs_ctx *cx, void *arg, int64_t i)
{
    atomic_int *n = arg;
    atomic_fetch_add(n, 1);
    return i == 17 ? qs_fail(cx, QS_ERR_FORMAT, "item %d", (int)i) : QS_OK;
}

static void
every_item_is_done_once(void **state)
{
    static atomic_int seen[ITEMS];
    static const int threads[] = {1, 2, 7, 300};
    (void)state;
    for (size_t t = 0; t < QS_LEN(threads); t++) {
        struct qs_ctx cx;
        qs_ctx_init(&cx);
        cx.threads = threads[t];
        memset(seen, 0, sizeof(seen));
        assert_int_equal(qs_parallel_for(&cx, ITEMS, mark, seen), QS_OK);
        assert_int_equal(qs_parallel_for(&cx, 0, mark, seen), QS_OK);
        for (int i = 0; i < ITEMS; i++)
            assert_int_equal(seen[i], 1);
    }
}

static void
failure_and_cancel_stop_the_loop(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        atomic_int n = 0;
        struct qs_ctx cx;
        qs_ctx_init(&cx);
        cx.threads = threads;
        assert_int_equal(qs_parallel_for(&cx, ITEMS, refuse_17, &n), QS_ERR_FORMAT);
        assert_string_equal(qs_message(&cx), "item 17");
        assert_in_range(n, 1, ITEMS);
        qs_clear(&cx);
        atomic_store(&cx.cancel, true);
        atomic_store(&n, 0);
        assert_int_equal(qs_parallel_for(&cx, ITEMS, refuse_17, &n), QS_ERR_CANCELLED);
        assert_int_equal(n, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_gives_aligned_blocks_of_any_size),
        cmocka_unit_test(arena_array_grows_and_keeps_its_elements),
        cmocka_unit_test(arena_strings_end_with_nul),
        cmocka_unit_test(first_message_wins_and_stays_one_line),
        cmocka_unit_test(long_message_is_cut_at_a_character),
        cmocka_unit_test(options_take_what_is_in_range_only),
        cmocka_unit_test(options_know_their_defaults_and_copy_deeply),
        cmocka_unit_test(sizes_read_well),
        cmocka_unit_test(patterns_match_as_glob_or_regex),
        cmocka_unit_test(patterns_that_cannot_be_borne_are_refused),
        cmocka_unit_test_setup_teardown(writer_replaces_whole_files_only, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(writer_tells_bytes_and_sha256, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(mapping_takes_regular_files_only, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(empty_file_maps_to_no_bytes, make_folder, drop_folder),
        cmocka_unit_test(too_much_memory_is_an_error),
        cmocka_unit_test(every_item_is_done_once),
        cmocka_unit_test(failure_and_cancel_stop_the_loop),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
