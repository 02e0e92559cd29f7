/* Ctrl-C, and other signals that ask for an end, for work that can stop halfway. */
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGALRM, SIGUSR1, SIGUSR2};
enum { SIGNALS = sizeof signals / sizeof *signals };

/* Any thread may be the one that a signal comes to. */
static atomic_int noted, typed;
static struct sigaction old[SIGNALS];

/* To whoever types, wherever standard error goes; a terminal that is stopped keeps nobody waiting. */
static void answer(void)
{
    static const char text[] = "\nweir: what there is is being saved; ctrl-C once more ends this and saves nothing\n";
    int terminal = open("/dev/tty", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (terminal < 0) return;
    (void)!write(terminal, text, sizeof text - 1);
    close(terminal);
}

static void on_signal(int number, siginfo_t *about, void *unused)
{
    (void)unused;
    int reason = errno;
    interrupt_note(number);
    bool by_a_process = about->si_code <= 0;
    int before = number == SIGINT && !by_a_process ? atomic_fetch_add(&typed, 1) : 0;
    if (before == 1) answer();
    if (before >= 2) {
        signal(SIGINT, SIG_DFL);
        raise(SIGINT);
    }
    errno = reason;
}

static void leave_time_to_save(void)
{
    struct rlimit time;
    if (getrlimit(RLIMIT_CPU, &time) || time.rlim_cur == RLIM_INFINITY || time.rlim_cur != time.rlim_max) return;
    time.rlim_cur -= time.rlim_cur / 10 + 1;
    setrlimit(RLIMIT_CPU, &time);
}

void interrupt_catch(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_RESTART | SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    noted = typed = 0;
    leave_time_to_save();
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < SIGNALS; i++) {
        sigaction(signals[i], NULL, &old[i]);
        if (old[i].sa_handler != SIG_IGN) sigaction(signals[i], &action, NULL);
    }
}

void interrupt_release(void)
{
    for (int i = 0; i < SIGNALS; i++) sigaction(signals[i], &old[i], NULL);
}

int interrupt_signal(void)
{
    return noted;
}

void interrupt_note(int signal)
{
    int none = 0;
    atomic_compare_exchange_strong(&noted, &none, signal);
}

bool interrupt_noted(void *context)
{
    (void)context;
    return noted != 0;
}
