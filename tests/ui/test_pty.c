/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives the program itself through a pseudo-terminal, as a user does: keys in, and what the
 * escape sequences that come out leave on a screen of characters (a small part of xterm).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include <cmocka.h>

enum { MOST_ROWS = 80, MOST_COLUMNS = 240, MOST_PARAMS = 8, PATIENCE_MS = 60000, STEP_MS = 20 };

struct terminal {
    pid_t pid;
    int fd, slave; /* slave: kept open to ask for the modes after the program has ended */
    struct termios before;
    int rows, columns;
    char cell[MOST_ROWS][MOST_COLUMNS + 1];
    int y, x, top, bottom; /* cursor, scroll region (inclusive) */
    char last;             /* for REP */
    bool alternate, was_alternate, mouse;
    /* parser */
    enum { PLAIN, ESCAPE, CSI, CHARSET, OSC } mode;
    int param[MOST_PARAMS], n_params;
    bool private;
};

static char folder[] = "/tmp/qslim-pty.XXXXXX";
static const char *qslim, *sample;

static void
clear_cells(struct terminal *t, int y, int from, int to)
{
    for (int x = from; x < to && x < t->columns; x++)
        t->cell[y][x] = ' ';
}

static void
clear_all(struct terminal *t)
{
    for (int y = 0; y < MOST_ROWS; y++) {
        memset(t->cell[y], ' ', MOST_COLUMNS);
        t->cell[y][MOST_COLUMNS] = '\0';
    }
}

static void
scroll(struct terminal *t, int top, int n)
{
    const size_t bytes = t->bottom > top ? (size_t)(t->bottom - top) * sizeof(t->cell[0]) : 0;
    for (; n > 0; n--) {
        memmove(t->cell[top], t->cell[top + 1], bytes);
        clear_cells(t, t->bottom, 0, t->columns);
    }
    for (; n < 0; n++) {
        memmove(t->cell[top + 1], t->cell[top], bytes);
        clear_cells(t, top, 0, t->columns);
    }
}

static void
clamp(struct terminal *t)
{
    t->y = t->y < 0 ? 0 : t->y >= t->rows ? t->rows - 1 : t->y;
    t->x = t->x < 0 ? 0 : t->x > t->columns ? t->columns : t->x;
}

static void
put_char(struct terminal *t, char c)
{
    if (t->x >= t->columns) {
        t->x = 0;
        t->y++;
        clamp(t);
    }
    t->cell[t->y][t->x++] = c;
    t->last = c;
}

static void
line_feed(struct terminal *t)
{
    if (t->y == t->bottom)
        scroll(t, t->top, 1);
    else
        t->y++;
    clamp(t);
}

static int
arg(const struct terminal *t, int i, int def)
{
    return i < t->n_params && t->param[i] > 0 ? t->param[i] : def;
}

static void
erase(struct terminal *t, bool screen)
{
    const int which = arg(t, 0, 0);
    clear_cells(t, t->y, which ? 0 : t->x, which == 1 ? t->x + 1 : t->columns);
    for (int y = 0; screen && y < t->rows; y++)
        if ((which != 1 && y > t->y) || (which && y < t->y))
            clear_cells(t, y, 0, t->columns);
}

/* Left by n, or right by -n. */
static void
shift_cells(struct terminal *t, int n)
{
    char *row = t->cell[t->y];
    const int left = t->columns - t->x;
    n = n > left ? left : n < -left ? -left : n;
    if (n > 0) {
        memmove(row + t->x, row + t->x + n, (size_t)(left - n));
        clear_cells(t, t->y, t->columns - n, t->columns);
    } else {
        memmove(row + t->x - n, row + t->x, (size_t)(left + n));
        clear_cells(t, t->y, t->x, t->x - n);
    }
}

static void
set_mode(struct terminal *t, bool on)
{
    for (int i = 0; t->private && i < t->n_params; i++) {
        if (t->param[i] == 1049) {
            t->alternate = on;
            t->was_alternate = true;
            clear_all(t);
        }
        if (t->param[i] == 1000)
            t->mouse = on;
    }
}

static void
move_cursor(struct terminal *t, char c, int n)
{
    if (c == 'H' || c == 'f') {
        t->y = arg(t, 0, 1) - 1;
        t->x = arg(t, 1, 1) - 1;
    } else if (c == 'G' || c == '`') {
        t->x = n - 1;
    } else if (c == 'd') {
        t->y = n - 1;
    } else {
        t->y += c == 'B' ? n : c == 'A' ? -n : 0;
        t->x += c == 'C' ? n : c == 'D' ? -n : 0;
    }
}

