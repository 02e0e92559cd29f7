/* The target that a command line names, with the data that it is of. */
#ifndef WEIR_COMMAND_TARGET_H
#define WEIR_COMMAND_TARGET_H

#include "command.h"

#include <weir/models.h>

/* What is said of it in help. */
#define POSITIONAL_TARGET                                                                                              \
    {                                                                                                                  \
        "TARGET", NULL,                                                                                                \
            "an unnormalised density: pot1, or funnel(dim=5), see 'weir help targets'; or one of your own, "           \
            "./model.so"                                                                                               \
    }

#define ABOUT_TARGETS                                                                                                  \
    "\nA target of your own is a few lines of C, as schools.c among the examples of Weir's source, and is named by "   \
    "its file; columns of the table of --data come to it:\n\n"                                                         \
    "  cc -shared -fPIC schools.c $(pkg-config --cflags weir) -o schools.so\n"                                         \
    "  weir nuts ./schools.so --data schools.csv\n"

#define OPTION_DATA                                                                                                    \
    {                                                                                                                  \
        .name = "data", .kind = OPTION_TEXT, .file = INPUT_FILE, .value = "TABLE",                                     \
        .help = "the data of a target that needs some, which finds columns by their names: .csv, .tsv or .txt"         \
    }

/* The first word of the command line as a target: the name of one, with arguments; or the file of a plug-in that brings
 * one, "./model.so" or "./model.so(df=4)", which is loaded. With the table of --data. For nf_target_free(); NULL with
 * *error. */
nf_target *target_open(const struct arguments *arguments, ad_error *error);

#endif
