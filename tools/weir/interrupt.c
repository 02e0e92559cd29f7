/* Ctrl-C, and other signals that ask for an end, for work that can stop halfway. */
#include "interrupt.h"

#include <signal.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGXCPU};
enum { SIGNALS = sizeof signals / sizeof *signals };

static volatile sig_atomic_t noted;
static struct sigaction old[SIGNALS];

static void on_signal(int number)
{
    if (!noted) noted = number;
}

/* ctrl_c: flags for SIGINT besides those of every signal. */
static void catch (int ctrl_c)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    noted = 0;
    for (int i = 0; i < SIGNALS; i++) {
        action.sa_flags = SA_RESTART | (signals[i] == SIGINT ? ctrl_c : 0);
        sigaction(signals[i], NULL, &old[i]);
        if (old[i].sa_handler != SIG_IGN) sigaction(signals[i], &action, NULL);
    }
}

void interrupt_catch(void)
{
    signal(SIGPIPE, SIG_IGN);
    catch ((int)SA_RESETHAND);
}

void interrupt_catch_all(void)
{
    catch (0);
}

void interrupt_release(void)
{
    for (int i = 0; i < SIGNALS; i++) sigaction(signals[i], &old[i], NULL);
}

int interrupt_signal(void)
{
    return noted;
}

bool interrupt_noted(void *context)
{
    (void)context;
    return noted != 0;
}
