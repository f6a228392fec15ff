/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cmd.h"

#include <locale.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/i18n.h"
#include "base/mem.h"
#include "cmd/progress.h"
#include "config.h"
#include "kernels/cpu.h"

enum { EXIT_USAGE = 2, EXIT_BOUND = 3, EXIT_CANCELLED = 130 };

#define AT(member) offsetof(struct qs_common, member)
static const struct qs_opt common_opts[] = {
    {"json", 0, QS_OPT_FLAG, AT(json), 0, 0, NULL, NULL, NULL,
     N_("print one JSON document on stdout")},
    {"quiet", 'q', QS_OPT_FLAG, AT(quiet), 0, 0, NULL, NULL, NULL,
     N_("no progress and no notes on stderr")},
    {"threads", 0, QS_OPT_INT, AT(threads), 0, 256, NULL, NULL, "N",
     N_("threads to use (default: the cores this process may use)")},
    {"seed", 0, QS_OPT_INT, AT(seed), 0, 2147483647, NULL, NULL, "N",
     N_("seed of everything random")},
    {"db", 0, QS_OPT_TEXT, AT(db), 0, 0, NULL, NULL, "FILE",
     N_("the run store (default: $QSLIM_DB, else $XDG_DATA_HOME/qslim/runs.db)")},
    {"cpu", 0, QS_OPT_TEXT, AT(cpu), 0, 0, NULL, NULL, "ISA",
     N_("cap the kernels: scalar, avx2, avx512, avx512vnni or amx")},
    {"help", 'h', QS_OPT_FLAG, AT(help), 0, 0, NULL, NULL, NULL, N_("print this help")},
    {"version", 0, QS_OPT_FLAG, AT(version), 0, 0, NULL, NULL, NULL, N_("print the version")},
};
#undef AT

/* One list of descriptors over one struct. */
struct part {
    const struct qs_opt *opt;
    int n;
    void *base;
};

struct parsed {
    struct part part[3]; /* of the command, its second list, common */
    bool *given;         /* [part[1].n] options of the second list that were there */
    char **arg;
    int n_arg;
};

static const struct qs_opt *
find_long(const struct parsed *p, const char *name, size_t len, void **base)
{
    for (size_t i = 0; i < QS_LEN(p->part); i++) {
        const struct qs_opt *opt = qs_opts_find(p->part[i].opt, p->part[i].n, name, len);
        *base = p->part[i].base;
        if (opt)
            return opt;
    }
    return NULL;
}

static const struct qs_opt *
find_short(const struct parsed *p, char letter, void **base)
{
    for (size_t i = 0; i < QS_LEN(p->part); i++)
        for (int k = 0; k < p->part[i].n; k++)
            if (p->part[i].opt[k].letter == letter) {
                *base = p->part[i].base;
                return &p->part[i].opt[k];
            }
    return NULL;
}

/* Parses the option at argv[*i]; moves *i over an argument it takes. */
static enum qs_err
parse_option(struct qs_ctx *cx, struct parsed *p, int argc, char **argv, int *i)
{
    const char *word = argv[*i];
    const bool is_long = word[1] == '-';
    const size_t len = is_long ? strcspn(word + 2, "=") : 1;
    const char *value =
        is_long ? (word[2 + len] == '=' ? word + 3 + len : NULL) : (word[2] ? word + 2 : NULL);
    void *base;
    const struct qs_opt *opt =
        is_long ? find_long(p, word + 2, len, &base) : find_short(p, word[1], &base);
    if (!opt)
        return qs_fail(cx, QS_ERR_USAGE, _("unknown option '%.*s'"), (int)(len + (is_long ? 2 : 1)),
                       word);
    if (opt->type == QS_OPT_FLAG && value && !is_long)
        return qs_fail(cx, QS_ERR_USAGE, _("option '-%c' takes no argument"), opt->letter);
    if (opt->type != QS_OPT_FLAG && !value) {
        if (*i + 1 >= argc)
            return qs_fail(cx, QS_ERR_USAGE, _("option '%s' needs an argument"), word);
        value = argv[++*i];
    }
    for (int k = 0; k < p->part[1].n; k++)
        p->given[k] = p->given[k] || opt == &p->part[1].opt[k];
    return qs_opt_set(cx, opt, value, base);
}

static enum qs_err
parse(struct qs_ctx *cx, struct parsed *p, int argc, char **argv)
{
    bool only_args = false;
    p->arg = qs_xcalloc((size_t)argc + 1, sizeof(*p->arg));
    for (int i = 0; i < argc; i++) {
        if (!only_args && strcmp(argv[i], "--") == 0) {
            only_args = true;
        } else if (only_args || argv[i][0] != '-' || argv[i][1] == '\0') {
            p->arg[p->n_arg++] = argv[i];
        } else if (parse_option(cx, p, argc, argv, &i) != QS_OK) {
            return cx->err;
        }
    }
    return QS_OK;
}

