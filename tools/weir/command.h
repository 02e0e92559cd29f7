/* Commands as tables: what a command is called, its arguments and options, what runs it. Parsing, checking and help
 * come from the tables. */
#ifndef WEIR_COMMAND_COMMAND_H
#define WEIR_COMMAND_COMMAND_H

#include <weir/autodiff.h>

#include <jansson.h>

/* ---- Tables -------------------------------------------------------------------------------------------------- */

enum option_kind { OPTION_FLAG, OPTION_COUNT, OPTION_NUMBER, OPTION_SECONDS, OPTION_TEXT, OPTION_CHOICE };
/* A text that names a file: "-" stands for standard input or output. */
enum file_role { NO_FILE, INPUT_FILE, OUTPUT_FILE };

/* What the library knows by name, with arguments or without: "adam(beta2=0.98)". */
struct known {
    const char *(*name)(size_t i); /* NULL behind the last */
    ad_status (*check)(const char *text, ad_error *error);
};

struct option {
    const char *name; /* after "--" */
    char letter;      /* after "-"; 0: none */
    enum option_kind kind;
    enum file_role file;
    const char *value;   /* what help calls the value: "FILE" */
    const char *initial; /* the default, as a user would give it; NULL: none */
    bool required;
    double low, high;          /* of counts and numbers, inclusive; high 0: no limit */
    bool above_low;            /* low itself is excluded */
    bool empty;                /* of a text: it may be one without a letter */
    bool completes;            /* with it nothing else is required: a file has the rest */
    const char *choices;       /* "float32|float64" */
    const struct known *known; /* of a text: what it names; NULL: anything */
    const char *help;
};

#define OPTION_THREADS                                                                                                 \
    {                                                                                                                  \
        .name = "threads", .kind = OPTION_COUNT, .value = "N", .initial = "0", .high = 1024,                           \
        .help = "threads to use; 0: one for each core"                                                                 \
    }

/* In the order of nf_header. */
#define OPTION_HEADER                                                                                                  \
    {                                                                                                                  \
        .name = "header", .kind = OPTION_CHOICE, .value = "WHAT", .initial = "auto", .choices = "auto|yes|no",         \
        .help = "is the first line of the table the columns' names?"                                                   \
    }

/* What stands without a name on the command line. */
struct positional {
    const char *name;
    const char *choices; /* NULL: any text */
    const char *help;
    enum file_role file;
};

enum { MOST_OPTIONS = 48, MOST_POSITIONALS = 2, MOST_GROUPS = 3 };

struct arguments;

struct command {
    const char *name;
    const char *summary; /* one line */
    const char *about;   /* more of it, for the command's help; NULL: nothing */
    const char *example;
    struct positional positionals[MOST_POSITIONALS];
    const struct option *groups[MOST_GROUPS]; /* each ended by {0}; --json and --help belong to all commands */
    /* Other defaults than those of the groups: option and value by turns, ended by NULL. */
    const char *const *defaults;
    bool together; /* all processes that a launcher started work on it; otherwise the first does it alone */
    /* Fill result with what --json shows: when all is done, or has failed but left something to tell of. */
    ad_status (*run)(const struct arguments *arguments, json_t *result, ad_error *error);
    /* The same for a human reader. */
    void (*print)(const json_t *result, FILE *to);
};

/* ---- The command line ---------------------------------------------------------------------------------------- */

struct option_value {
    const char *text; /* NULL: not given, and no default */
    double number;
    uint64_t count;
    size_t choice; /* index among the choices */
    bool flag;
    bool given; /* by the user */
};

struct resumed;

struct arguments {
    const struct command *command;
    int count; /* of the words behind the command's name */
    char **words;
    const char *positionals[MOST_POSITIONALS];
    struct option_value values[MOST_OPTIONS];
    struct resumed *resumed; /* what goes on, and whose words these are; NULL: nothing */
};

/* Read the words behind the command's name. Stops at --help. */
ad_status arguments_parse(struct arguments *arguments, const struct command *command, int count, char **words,
                          ad_error *error);

/* A default that depends on other options: for an option that has none and wasn't given. It must outlive arguments. */
void option_default(struct arguments *arguments, const char *name, const char *text);
/* The value of an option of the command; it must have one of this name and kind. */
bool option_flag(const struct arguments *arguments, const char *name);
size_t option_count(const struct arguments *arguments, const char *name);
double option_number(const struct arguments *arguments, const char *name);
double option_seconds(const struct arguments *arguments, const char *name);   /* of "90", "90s", "1.5m" or "2h" */
const char *option_text(const struct arguments *arguments, const char *name); /* or a file's name; NULL: not given */
size_t option_choice(const struct arguments *arguments, const char *name);
/* Does an option without a default have a value? */
bool option_given(const struct arguments *arguments, const char *name, enum option_kind kind);
/* The first of a group that the user has given, but for those whose names are in `but`, ended by NULL; NULL: none. */
const char *options_first_given(const struct arguments *arguments, const struct option *group, const char *const *but);
/* Was it on the command line? */
bool option_named(const struct arguments *arguments, const char *name);
/* The values of a group, by name. */
json_t *options_json(const struct arguments *arguments, const struct option *group);

/* Option number i of a command, NULL behind the last; and its default there, or NULL. */
const struct option *command_option(const struct command *command, size_t i);
const char *command_default(const struct command *command, const struct option *option);
/* What values an option takes: "a whole number, 1 or more". Returns buffer. */
const char *option_expects(const struct option *option, char buffer[static 160]);

void help_print(const struct command *command, FILE *to);
/* What is said of an option, with the values that it takes and its default. */
void help_print_option(const struct command *command, const struct option *option, FILE *to);
/* How formulas are written, and the bijectors that there are. */
void help_print_formulas(FILE *to);
/* The targets that there are, the optimisers, the schedules, the objectives of inference, and the priors. */
void help_print_targets(FILE *to);
void help_print_optimizers(FILE *to);
void help_print_schedules(FILE *to);
void help_print_objectives(FILE *to);
void help_print_priors(FILE *to);

#endif
