/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/screen.h"

#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
/* term.h defines macros that collide with short names */
#undef lines
#undef columns

#include "base/file.h"
#include "base/i18n.h"
#include "base/mem.h"

const char *const ui_theme_name[] = {"dark", "light", NULL};

enum colour {
#define COLOUR(id, ...) COLOUR_##id,
#include "ui/palette.inc"
#undef COLOUR
};

static const struct {
    short of[UI_N_THEMES][3]; /* [theme][256, 16, 8 colours] */
} palette[] = {
#define COLOUR(id, a, b, c, d, e, f) {{{a, b, c}, {d, e, f}}},
#include "ui/palette.inc"
#undef COLOUR
};

static const struct {
    enum colour text, ground;
    attr_t attr;
} item_style[] = {
#define ITEM(id, text, ground, attr) {COLOUR_##text, COLOUR_##ground, attr},
#include "ui/theme.inc"
#undef ITEM
};

struct ui_screen_private {
    SCREEN *screen;
    FILE *in, *out; /* of a grid: the null device */
    struct ui_key last_click;
    int64_t last_click_ms;
};

/* What a signal handler needs to give the terminal back: made before the handlers are set. */
static struct {
    volatile sig_atomic_t armed;
    struct termios mode;
    char bytes[256];
    size_t n;
} rescue;

static int
rescue_char(int c)
{
    if (rescue.n < sizeof(rescue.bytes))
        rescue.bytes[rescue.n++] = (char)c;
    return c;
}

static void
rescue_string(const char *capability)
{
    char name[16];
    snprintf(name, sizeof(name), "%s", capability);
    const char *s = tigetstr(name);
    if (s && s != (char *)-1)
        tputs(s, 1, rescue_char);
}

static void
prepare_rescue(void)
{
    static const char *const order[] = {"sgr0", "op", "rmkx", "cnorm", "rmcup"};
    static const char mouse_off[] = "\033[?1006l\033[?1003l\033[?1002l\033[?1000l";
    rescue.n = 0;
    for (const char *p = mouse_off; *p; p++)
        rescue_char(*p);
    for (size_t i = 0; i < QS_LEN(order); i++)
        rescue_string(order[i]);
    tcgetattr(STDIN_FILENO, &rescue.mode);
}

/* Only calls that a signal handler may make. */
static void
give_back(void)
{
    if (!rescue.armed)
        return;
    rescue.armed = 0;
    ssize_t unused = write(STDOUT_FILENO, rescue.bytes, rescue.n);
    (void)unused;
    tcsetattr(STDIN_FILENO, TCSANOW, &rescue.mode);
}

static const int crash[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGQUIT};
static struct sigaction before_us[QS_LEN(crash)];

/* Gives the terminal back and lets whoever was there before us have the signal. */
static void
on_crash(int sig)
{
    give_back();
    for (size_t i = 0; i < QS_LEN(crash); i++)
        if (crash[i] == sig)
            sigaction(sig, &before_us[i], NULL);
    raise(sig);
}

static void
give_back_at_exit(void)
{
    give_back();
}

static void
set_handlers(void)
{
    static bool at_exit_set;
    struct sigaction sa = {.sa_handler = on_crash, .sa_flags = SA_NODEFER};
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < QS_LEN(crash); i++)
        sigaction(crash[i], &sa, &before_us[i]);
    if (!at_exit_set)
        atexit(give_back_at_exit);
    at_exit_set = true;
}

static int
palette_column(int colours)
{
    return colours >= 256 ? 0 : colours >= 16 ? 1 : 2;
}

void
ui_screen_set_theme(struct ui_screen *s, enum ui_theme theme)
{
    s->theme = theme;
    if (!s->colours)
        return;
    const int column = palette_column(s->colours);
    for (int i = 0; i < UI_N_ITEMS; i++)
        init_pair((short)(i + 1), palette[item_style[i].text].of[theme][column],
                  palette[item_style[i].ground].of[theme][column]);
}

static void
start_colours(struct ui_screen *s, bool never)
{
    if (never || !has_colors())
        return;
    start_color();
    use_default_colors();
    s->colours = COLORS >= 256 ? 256 : COLORS >= 16 ? 16 : COLORS >= 8 ? 8 : 0;
    if (COLOR_PAIRS <= UI_N_ITEMS)
        s->colours = 0;
}