/* Help */

enum { HELP_COLUMN = 29 };

static void
print_option_help(const struct qs_opt *opt, int width)
{
    char letter[8] = "    ";
    struct qs_str text;
    if (opt->letter)
        snprintf(letter, sizeof(letter), "-%c, ", opt->letter);
    const int n =
        printf("  %s--%s%s%s", letter, opt->name, opt->arg ? " " : "", opt->arg ? opt->arg : "");
    qs_str_init(&text);
    qs_str_add(&text, _(opt->help));
    if (opt->def && opt->type != QS_OPT_FLAG)
        qs_str_printf(&text, _(" (default: %s)"), opt->def);
    if (n > HELP_COLUMN - 2)
        putchar('\n');
    printf("%*s", n > HELP_COLUMN - 2 ? HELP_COLUMN : HELP_COLUMN - n, "");
    qs_print_wrapped(stdout, text.s, HELP_COLUMN, HELP_COLUMN, width);
    putchar('\n');
    qs_str_release(&text);
}

static void
print_cmd_help(const struct qs_cmd *cmd)
{
    const int width = qs_terminal_width(stdout);
    const bool has_args = *cmd->args != '\0';
    struct qs_str usage;
    qs_str_init(&usage);
    qs_str_printf(&usage, _("usage: qslim %s [OPTION ...]%s%s"), cmd->name, has_args ? " " : "",
                  cmd->args);
    qs_print_wrapped(stdout, usage.s, 0, 13, width);
    qs_str_release(&usage);
    fputs("\n\n", stdout);
    qs_print_wrapped(stdout, _(cmd->summary), 0, 0, width);
    putchar('\n');
    if (cmd->n_opt)
        puts(_("\nOptions:"));
    for (int i = 0; i < cmd->n_opt; i++)
        print_option_help(&cmd->opt[i], width);
    for (int i = 0; cmd->more && i < *cmd->n_more; i++)
        print_option_help(&cmd->more[i], width);
    puts(_("\nCommon options:"));
    for (size_t i = 0; i < QS_LEN(common_opts); i++)
        print_option_help(&common_opts[i], width);
    printf(_("\nSee also qslim-%s(1).\n"), cmd->name);
}

static void
print_help(const struct qs_cmd *const *cmds)
{
    enum { INDENT = 13 };
    const int width = qs_terminal_width(stdout);
    puts(_("usage: qslim COMMAND [OPTION ...] [ARGUMENT ...]\n\nCommands:"));
    for (; *cmds; cmds++) {
        printf("  %-10s ", (*cmds)->name);
        qs_print_wrapped(stdout, _((*cmds)->summary), INDENT, INDENT, width);
        putchar('\n');
    }
    puts(_("\n'qslim COMMAND --help' lists the options of a command; see also qslim(1)."));
}

/* Running */

static struct qs_ctx main_cx;

static void
on_interrupt(int sig)
{
    atomic_store(&main_cx.cancel, true);
    signal(sig, SIG_DFL); /* a second one ends the program at once */
}

/* A mapped file that shrinks while it is read raises SIGBUS: say so, leave nothing half done. */
static void
on_bus_error(int sig)
{
    static const char text[] = "qslim: a model file became shorter while it was being read\n";
    (void)sig;
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        _exit(1);
    _exit(1);
}

static int
exit_status(enum qs_err err)
{
    switch (err) {
    case QS_ERR_OK:
        return 0;
    case QS_ERR_USAGE:
        return EXIT_USAGE;
    case QS_ERR_BOUND:
        return EXIT_BOUND;
    case QS_ERR_CANCELLED:
        return EXIT_CANCELLED;
    case QS_ERR_FAILED:
    case QS_ERR_IO:
    case QS_ERR_FORMAT:
    case QS_ERR_UNSUPPORTED:
    case QS_ERR_NOT_FOUND:
    case QS_ERR_EXISTS:
    case QS_ERR_MEMORY:
    case QS_ERR_DB:
    case QS_N_ERR:
        break;
    }
    return 1;
}

static int
report(enum qs_err err, const char *hint)
{
    fprintf(stderr, "qslim: %s\n", qs_message(&main_cx));
    if (err == QS_ERR_USAGE && hint)
        fprintf(stderr, _("'qslim %s --help' lists the options\n"), hint);
    return exit_status(err);
}

