/* The command line: each line of the text is a word, the first the name of a command. It is read, or an error that says
 * why not; and the values that were read are in the ranges that the command's table gives. */
#include "command.h"
#include "fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DECLARE(name) extern const struct command name##_command;
WEIR_COMMANDS(DECLARE)

#define ENTRY(name) &name##_command,
static const struct command *const commands[] = {WEIR_COMMANDS(ENTRY)};

enum { MOST_WORDS = 64 };

static void check_values(const struct arguments *arguments)
{
    const struct option *option;
    for (size_t i = 0; (option = command_option(arguments->command, i)); i++) {
        const struct option_value *value = &arguments->values[i];
        bool is_number = option->kind == OPTION_NUMBER || option->kind == OPTION_SECONDS;
        double number = option->kind == OPTION_COUNT ? (double)value->count : value->number;
        if (!value->text || (!is_number && option->kind != OPTION_COUNT)) continue;
        fuzz_require(isfinite(number), "a number is finite");
        fuzz_require(number >= option->low && (option->high <= 0 || number <= option->high),
                     "a number is in its option's range");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *words[MOST_WORDS], *rest = text;
    int count = 0;
    while (count < MOST_WORDS && rest) words[count++] = strsep(&rest, "\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct arguments arguments;
        ad_error error;
        if (strcmp(words[0], commands[i]->name) != 0) continue;
        if (arguments_parse(&arguments, commands[i], count - 1, words + 1, &error))
            fuzz_check_error(&error);
        else
            check_values(&arguments);
    }
    free(text);
    return 0;
}