static void
control(struct terminal *t, char c)
{
    const int n = arg(t, 0, 1);
    if (strchr("HfG`dABCD", c)) {
        move_cursor(t, c, n);
    } else if (c == 'J' || c == 'K') {
        erase(t, c == 'J');
    } else if (c == 'X') {
        clear_cells(t, t->y, t->x, t->x + n);
    } else if (c == 'P' || c == '@') {
        shift_cells(t, c == 'P' ? n : -n);
    } else if (c == 'L' || c == 'M') {
        scroll(t, t->y, c == 'M' ? n : -n);
    } else if (c == 'S' || c == 'T') {
        scroll(t, t->top, c == 'S' ? n : -n);
    } else if (c == 'b') {
        for (int i = 0; i < n; i++)
            put_char(t, t->last);
    } else if (c == 'r') {
        t->top = arg(t, 0, 1) - 1;
        t->bottom = arg(t, 1, t->rows) - 1;
        t->bottom = t->bottom < t->rows ? t->bottom : t->rows - 1;
        t->y = t->x = 0;
    } else if (c == 'h' || c == 'l') {
        set_mode(t, c == 'h');
    } /* colours and the like leave no mark here */
    clamp(t);
}

static void
take_plain(struct terminal *t, char c)
{
    if (c == '\033')
        t->mode = ESCAPE;
    else if (c == '\r')
        t->x = 0;
    else if (c == '\n')
        line_feed(t);
    else if (c == '\b')
        t->x -= t->x > 0;
    else if ((unsigned char)c >= ' ')
        put_char(t, c);
}

static void
take_escape(struct terminal *t, char c)
{
    t->mode = c == '[' ? CSI : c == '(' || c == ')' ? CHARSET : c == ']' ? OSC : PLAIN;
    t->n_params = 0;
    t->private = false;
    memset(t->param, 0, sizeof(t->param));
    if (c == 'M' && t->y == t->top)
        scroll(t, t->top, -1);
    else if (c == 'M')
        t->y--;
    clamp(t);
}

static void
take_csi(struct terminal *t, char c)
{
    if (c >= '0' && c <= '9') {
        t->n_params = t->n_params ? t->n_params : 1;
        t->param[t->n_params - 1] = t->param[t->n_params - 1] * 10 + c - '0';
    } else if (c == ';') {
        t->n_params = t->n_params ? t->n_params : 1;
        t->n_params += t->n_params < MOST_PARAMS;
    } else if (c == '?' || c == '>' || c == '!') {
        t->private = c == '?';
    } else if (c >= '@') {
        t->mode = PLAIN;
        control(t, c);
    }
}

static void
take_byte(struct terminal *t, char c)
{
    if (t->mode == PLAIN)
        take_plain(t, c);
    else if (t->mode == ESCAPE)
        take_escape(t, c);
    else if (t->mode == CSI)
        take_csi(t, c);
    else if (t->mode == CHARSET || c == '\a')
        t->mode = PLAIN;
}

/* Reads what there is, waiting up to `ms` for it; false: the program has gone. */
static bool
pump(struct terminal *t, int ms)
{
    char buf[4096];
    struct pollfd p = {.fd = t->fd, .events = POLLIN};
    if (poll(&p, 1, ms) <= 0)
        return true;
    const ssize_t n = read(t->fd, buf, sizeof(buf));
    for (ssize_t i = 0; i < n; i++)
        take_byte(t, buf[i]);
    return n > 0;
}

static void
drain(struct terminal *t)
{
    struct pollfd p = {.fd = t->fd, .events = POLLIN};
    while (poll(&p, 1, 100) == 1 && pump(t, 0))
        ;
}

static bool
on_screen(const struct terminal *t, const char *text)
{
    for (int y = 0; y < t->rows; y++)
        if (strstr(t->cell[y], text))
            return true;
    return false;
}

static void
wait_for(struct terminal *t, const char *text)
{
    for (int ms = 0; ms < PATIENCE_MS; ms += STEP_MS) {
        if (on_screen(t, text))
            return;
        if (!pump(t, STEP_MS))
            break;
    }
    for (int y = 0; y < t->rows; y++)
        print_message("# |%.*s|\n", t->columns, t->cell[y]);
    fail_msg("'%s' did not appear", text);
}

static void
type(struct terminal *t, const char *keys)
{
    assert_int_equal(write(t->fd, keys, strlen(keys)), (ssize_t)strlen(keys));
}

static void
set_size(struct terminal *t, int rows, int columns)
{
    const struct winsize ws = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    t->rows = rows;
    t->columns = columns;
    t->top = 0;
    t->bottom = rows - 1;
    clear_all(t);
    clamp(t);
    assert_int_equal(ioctl(t->fd, TIOCSWINSZ, &ws), 0);
}