static SCREEN *
open_grid(struct ui_screen_private *p)
{
    static const char *const type[] = {"xterm-256color", "xterm", "vt100", "ansi", "dumb"};
    p->out = fopen("/dev/null", "w");
    p->in = fopen("/dev/null", "r");
    SCREEN *screen = NULL;
    for (size_t i = 0; !screen && p->out && p->in && i < QS_LEN(type); i++)
        screen = newterm(type[i], p->out, p->in);
    return screen;
}

static void
set_modes(struct ui_screen *s)
{
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    meta(stdscr, TRUE);
    set_escdelay(25);
    curs_set(0);
    leaveok(stdscr, FALSE);
    if (s->on_grid)
        return;
    mousemask(BUTTON1_PRESSED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL);
    mouseinterval(0);
}

static void
free_screen(struct ui_screen *s)
{
    if (s->p->in)
        fclose(s->p->in);
    if (s->p->out)
        fclose(s->p->out);
    free(s->p);
    free(s);
}

static bool
locale_is_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static enum qs_err
check_terminal(struct qs_ctx *cx)
{
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        return QS_OK;
    return qs_fail(cx, QS_ERR_UNSUPPORTED,
                   _("the workbench needs a terminal; without one use --script"));
}

static void
take_size(struct ui_screen *s)
{
    getmaxyx(stdscr, s->h, s->w);
}

enum qs_err
ui_screen_open(struct qs_ctx *cx, const struct ui_screen_options *opt, struct ui_screen **out)
{
    const bool grid = opt->width > 0 && opt->height > 0;
    if (!grid && check_terminal(cx) != QS_OK)
        return cx->err;
    struct ui_screen *s = qs_xcalloc(1, sizeof(*s));
    s->p = qs_xcalloc(1, sizeof(*s->p));
    s->on_grid = grid;
    s->override = -1;
    s->utf8 = !opt->ascii && locale_is_utf8();
    s->p->screen = grid ? open_grid(s->p) : newterm(NULL, stdout, stdin);
    if (!s->p->screen) {
        const char *term = getenv("TERM");
        free_screen(s);
        return qs_fail(cx, QS_ERR_UNSUPPORTED, _("terminal '%s' cannot show the workbench"),
                       term ? term : "");
    }
    if (!grid) {
        reset_shell_mode();
        prepare_rescue();
        reset_prog_mode();
        set_handlers();
        rescue.armed = 1;
    }
    set_modes(s);
    start_colours(s, opt->no_colour);
    ui_screen_set_theme(s, UI_THEME_DARK);
    if (grid)
        ui_screen_resize(s, opt->width, opt->height);
    take_size(s);
    *out = s;
    return QS_OK;
}

/* Terminals without a second screen keep what was drawn: the prompt of the shell needs a line. */
static void
clear_last_line(const struct ui_screen *s)
{
    attrset(A_NORMAL);
    move(s->h - 1, 0);
    clrtoeol();
    refresh();
}

void
ui_screen_close(struct ui_screen *s)
{
    if (!s)
        return;
    clear_last_line(s);
    curs_set(1);
    endwin();
    if (!s->on_grid)
        for (size_t i = 0; i < QS_LEN(crash); i++)
            sigaction(crash[i], &before_us[i], NULL);
    rescue.armed = 0;
    delscreen(s->p->screen);
    free_screen(s);
}

int
ui_screen_fd(const struct ui_screen *s)
{
    return s->on_grid ? -1 : STDIN_FILENO;
}

static const struct {
    int curses, code;
} special[] = {
    {KEY_UP, UI_KEY_UP},         {KEY_DOWN, UI_KEY_DOWN},     {KEY_LEFT, UI_KEY_LEFT},
    {KEY_RIGHT, UI_KEY_RIGHT},   {KEY_PPAGE, UI_KEY_PAGE_UP}, {KEY_NPAGE, UI_KEY_PAGE_DOWN},
    {KEY_HOME, UI_KEY_HOME},     {KEY_END, UI_KEY_END},       {KEY_FIND, UI_KEY_HOME},
    {KEY_SELECT, UI_KEY_END},    {KEY_DC, UI_KEY_DELETE},     {KEY_IC, UI_KEY_INSERT},
    {KEY_BTAB, UI_KEY_BACK_TAB}, {KEY_ENTER, UI_KEY_ENTER},   {KEY_BACKSPACE, UI_KEY_BACKSPACE},
};

static int
special_code(int curses)
{
    for (size_t i = 0; i < QS_LEN(special); i++)
        if (special[i].curses == curses)
            return special[i].code;
    if (curses > KEY_F(0) && curses <= KEY_F(12))
        return UI_KEY_F1 + curses - KEY_F(1);
    return UI_KEY_NONE;
}

