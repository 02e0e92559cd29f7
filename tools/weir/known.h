/* What the library knows by name, for options that take one. */
#ifndef WEIR_COMMAND_KNOWN_H
#define WEIR_COMMAND_KNOWN_H

#include "command.h"
#include <weir/models.h>

extern const struct known known_optimizers, known_schedules, known_objectives;

/* The options of an optimiser that a command line gives. --beta2 is one of the arguments of --optimizer, where that has
 * it. The result points into text. */
enum { OPTIMIZER_TEXT = 1024 };
nf_optimizer_options optimizer_chosen(const struct arguments *arguments, double clip, char text[static OPTIMIZER_TEXT]);

#endif