static void
start(struct terminal *t, const char *program, const char *const *argv)
{
    struct winsize ws = {.ws_row = 24, .ws_col = 80};
    *t = (struct terminal){.rows = 24, .columns = 80, .bottom = 23};
    clear_all(t);
    assert_int_equal(openpty(&t->fd, &t->slave, NULL, NULL, &ws), 0);
    assert_int_equal(tcgetattr(t->slave, &t->before), 0);
    t->pid = fork();
    assert_true(t->pid >= 0);
    if (t->pid == 0) {
        close(t->fd);
        login_tty(t->slave);
        if (chdir(folder) == 0)
            execv(program, (char **)argv);
        _exit(127);
    }
}

static void
start_workbench(struct terminal *t)
{
    const char *const argv[] = {"qslim", "tui", "--ascii", sample, NULL};
    start(t, qslim, argv);
    wait_for(t, "[2Graph]");
    wait_for(t, "1/39"); /* operators of the sample */
}

/* Waits for the end; returns the wait status. */
static int
end_of(struct terminal *t)
{
    int status = -1;
    for (int ms = 0; waitpid(t->pid, &status, WNOHANG) != t->pid; ms += STEP_MS) {
        struct pollfd p = {.fd = t->fd, .events = POLLIN};
        if (poll(&p, 1, STEP_MS) == 1)
            pump(t, 0);
        if (ms < PATIENCE_MS)
            continue;
        kill(t->pid, SIGKILL);
        waitpid(t->pid, &status, 0);
        fail_msg("the program did not end");
    }
    drain(t);
    return status;
}

static void
check_given_back(struct terminal *t)
{
    struct termios now;
    /* what the program wrote last may still be on its way through the system */
    for (int ms = 0; ms < PATIENCE_MS / 4 && (t->alternate || t->mouse); ms += STEP_MS)
        pump(t, STEP_MS);
    assert_true(t->was_alternate);
    assert_false(t->alternate);
    assert_false(t->mouse);
    assert_int_equal(tcgetattr(t->slave, &now), 0);
    assert_int_equal(now.c_lflag, t->before.c_lflag);
    assert_int_equal(now.c_iflag, t->before.c_iflag);
    assert_int_equal(now.c_oflag, t->before.c_oflag);
    assert_memory_equal(now.c_cc, t->before.c_cc, sizeof(now.c_cc));
    close(t->fd);
    close(t->slave);
}

static void
quit(struct terminal *t)
{
    type(t, ":quit\r");
    assert_int_equal(end_of(t), 0);
    check_given_back(t);
}

static void
quits_and_gives_the_terminal_back(void **state)
{
    struct terminal t;
    (void)state;
    start_workbench(&t);
    assert_true(t.alternate);
    assert_true(on_screen(&t, "[2Graph]"));
    type(&t, "q");
    assert_int_equal(end_of(&t), 0);
    check_given_back(&t);
}

static void
keys_reach_every_view(void **state)
{
    static const struct {
        const char *key, *text;
    } cases[] = {
        {"1", "[1Models]"}, {"4", "weight-bits"},     {"5", "[5Jobs]"},
        {"6", "[6Runs]"},   {"7", "[7Comp"},          {"8", "[8Pareto]"},
        {"9", "[9Sens"},    {"0", "[0Log]"},          {"?", "keys of Log first"},
        {"2", "[2Graph]"},  {"\033OB\r", "[3Layer]"},
    };
    struct terminal t;
    (void)state;
    start_workbench(&t);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        type(&t, cases[i].key);
        wait_for(&t, cases[i].text);
    }
    quit(&t);
}

static void
follows_any_size(void **state)
{
    static const int size[][2] = {{50, 200}, {5, 20}, {1, 1}, {2, 3}, {24, 80}};
    struct terminal t;
    (void)state;
    start_workbench(&t);
    for (size_t i = 0; i < sizeof(size) / sizeof(*size); i++) {
        set_size(&t, size[i][0], size[i][1]);
        type(&t, "4321");
        drain(&t);
    }
    type(&t, "2");
    wait_for(&t, "[2Graph]");
    wait_for(&t, "? Help");
    type(&t, "\003");
    assert_int_equal(end_of(&t), 0);
    check_given_back(&t);
}

static void
quantizes_and_lists_the_run(void **state)
{
    struct terminal t;
    char path[256];
    struct stat st;
    (void)state;
    start_workbench(&t);
    type(&t, "4");
    wait_for(&t, "qslim quantize");
    type(&t, "j+");
    wait_for(&t, "not 9"); /* dynamic takes 8 or 16 bits */
    type(&t, "u");
    wait_for(&t, "times smaller");
    type(&t, "Qout\r");
    wait_for(&t, "times smaller) in out");
    snprintf(path, sizeof(path), "%s/out", folder);
    assert_int_equal(stat(path, &st), 0);
    type(&t, "6");
    wait_for(&t, "dynamic");
    wait_for(&t, "1 rows");
    type(&t, "\r");
    wait_for(&t, "layer by layer");
    type(&t, "4Qout\r");
    wait_for(&t, "write over it");
    type(&t, "n");
    wait_for(&t, "left as it was");
    quit(&t);
}

