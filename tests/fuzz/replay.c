/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes libFuzzer's place: gives each file named (or each file in a folder named) to the target.
 * Without arguments `fuzz_x` takes the folder tests/fuzz/corpus/x of the sources.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int n_replayed;

static int
replay_file(const char *path)
{
    enum { CHUNK = 1 << 16 };
    uint8_t *bytes = NULL;
    size_t n = 0, got = CHUNK;
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    while (got == CHUNK) {
        bytes = realloc(bytes, n + CHUNK);
        if (!bytes)
            abort();
        n += got = fread(bytes + n, 1, CHUNK, f);
    }
    fclose(f);
    uint8_t *exact = malloc(n ? n : 1); /* so that reading past the end is seen */
    if (!exact)
        abort();
    memcpy(exact, bytes, n);
    free(bytes);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    n_replayed++;
    return 0;
}

static int
replay(const char *path)
{
    DIR *dir = opendir(path);
    int failed = 0;
    if (!dir)
        return replay_file(path);
    for (struct dirent *e; (e = readdir(dir));) {
        char name[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
        failed |= replay_file(name);
    }
    closedir(dir);
    return failed;
}

static int
replay_own_corpus(const char *program)
{
    const char *src = getenv("srcdir"), *name = strstr(program, "fuzz_");
    char path[4096];
    if (!name)
        return 1;
    while (strstr(name + 1, "fuzz_"))
        name = strstr(name + 1, "fuzz_");
    snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", src ? src : ".", name + 5);
    return replay(path);
}

int
main(int argc, char **argv)
{
    int failed = argc < 2 ? replay_own_corpus(argv[0]) : 0;
    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    printf("# %d inputs\n", n_replayed);
    return failed || n_replayed == 0;
}