static int64_t
now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int
click_code(struct ui_screen_private *p, int x, int y)
{
    enum { DOUBLE_CLICK_MS = 400 };
    const int64_t now = now_ms();
    const bool twice =
        p->last_click.x == x && p->last_click.y == y && now - p->last_click_ms < DOUBLE_CLICK_MS;
    p->last_click = (struct ui_key){0, x, y};
    p->last_click_ms = twice ? 0 : now;
    return twice ? UI_KEY_DOUBLE : UI_KEY_CLICK;
}

static bool
read_mouse(struct ui_screen_private *p, struct ui_key *key)
{
    MEVENT ev;
    if (getmouse(&ev) != OK)
        return false;
    key->x = ev.x;
    key->y = ev.y;
    key->code = ev.bstate & BUTTON4_PRESSED   ? UI_KEY_WHEEL_UP
                : ev.bstate & BUTTON5_PRESSED ? UI_KEY_WHEEL_DOWN
                : ev.bstate & BUTTON1_PRESSED ? click_code(p, ev.x, ev.y)
                                              : UI_KEY_NONE;
    return key->code != UI_KEY_NONE;
}

static int
plain_code(wint_t c)
{
    if (c == '\n')
        return UI_KEY_ENTER;
    if (c == '\b')
        return UI_KEY_BACKSPACE;
    return (int)c;
}

bool
ui_screen_key(struct ui_screen *s, struct ui_key *key, bool *gone)
{
    while (!s->on_grid) {
        wint_t c;
        errno = 0;
        const int rc = get_wch(&c);
        if (rc == ERR) {
            struct pollfd pfd = {.fd = STDIN_FILENO, .events = POLLIN};
            if (poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLHUP | POLLERR | POLLNVAL)))
                *gone = true;
            return false;
        }
        *key = (struct ui_key){.code = UI_KEY_NONE};
        if (rc == KEY_CODE_YES && c == KEY_MOUSE) {
            if (read_mouse(s->p, key))
                return true;
            continue;
        }
        key->code = rc == KEY_CODE_YES ? special_code((int)c) : plain_code(c);
        if (key->code != UI_KEY_NONE)
            return true;
    }
    return false;
}

void
ui_screen_measure(struct ui_screen *s)
{
    struct winsize ws;
    if (s->on_grid || ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) != 0 || !ws.ws_row || !ws.ws_col)
        return;
    ui_screen_resize(s, ws.ws_col, ws.ws_row);
}

void
ui_screen_resize(struct ui_screen *s, int w, int h)
{
    enum { LARGEST = 2000 };
    w = w < 1 ? 1 : w > LARGEST ? LARGEST : w;
    h = h < 1 ? 1 : h > LARGEST ? LARGEST : h;
    resizeterm(h, w);
    take_size(s);
    clearok(stdscr, TRUE);
}

void
ui_screen_suspend(struct ui_screen *s)
{
    if (s->on_grid)
        return;
    curs_set(1);
    endwin();
    rescue.armed = 0;
    struct sigaction old, stop = {.sa_handler = SIG_DFL};
    sigaction(SIGTSTP, &stop, &old);
    kill(0, SIGTSTP);
    sigaction(SIGTSTP, &old, NULL);
    rescue.armed = 1;
    reset_prog_mode();
    curs_set(0);
    ui_screen_measure(s);
    ui_redraw(s);
    refresh();
}

void
ui_clear(struct ui_screen *s)
{
    (void)s;
    attrset(A_NORMAL);
    erase();
}

void
ui_redraw(struct ui_screen *s)
{
    (void)s;
    clearok(curscr, TRUE);
}

void
ui_flush(struct ui_screen *s, int y, int x)
{
    const bool shown = y >= 0 && y < s->h && x >= 0 && x < s->w;
    curs_set(shown);
    if (shown)
        move(y, x);
    refresh();
}

void
ui_screen_set_style(const struct ui_screen *s, enum ui_item item)
{
    if (s->override >= 0)
        item = (enum ui_item)s->override;
    attr_t attr = item_style[item].attr;
    /* a ground of its own does not need the swap */
    if (s->colours && item_style[item].ground != COLOUR_PLAIN)
        attr &= ~(attr_t)A_REVERSE;
    if (s->colours > 8 && item_style[item].text == COLOUR_FAINT)
        attr &= ~(attr_t)A_DIM;
    attr_set(attr, s->colours ? (short)(item + 1) : 0, NULL);
}
