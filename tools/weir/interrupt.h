/* Ctrl-C, for work that can stop halfway. */
#ifndef WEIR_INTERRUPT_H
#define WEIR_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

/* From here on the first ctrl-C is noted, and the second ends the process; until sigaction(SIGINT, old, NULL). */
void interrupt_catch(struct sigaction *old);
bool is_interrupted(void);

#endif
