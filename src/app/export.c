/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/app.h"
#include "base/i18n.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/format.h"
#include "passes/pass.h"
#include "passes/put.h"
#include "passes/take_apart.h"

extern char **environ;

static const char opt_program[] = "paddle_lite_opt";

/* Starts `argv` with stdout and stderr in one pipe; -1 when it cannot be started. */
static pid_t
start(char *const *argv, int *fd)
{
    int pipe_fd[2];
    pid_t pid = -1;
    posix_spawn_file_actions_t actions;
    if (pipe2(pipe_fd, O_CLOEXEC) != 0)
        return -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], 1);
    posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], 2);
    if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) != 0)
        pid = -1;
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_fd[1]);
    if (pid < 0)
        close(pipe_fd[0]);
    else
        *fd = pipe_fd[0];
    return pid;
}

/* Waits for more to read; ends `pid` when the user asked to stop: kindly first, then surely. */
static bool
wait_for_more(struct qs_ctx *cx, int fd, pid_t pid, int *asked)
{
    enum { EVERY_MS = 50, PATIENCE = 20 };
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (;;) {
        const int n = poll(&p, 1, EVERY_MS);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
        if (!atomic_load(&cx->cancel))
            continue;
        if (*asked == 0)
            kill(pid, SIGTERM);
        if (++*asked <= PATIENCE)
            continue;
        kill(pid, SIGKILL); /* and its children may keep the pipe open: it is not waited for */
        return false;
    }
}

/* Keeps the last part of what the program says: the verdict is at its end. */
static void
read_tail(struct qs_ctx *cx, int fd, pid_t pid, struct qs_str *out)
{
    enum { KEEP = 4096 };
    char chunk[1024];
    ssize_t n;
    int asked = 0;
    while (wait_for_more(cx, fd, pid, &asked) && (n = read(fd, chunk, sizeof(chunk))) != 0) {
        if (n < 0 && errno != EINTR)
            break;
        if (n < 0)
            continue;
        qs_str_addn(out, chunk, (size_t)n);
        if (out->n > 4 * KEEP) {
            memmove(out->s, out->s + out->n - KEEP, KEEP + 1);
            out->n = KEEP;
        }
    }
    close(fd);
}

/* The last lines, without empty ones. */
static char *
last_lines(const char *s, int most)
{
    enum { LONGEST = 600 }; /* so that a message holds it with its beginning */
    const char *from = s + strlen(s);
    while (from > s && (from[-1] == '\n' || from[-1] == ' '))
        from--;
    const char *end = from;
    for (int lines = 0; from > s && end - from < LONGEST; from--)
        if (from[-1] == '\n' && ++lines == most)
            break;
    while (from > s && ((unsigned char)*from & 0xC0) == 0x80)
        from++; /* not the middle of a character */
    return qs_xasprintf("%.*s", (int)(end - from), from);
}

static enum qs_err
run_opt(struct qs_ctx *cx, const struct qs_file_info file[2], const char *output,
        const char *target, struct qs_lite_verdict *v)
{
    char *prefix = qs_xasprintf("%s/model", output);
    char *arg[] = {(char *)opt_program,
                   qs_xasprintf("--model_file=%s", file[0].path),
                   qs_xasprintf("--param_file=%s", file[1].path),
                   qs_xasprintf("--optimize_out=%s", prefix),
                   qs_xasprintf("--valid_targets=%s", target),
                   qs_xstrdup("--optimize_out_type=naive_buffer"),
                   NULL};
    int fd = -1, status = -1;
    struct qs_str said;
    struct stat st;
    qs_str_init(&said);
    v->nb = qs_xasprintf("%s.nb", prefix);
    unlink(v->nb);
    const pid_t pid = start(arg, &fd);
    if (pid > 0) {
        v->ran = true;
        read_tail(cx, fd, pid, &said);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    v->accepted = v->ran && WIFEXITED(status) && WEXITSTATUS(status) == 0 && stat(v->nb, &st) == 0;
    v->nb_bytes = v->accepted ? st.st_size : 0;
    v->output = last_lines(said.s, 4);
    if (v->ran && !v->accepted && !*v->output && WIFSIGNALED(status)) {
        free(v->output);
        v->output = qs_xasprintf(_("it was killed by signal %d"), WTERMSIG(status));
    }
    qs_str_release(&said);
    for (int i = 1; arg[i]; i++)
        free(arg[i]);
    free(prefix);
    return qs_check_cancel(cx);
}

/* What could not be taken apart stays as it is, and is said. */
static void
say_what_stays(struct qs_ctx *cx, const struct qs_model *m)
{
    struct qs_quant_info info;
    qs_quant_info_of(m, &info);
    if (info.n_layers > 0)
        qs_warn(cx, _("%d quantization operators have no other form and stay as they are"),
                info.n_layers);
}

static enum qs_err
change_form(struct qs_ctx *cx, struct qs_model *m, enum qs_export_form form)
{
    struct qs_static_notes notes;
    struct qs_put_options put = {0};
    if (form == QS_EXPORT_AS_IS)
        return QS_OK;
    enum qs_err err = qs_static_take_apart(cx, m, &notes);
    if (!err && notes.n_act == 0 && notes.n_weight == 0)
        err = qs_fail(cx, QS_ERR_USAGE,
                      _("'%s' is not quantized: qslim quantize --method static does that"),
                      m->program_path);
    for (int i = 0; i < notes.n_act; i++)
        put.observers = put.observers || notes.act[i].observed;
    if (!err)
        say_what_stays(cx, m);
    if (!err && form == QS_EXPORT_QDQ)
        err = qs_put_qdq(cx, m, &notes, &put);
    else if (!err && form == QS_EXPORT_FAKEQUANT)
        err = qs_put_fakequant(cx, m, &notes, &put);
    qs_static_notes_release(&notes);
    return err;
}

enum qs_err
qs_app_export(struct qs_ctx *cx, const struct qs_opened *o, const struct qs_export_options *opt,
              struct qs_file_info file[2], struct qs_lite_verdict *verdict)
{
    *verdict = (struct qs_lite_verdict){0};
    memset(file, 0, 2 * sizeof(*file));
    enum qs_err err = qs_app_need_params(cx, o);
    if (err)
        return err;
    struct qs_model *m = qs_model_clone(o->model);
    char *prefix = qs_xasprintf("%s/model", opt->output);
    qs_lite_legalize(m);
    err = change_form(cx, m, opt->form);
    if (!err)
        err = qs_model_write(cx, m, prefix, opt->force, file);
    if (!err && opt->lite_target)
        err = run_opt(cx, file, opt->output, opt->lite_target, verdict);
    free(prefix);
    qs_model_unref(m);
    return err;
}

void
qs_lite_verdict_release(struct qs_lite_verdict *v)
{
    free(v->output);
    free(v->nb);
    *v = (struct qs_lite_verdict){0};
}
