/* Ctrl-C, and other signals that ask for an end, for work that can stop halfway. */
#ifndef WEIR_COMMAND_INTERRUPT_H
#define WEIR_COMMAND_INTERRUPT_H

#include <stdbool.h>

/* From here to interrupt_release() the first SIGINT, SIGTERM or SIGHUP is noted, and a second one of its kind ends the
 * process. What the process was started to ignore, as by nohup, stays ignored. */
void interrupt_catch(void);
/* The same for work that has something to clear away and ends at once: every signal is noted. */
void interrupt_catch_all(void);
void interrupt_release(void);
/* The signal that was noted last, or 0. */
int interrupt_signal(void);
/* Was there one? Of a signature that the library's options call `interrupted`; context is not looked at. */
bool interrupt_noted(void *context);

#endif