static void
a_click_selects_and_a_title_sorts(void **state)
{
    struct terminal t;
    (void)state;
    start_workbench(&t);
    assert_true(t.mouse);
    type(&t, "\033[<0;10;6M\033[<0;10;6m");
    wait_for(&t, " 3/");
    type(&t, "\033[<0;10;3M\033[<0;10;3m");
    wait_for(&t, "by type");
    quit(&t);
}

static void
signals_give_the_terminal_back(void **state)
{
    /* the thread sanitizer has a thread of its own that cannot run handlers of faults */
#ifdef __SANITIZE_THREAD__
    static const int sig[] = {SIGTERM, SIGHUP, SIGINT};
#else
    static const int sig[] = {SIGTERM, SIGHUP, SIGINT, SIGSEGV, SIGABRT};
#endif
    (void)state;
    for (size_t i = 0; i < sizeof(sig) / sizeof(*sig); i++) {
        struct terminal t;
        start_workbench(&t);
        kill(t.pid, sig[i]);
        const int status = end_of(&t);
        /* a build with a sanitizer ends in its own way on a crash */
        if (!(WIFSIGNALED(status) && WTERMSIG(status) == sig[i]) &&
            !(sig[i] == SIGSEGV && WIFEXITED(status) && WEXITSTATUS(status) != 0))
            fail_msg("signal %d gave status %#x", sig[i], (unsigned)status);
        check_given_back(&t);
    }
}

static void
stops_and_comes_back(void **state)
{
    static const char script[] = "set -m; \"$0\" tui --ascii \"$1\"; echo has stopped; read -r x; "
                                 "fg >/dev/null; echo has ended";
    const char *const argv[] = {"sh", "-c", script, qslim, sample, NULL};
    struct terminal t;
    (void)state;
    start(&t, "/bin/sh", argv);
    wait_for(&t, "conv2d");
    type(&t, "\032");
    wait_for(&t, "has stopped");
    assert_false(t.alternate);
    type(&t, "\r");
    wait_for(&t, "conv2d");
    assert_true(t.alternate);
    type(&t, "q");
    wait_for(&t, "has ended");
    assert_int_equal(end_of(&t), 0);
    check_given_back(&t);
}

static void
remembers_sort_and_theme(void **state)
{
    struct terminal t;
    char path[128];
    (void)state;
    snprintf(path, sizeof(path), "%s/config/qslim/tui.conf", folder);
    (void)unlink(path);
    start_workbench(&t);
    type(&t, ":sort type\r");
    wait_for(&t, "by type");
    type(&t, ":theme light\r");
    quit(&t);
    start_workbench(&t);
    wait_for(&t, "by type");
    type(&t, ":sort\r");
    quit(&t);
}

static void
without_a_terminal_it_says_so(void **state)
{
    int status, out[2];
    char text[512] = "";
    size_t n = 0;
    (void)state;
    assert_int_equal(pipe(out), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        const int null = open("/dev/null", O_RDWR);
        dup2(null, STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        execl(qslim, "qslim", "tui", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    for (ssize_t k; (k = read(out[0], text + n, sizeof(text) - 1 - n)) > 0;)
        n += (size_t)k;
    close(out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_non_null(strstr(text, "needs a terminal"));
}

static int
set_up(void **state)
{
    char model[4096], db[64], config[64];
    const char *source = getenv("srcdir");
    (void)state;
    qslim = getenv("QSLIM");
    if (!qslim || access(qslim, X_OK) != 0 || !mkdtemp(folder))
        return -1;
    snprintf(model, sizeof(model), "%s/sample/digits", source ? source : ".");
    sample = realpath(model, NULL);
    snprintf(db, sizeof(db), "%s/runs.db", folder);
    snprintf(config, sizeof(config), "%s/config", folder);
    setenv("QSLIM_DB", db, 1);
    setenv("XDG_CONFIG_HOME", config, 1);
    setenv("XDG_DATA_HOME", folder, 1);
    setenv("HOME", folder, 1);
    setenv("TERM", "xterm-256color", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    unsetenv("LANGUAGE");
    unsetenv("NO_COLOR");
    return sample ? 0 : -1;
}

static int
tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    free((char *)sample);
    return system(command);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quits_and_gives_the_terminal_back),
        cmocka_unit_test(keys_reach_every_view),
        cmocka_unit_test(follows_any_size),
        cmocka_unit_test(quantizes_and_lists_the_run),
        cmocka_unit_test(a_click_selects_and_a_title_sorts),
        cmocka_unit_test(signals_give_the_terminal_back),
        cmocka_unit_test(stops_and_comes_back),
        cmocka_unit_test(remembers_sort_and_theme),
        cmocka_unit_test(without_a_terminal_it_says_so),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
