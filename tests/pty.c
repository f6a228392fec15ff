/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program on a pseudo-terminal of 80x24 and types into it; for tests of what only happens on
 * a terminal.
 *
 *     pty OUTPUT [STEP]... -- COMMAND [ARG]...
 *
 * OUTPUT gets every byte the program wrote. Steps, each taken once the program has been silent for
 * a while:
 *     keys:TEXT      types TEXT (\e is escape, \r is enter)
 *     size:COLSxROWS resizes the terminal
 *     signal:NUMBER  sends the signal to the program
 * The exit status is that of the program, 128 + N when signal N ended it, 124 when it did not end,
 * 125 when it ended but left the terminal in another mode than it found.
 */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>

enum {
    SILENT_MS = 300,    /* a program that says nothing for this long waits for a key */
    FIRST_MS = 10000,   /* for its first byte */
    PATIENCE_MS = 20000 /* after the last step, until it must have ended */
};

static void
die(const char *what)
{
    perror(what);
    exit(126);
}

static int64_t
now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Copies what the program writes until it is silent: first for `ms`, after its first byte for
 * SILENT_MS at the most. One that never is silent is left after a while. */
static void
drain(int terminal, int out, int ms)
{
    char buf[4096];
    struct pollfd p = {.fd = terminal, .events = POLLIN};
    const int64_t end = now_ms() + PATIENCE_MS;
    while (now_ms() < end && poll(&p, 1, ms) > 0) {
        const ssize_t n = read(terminal, buf, sizeof(buf));
        if (n <= 0)
            return;
        if (write(out, buf, (size_t)n) != n)
            die("write");
        if (ms > SILENT_MS)
            ms = SILENT_MS;
    }
}

static void
type(int terminal, const char *s)
{
    for (; *s != '\0'; s++) {
        char c = *s;
        if (c == '\\' && s[1] != '\0') {
            s++;
            c = *s == 'e' ? '\033' : *s == 'r' ? '\r' : *s;
        }
        if (write(terminal, &c, 1) != 1)
            die("write");
    }
}

static void
take_step(int terminal, pid_t pid, const char *step)
{
    struct winsize size = {0};
    if (strncmp(step, "keys:", 5) == 0)
        type(terminal, step + 5);
    else if (sscanf(step, "size:%hux%hu", &size.ws_col, &size.ws_row) == 2)
        ioctl(terminal, TIOCSWINSZ, &size);
    else if (strncmp(step, "signal:", 7) == 0)
        kill(pid, atoi(step + 7));
    else {
        fprintf(stderr, "pty: bad step '%s'\n", step);
        exit(126);
    }
}

static int
same_modes(const struct termios *a, const struct termios *b)
{
    return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
           a->c_lflag == b->c_lflag;
}

int
main(int argc, char **argv)
{
    int command = 2;
    while (command < argc && strcmp(argv[command], "--") != 0)
        command++;
    if (command + 1 >= argc) {
        fprintf(stderr, "usage: pty OUTPUT [STEP]... -- COMMAND [ARG]...\n");
        return 126;
    }
    const int out = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (out < 0)
        die(argv[1]);

    struct winsize size = {.ws_col = 80, .ws_row = 24};
    int terminal, side; /* the side is kept open: its modes are looked at when all is over */
    if (openpty(&terminal, &side, NULL, NULL, &size) != 0)
        die("openpty");
    struct termios before, after;
    if (tcgetattr(side, &before) != 0)
        die("tcgetattr");
    const pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        close(terminal);
        if (login_tty(side) != 0)
            die("login_tty");
        execvp(argv[command + 1], argv + command + 1);
        die(argv[command + 1]);
    }

    drain(terminal, out, FIRST_MS);
    for (int i = 2; i < command; i++) {
        take_step(terminal, pid, argv[i]);
        drain(terminal, out, SILENT_MS);
    }
    int status = 0;
    const int64_t end = now_ms() + PATIENCE_MS;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        drain(terminal, out, 50);
        if (now_ms() > end) {
            kill(pid, SIGKILL);
            return 124;
        }
    }
    drain(terminal, out, 0);
    if (tcgetattr(side, &after) != 0 || !same_modes(&before, &after))
        return 125;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
