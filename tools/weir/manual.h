/* Pages for man(1), from the tables that help is from. */
#ifndef WEIR_COMMAND_MANUAL_H
#define WEIR_COMMAND_MANUAL_H

#include <stdbool.h>
#include <stdio.h>

/* `weir --man DATE [COMMAND …]`, which the build calls: the page of the command of these words, or of weir itself.
 * False: there is no such command, or no date. */
bool manual_print(int count, char **words, FILE *to);

#endif
