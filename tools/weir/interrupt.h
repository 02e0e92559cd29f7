/* Ctrl-C, and other signals that ask for an end, for work that can stop halfway. */
#ifndef WEIR_COMMAND_INTERRUPT_H
#define WEIR_COMMAND_INTERRUPT_H

#include <stdbool.h>

/* From here to interrupt_release(), for which what is kept of the work must be written, SIGINT, SIGTERM, SIGHUP
 * and SIGXCPU are noted. Only a second SIGINT, ctrl-C typed again, ends the process: other signals come twice of
 * themselves, as those of timeout(1) do. What the process was started to ignore, as by nohup, stays ignored. The two
 * calls don't nest. From here on to the end of the process SIGPIPE is ignored: that nobody reads the progress any more
 * is no reason to lose the work, and that nobody reads the report is an error of writing, which the exit status tells.
 */
void interrupt_catch(void);
/* The same for work that has something to clear away and ends at once: a second SIGINT is noted like others. */
void interrupt_catch_all(void);
void interrupt_release(void);
/* The signal that was noted first, or 0; it can be asked for after interrupt_release() too. */
int interrupt_signal(void);
/* Was there one? Of a signature that the library's options call `interrupted`; context is not looked at. */
bool interrupt_noted(void *context);

#endif