static enum qs_err
check_args(const struct qs_cmd *cmd, int n)
{
    if (n < cmd->min_args)
        return qs_fail(&main_cx, QS_ERR_USAGE, _("missing argument: usage: qslim %s %s"), cmd->name,
                       cmd->args);
    if (cmd->max_args >= 0 && n > cmd->max_args)
        return qs_fail(&main_cx, QS_ERR_USAGE, _("too many arguments: usage: qslim %s %s"),
                       cmd->name, cmd->args);
    return QS_OK;
}

static enum qs_err
apply_common(const struct qs_common *common)
{
    if (common->threads > 0)
        main_cx.threads = common->threads;
    main_cx.seed = (uint64_t)common->seed;
    if (common->cpu && !qk_cpu_cap(common->cpu))
        return qs_fail(&main_cx, QS_ERR_USAGE,
                       _("--cpu takes scalar, avx2, avx512, avx512vnni or amx, not '%s'"),
                       common->cpu);
    return QS_OK;
}

static enum qs_err
parse_and_run(const struct qs_cmd *cmd, struct parsed *p, struct qs_common *common,
              struct qs_progress_state *progress, int argc, char **argv)
{
    enum qs_err err = parse(&main_cx, p, argc, argv);
    if (err)
        return err;
    if (common->help || common->version) {
        if (common->help)
            print_cmd_help(cmd);
        else
            printf("qslim %s\n", PACKAGE_VERSION);
        return QS_OK;
    }
    err = check_args(cmd, p->n_arg);
    if (!err)
        err = apply_common(common);
    if (err)
        return err;
    qs_progress_init(progress, common->quiet);
    main_cx.sink = qs_progress_sink;
    main_cx.sink_arg = progress;
    err = cmd->run(&main_cx, common, p->part[0].base, p->arg, p->n_arg);
    qs_progress_end(progress);
    return err;
}

/* What could not be written to stdout is a failure too. */
static enum qs_err
close_stdout(enum qs_err err)
{
    const bool bad = ferror(stdout) != 0;
    if ((fclose(stdout) != 0 || bad) && !err)
        return qs_fail(&main_cx, QS_ERR_IO, _("cannot write to standard output"));
    return err;
}

static int
run_cmd(const struct qs_cmd *cmd, int argc, char **argv)
{
    struct qs_common common;
    struct qs_progress_state progress;
    void *opt = qs_xcalloc(1, cmd->opt_size ? cmd->opt_size : 1);
    struct parsed p = {
        .part = {{cmd->opt, cmd->n_opt, opt},
                 {cmd->more, cmd->more ? *cmd->n_more : 0, (char *)opt + cmd->more_offset},
                 {common_opts, (int)QS_LEN(common_opts), &common}}};
    common.given = p.given = qs_xcalloc((size_t)p.part[1].n + 1, sizeof(*p.given));
    for (size_t i = 0; i < QS_LEN(p.part); i++)
        qs_opts_init(p.part[i].opt, p.part[i].n, p.part[i].base);
    const enum qs_err err = close_stdout(parse_and_run(cmd, &p, &common, &progress, argc, argv));
    const int status = err ? report(err, cmd->name) : 0;
    for (size_t i = 0; i < QS_LEN(p.part); i++)
        qs_opts_release(p.part[i].opt, p.part[i].n, p.part[i].base);
    free(p.given);
    free(p.arg);
    free(opt);
    return status;
}

static void
start_locale(void)
{
    const char *folder = getenv("QSLIM_LOCALEDIR");
    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C"); /* numbers are read back by programs */
    bindtextdomain("qslim", folder ? folder : LOCALEDIR);
    textdomain("qslim");
}

static const struct qs_cmd *
find_cmd(const struct qs_cmd *const *cmds, const char *name)
{
    while (*cmds && strcmp((*cmds)->name, name) != 0)
        cmds++;
    return *cmds;
}

static bool
is_tui_link(const char *program)
{
    const char *slash = strrchr(program, '/');
    return strcmp(slash ? slash + 1 : program, "qslim-tui") == 0;
}

int
qs_cmd_main(int argc, char **argv, const struct qs_cmd *const *cmds)
{
    start_locale();
    qs_ctx_init(&main_cx);
    signal(SIGINT, on_interrupt);
    signal(SIGBUS, on_bus_error);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is a write error, not the end */
    if (argc > 0 && is_tui_link(argv[0]))
        return run_cmd(find_cmd(cmds, "tui"), argc - 1, argv + 1);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(cmds);
        return argc < 2 ? EXIT_USAGE : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("qslim %s\n", PACKAGE_VERSION);
        return 0;
    }
    const struct qs_cmd *cmd = find_cmd(cmds, argv[1]);
    if (!cmd) {
        fprintf(stderr, _("qslim: unknown command '%s' ('qslim --help' lists them)\n"), argv[1]);
        return EXIT_USAGE;
    }
    return run_cmd(cmd, argc - 2, argv + 2);
}
