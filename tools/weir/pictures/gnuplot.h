/* Pictures by gnuplot. */
#ifndef WEIR_COMMAND_PICTURES_GNUPLOT_H
#define WEIR_COMMAND_PICTURES_GNUPLOT_H

#include <stdio.h>
#include <weir/data.h>

/* A gnuplot script that is being written: print the commands into it. NULL on failure. */
FILE *gnuplot_begin(ad_error *error);
/* Text as a quoted string of the script, whatever is in it. */
void gnuplot_quote(FILE *script, const char *text);
/* Let gnuplot draw to standard output, and make a file of that; closes the script. */
ad_status gnuplot_finish(FILE *script, const char *path, ad_error *error);

#endif
