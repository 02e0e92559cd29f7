/* Completion, which the shells' scripts of tools/completion ask for. */
#ifndef WEIR_COMMAND_COMPLETE_H
#define WEIR_COMMAND_COMPLETE_H

#include <stdio.h>

/* `weir --complete WORD …`: what the last word, as far as it is typed, can become, in lines of the whole word, a tab
 * and what it means. A line ":files" means that files can stand there; ":more", that what is told of may go on behind.
 */
void complete(int count, char **words, FILE *to);

#endif
