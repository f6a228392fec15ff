/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/i18n.h"
#include "base/str.h"

enum { WORTH_ASKING = 16 << 20 };

/* The number after `label` in a file, or its first; -1: none. */
static int64_t
number_in(const char *path, const char *label)
{
    char text[8192];
    int64_t value = -1;
    FILE *f = fopen(path, "re");
    if (!f)
        return -1;
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    const char *at = strstr(text, label);
    if (!at || sscanf(at + strlen(label), "%" SCNd64, &value) != 1)
        return -1;
    return value;
}

static int64_t
least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t
positive(int64_t v)
{
    return v > 0 ? v : 0;
}

/* Bytes that this process may still take: what the system has to give without swapping, what the
 * group of processes may have (cgroup), what the address space may grow by; the least of these that
 * can be known, else INT64_MAX. */
static int64_t
available(void)
{
    int64_t bytes = INT64_MAX;
    const int64_t kb = number_in("/proc/meminfo", "MemAvailable:");
    const int64_t most = number_in("/sys/fs/cgroup/memory.max", "");
    const int64_t used = number_in("/sys/fs/cgroup/memory.current", "");
    const int64_t pages = number_in("/proc/self/statm", "");
    struct rlimit limit;
    if (kb >= 0)
        bytes = kb * 1024;
    if (most >= 0 && used >= 0)
        bytes = least(bytes, positive(most - used));
    if (pages >= 0 && getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < INT64_MAX)
        bytes = least(bytes, positive((int64_t)limit.rlim_cur - pages * sysconf(_SC_PAGESIZE)));
    return bytes;
}

enum qs_err
qs_memory_check(struct qs_ctx *cx, int64_t bytes)
{
    char wanted[32], has[32];
    if (bytes < WORTH_ASKING)
        return QS_OK;
    const int64_t left = available();
    if (bytes <= left)
        return QS_OK;
    return qs_fail(cx, QS_ERR_MEMORY, _("out of memory: %s wanted, %s available"),
                   qs_format_bytes(wanted, sizeof(wanted), bytes),
                   qs_format_bytes(has, sizeof(has), left));
}
