/* Ctrl-C, and other signals that ask for an end, for work that can stop halfway. */
#ifndef WEIR_COMMAND_INTERRUPT_H
#define WEIR_COMMAND_INTERRUPT_H

#include <stdbool.h>

/* From here to interrupt_release(), before which what is kept of the work must be written, signals that ask for an end
 * are noted, and don't end the process: SIGINT, SIGTERM and SIGHUP; SIGXCPU, SIGALRM, SIGUSR1 and SIGUSR2, by which
 * batch systems and alarms tell that time is nearly over. All of them may come twice of themselves, as those of
 * timeout(1) do, SIGINT too. So what a process sends never ends this one, but what is typed does: the second ctrl-C is
 * answered on the terminal, by what the third will do, which is to end the process at once. That takes no clock to tell
 * apart from keys that were struck in haste. SIGQUIT, ctrl-\, is left as it is, for those who want an end at once.
 *
 * What the process was started to ignore, as by nohup, stays ignored. The two calls don't nest. From here on to the end
 * of the process SIGPIPE is ignored: that nobody reads the progress any more is no reason to lose the work, and that
 * nobody reads the report is an error of writing, which the exit status tells. Where there is a limit of processor time
 * at which the system kills, SIGXCPU comes a tenth of it earlier, or a second.
 */
void interrupt_catch(void);
void interrupt_release(void);
/* The signal that was noted first, or 0; it can be asked for after interrupt_release() too. */
int interrupt_signal(void);
/* Take it that this signal came, where none has. */
void interrupt_note(int signal);
/* Was there one? Of a signature that the library's options call `interrupted`; context is not looked at. */
bool interrupt_noted(void *context);

#endif
