/* Completion of what the library knows by name: in formulas, and in options that name one. */
#ifndef WEIR_COMMAND_COMPLETE_NAMES_H
#define WEIR_COMMAND_COMPLETE_NAMES_H

#include "command.h"

/* What `typed` can become, behind `before`, in lines as complete() has them: "(maf-fl" becomes "(maf-flip", and
 * "coupling(transformer=" the name of each transformer behind it. */
void complete_formula(const char *before, const char *typed, FILE *to);
void complete_target(const char *before, const char *typed, FILE *to);
/* A name with arguments, "adam(beta2=0.9)", of those that are known. */
void complete_known(const char *before, const char *typed, const struct known *known, FILE *to);

#endif
