/* Parsing the command line by a command's tables. */
#include "command.h"
#include "suggest.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct option common_options[] = {
    {.name = "json", .kind = OPTION_FLAG, .help = "print the results as one JSON object"},
    {.name = "help", .letter = 'h', .kind = OPTION_FLAG, .help = "print this help"},
    {0},
};

const struct option *command_option(const struct command *command, size_t i)
{
    for (size_t g = 0; g <= MOST_GROUPS; g++) {
        const struct option *group = g < MOST_GROUPS ? command->groups[g] : common_options;
        for (; group && group->name; group++)
            if (i-- == 0) return group;
    }
    return NULL;
}

const char *command_default(const struct command *command, const struct option *option)
{
    for (const char *const *pair = command->defaults; pair && pair[0]; pair += 2)
        if (strcmp(pair[0], option->name) == 0) return pair[1];
    return option->initial;
}

/* ---- Values -------------------------------------------------------------------------------------------------- */

/* Choice number i of "adam|sgd", and its length; NULL behind the last. */
static const char *choice_at(const char *choices, size_t i, size_t *length)
{
    for (; choices; choices = strchr(choices, '|')) {
        if (*choices == '|') choices++;
        *length = strcspn(choices, "|");
        if (i-- == 0) return choices;
    }
    return NULL;
}

static bool find_choice(const char *choices, const char *text, size_t *found)
{
    size_t length;
    for (size_t i = 0; choice_at(choices, i, &length); i++) {
        if (strlen(text) != length || strncmp(choice_at(choices, i, &length), text, length) != 0) continue;
        *found = i;
        return true;
    }
    return false;
}

/* "adam|sgd" as "adam or sgd". */
static void list_choices(const char *choices, char buffer[static 160])
{
    size_t length, filled = 0;
    buffer[0] = '\0';
    for (size_t i = 0; choice_at(choices, i, &length) && filled < 160; i++)
        filled += (size_t)snprintf(buffer + filled, 160 - filled, "%s%.*s", i ? " or " : "", (int)length,
                                   choice_at(choices, i, &length));
}

static void list_known(const struct known *known, char buffer[static 160])
{
    size_t filled = 0;
    buffer[0] = '\0';
    for (size_t i = 0; known->name(i) && filled < 160; i++)
        filled += (size_t)snprintf(buffer + filled, 160 - filled, "%s%s", i ? " or " : "", known->name(i));
}

const char *option_expects(const struct option *option, char buffer[static 160])
{
    const char *what = option->kind == OPTION_COUNT     ? "a whole number"
                       : option->kind == OPTION_SECONDS ? "a time such as 90, 90s, 5m or 1h"
                                                        : "a number";
    if (option->kind == OPTION_CHOICE)
        list_choices(option->choices, buffer);
    else if (option->known)
        list_known(option->known, buffer);
    else if (option->kind == OPTION_TEXT)
        snprintf(buffer, 160, "%s", option->value);
    else if (option->high > 0)
        snprintf(buffer, 160, "%s from %g to %g", what, option->low, option->high);
    else if (option->above_low)
        snprintf(buffer, 160, "%s above %g", what, option->low);
    else
        snprintf(buffer, 160, "%s, %g or more", what, option->low);
    return buffer;
}

/* Digits alone, below 2^63: what JSON can hold; and a size_t, which may have 32 bits. */
static bool parse_count(const char *text, uint64_t *count)
{
    if (!*text || text[strspn(text, "0123456789")]) return false;
    errno = 0;
    *count = strtoull(text, NULL, 10);
    return errno == 0 && *count <= INT64_MAX && (size_t)*count == *count;
}

static bool parse_number(const char *text, double *number)
{
    char *end;
    if (!*text || text[strspn(text, "+-.0123456789eE")]) return false;
    *number = strtod(text, &end);
    return !*end && isfinite(*number);
}

static bool parse_seconds(const char *text, double *seconds)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}};
    char number[32];
    size_t length = strlen(text);
    double unit = 1;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const size_t ending = strlen(units[i].name);
        if (length <= ending || strcmp(text + length - ending, units[i].name) != 0) continue;
        unit = units[i].seconds;
        length -= ending;
        break;
    }
    if (length >= sizeof number) return false;
    snprintf(number, sizeof number, "%.*s", (int)length, text);
    bool valid = parse_number(number, seconds);
    *seconds *= unit;
    return valid;
}

static bool in_range(const struct option *option, double number)
{
    bool low_enough = option->high <= 0 || number <= option->high;
    return low_enough && (option->above_low ? number > option->low : number >= option->low);
}

static const char *file_name(const char *text, enum file_role role)
{
    if (role == NO_FILE || strcmp(text, "-") != 0) return text;
    return role == INPUT_FILE ? "/dev/stdin" : "/dev/stdout";
}

/* The name; its arguments are looked at apart, for there is more to say of them. */
static bool is_known(const struct known *known, const char *text)
{
    size_t length = strcspn(text, " (");
    for (size_t i = 0; known->name(i); i++)
        if (strlen(known->name(i)) == length && strncmp(known->name(i), text, length) == 0) return true;
    return false;
}

static bool parse_value(const struct option *option, const char *text, struct option_value *value)
{
    value->text = file_name(text, option->file);
    switch (option->kind) {
    case OPTION_FLAG:
        return value->flag = true;
    case OPTION_COUNT:
        return parse_count(text, &value->count) && in_range(option, (double)value->count);
    case OPTION_NUMBER:
        return parse_number(text, &value->number) && in_range(option, value->number);
    case OPTION_SECONDS:
        return parse_seconds(text, &value->number) && in_range(option, value->number);
    case OPTION_TEXT:
        return option->known ? is_known(option->known, text) : *text != '\0' || option->empty;
    case OPTION_CHOICE:
        return find_choice(option->choices, text, &value->choice);
    }
    return false;
}

/* ---- Words --------------------------------------------------------------------------------------------------- */

/* How a user writes an option: "-o", "--epochs". */
static const char *spelling(const struct option *option, char buffer[static 64])
{
    if (option->letter)
        snprintf(buffer, 64, "-%c", option->letter);
    else
        snprintf(buffer, 64, "--%s", option->name);
    return buffer;
}

static ad_status unknown_option(const struct command *command, const char *word, ad_error *error)
{
    const char *names[MOST_OPTIONS];
    size_t count = 0;
    for (; command_option(command, count); count++) names[count] = command_option(command, count)->name;
    char bare[64];
    const char *begin = word + strspn(word, "-");
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(begin, "="), begin);
    if (strcmp(bare, "plugin") == 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "--plugin stands before the command: weir --plugin FILE %s …",
                            command->name);
    const char *closest = suggest(bare, names, count);
    if (closest)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "unknown option '%s'; did you mean '--%s'?", word, closest);
    return ad_error_set(error, AD_ERROR_ARGUMENT, "unknown option '%s'; see 'weir %s --help'", word, command->name);
}

/* The option that a word names, its number, and what follows in the same word (-n5, --seed=1), or NULL. */
static const struct option *find_option(const struct command *command, const char *word, size_t *number,
                                        const char **attached)
{
    bool is_long = word[1] == '-';
    size_t length = strcspn(word, "=");
    const struct option *option;
    for (size_t i = 0; (option = command_option(command, i)); i++) {
        if (is_long && (strlen(option->name) != length - 2 || strncmp(option->name, word + 2, length - 2) != 0))
            continue;
        if (!is_long && (option->letter != word[1] || (option->kind == OPTION_FLAG && word[2]))) continue;
        *number = i;
        *attached = NULL;
        if (is_long && word[length])
            *attached = word + length + 1;
        else if (!is_long && word[2])
            *attached = word + 2;
        return option;
    }
    return NULL;
}

static ad_status take_positional(struct arguments *arguments, const char *word, ad_error *error)
{
    size_t i = 0, ignored;
    while (i < MOST_POSITIONALS && arguments->positionals[i]) i++;
    const struct positional *slot = i < MOST_POSITIONALS ? &arguments->command->positionals[i] : NULL;
    if (!slot || !slot->name)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "unexpected argument '%s'; see 'weir %s --help'", word,
                            arguments->command->name);
    arguments->positionals[i] = file_name(word, slot->file);
    if (!slot->choices || find_choice(slot->choices, word, &ignored)) return AD_OK;
    char choices[160];
    list_choices(slot->choices, choices);
    return ad_error_set(error, AD_ERROR_ARGUMENT, "unknown %s '%s'; expected %s", slot->name, word, choices);
}

static ad_status check_complete(const struct arguments *arguments, ad_error *error)
{
    const struct command *command = arguments->command;
    const struct option *option;
    char name[64];
    for (size_t i = 0; (option = command_option(command, i)); i++)
        if (option->completes && arguments->values[i].given) return AD_OK;
    for (size_t i = 0; i < MOST_POSITIONALS && command->positionals[i].name; i++)
        if (!arguments->positionals[i])
            return ad_error_set(error, AD_ERROR_ARGUMENT, "%s is missing; see 'weir %s --help'",
                                command->positionals[i].name, command->name);
    for (size_t i = 0; (option = command_option(command, i)); i++)
        if (option->required && !arguments->values[i].text)
            return ad_error_set(error, AD_ERROR_ARGUMENT, "option %s %s is missing; see 'weir %s --help'",
                                spelling(option, name), option->value, command->name);
    return AD_OK;
}

static void set_defaults(struct arguments *arguments)
{
    const struct option *option;
    for (size_t i = 0; (option = command_option(arguments->command, i)); i++) {
        assert(i < MOST_OPTIONS);
        const char *initial = command_default(arguments->command, option);
        bool valid = !initial || parse_value(option, initial, &arguments->values[i]);
        assert(valid);
        (void)valid;
    }
}

ad_status arguments_parse(struct arguments *arguments, const struct command *command, int count, char **words,
                          ad_error *error)
{
    *arguments = (struct arguments){.command = command, .count = count, .words = words};
    set_defaults(arguments);
    bool only_positionals = false;
    for (int w = 0; w < count; w++) {
        const char *word = words[w], *value;
        size_t number;
        if (!only_positionals && strcmp(word, "--") == 0) {
            only_positionals = true;
            continue;
        }
        if (only_positionals || word[0] != '-' || word[1] == '\0') {
            if (take_positional(arguments, word, error)) return error->status;
            continue;
        }
        const struct option *option = find_option(command, word, &number, &value);
        char name[64], expects[160];
        if (!option) return unknown_option(command, word, error);
        if (option->kind == OPTION_FLAG) {
            if (value) return ad_error_set(error, AD_ERROR_ARGUMENT, "option --%s takes no value", option->name);
            value = "";
        } else if (!value) {
            if (w + 1 == count)
                return ad_error_set(error, AD_ERROR_ARGUMENT, "option %s needs a value: %s", word,
                                    option_expects(option, expects));
            value = words[++w];
        }
        snprintf(name, sizeof name, word[1] == '-' ? "--%s" : "-%.1s", word[1] == '-' ? option->name : word + 1);
        if (!parse_value(option, value, &arguments->values[number]))
            return ad_error_set(error, AD_ERROR_ARGUMENT, "option %s: '%s' given, expected %s", name, value,
                                option_expects(option, expects));
        arguments->values[number].given = true;
        ad_error why;
        if (option->known && option->known->check(value, &why))
            return ad_error_set(error, why.status, "option %s: %.900s", name, why.message);
        if (option->kind == OPTION_FLAG && strcmp(option->name, "help") == 0) return AD_OK;
    }
    return check_complete(arguments, error);
}

/* ---- Reading ------------------------------------------------------------------------------------------------- */

static const struct option_value *value_of(const struct arguments *arguments, const char *name, enum option_kind kind)
{
    const struct option *option;
    size_t i = 0;
    while ((option = command_option(arguments->command, i)) && strcmp(option->name, name) != 0) i++;
    assert(option && option->kind == kind);
    (void)kind;
    return &arguments->values[i];
}

void option_default(struct arguments *arguments, const char *name, const char *text)
{
    const struct option *option;
    size_t i = 0;
    while ((option = command_option(arguments->command, i)) && strcmp(option->name, name) != 0) i++;
    assert(option);
    if (arguments->values[i].text) return;
    bool valid = parse_value(option, text, &arguments->values[i]);
    assert(valid);
    (void)valid;
}

bool option_flag(const struct arguments *arguments, const char *name)
{
    return value_of(arguments, name, OPTION_FLAG)->flag;
}

size_t option_count(const struct arguments *arguments, const char *name)
{
    return (size_t)value_of(arguments, name, OPTION_COUNT)->count;
}

double option_number(const struct arguments *arguments, const char *name)
{
    return value_of(arguments, name, OPTION_NUMBER)->number;
}

double option_seconds(const struct arguments *arguments, const char *name)
{
    return value_of(arguments, name, OPTION_SECONDS)->number;
}

const char *option_text(const struct arguments *arguments, const char *name)
{
    return value_of(arguments, name, OPTION_TEXT)->text;
}

size_t option_choice(const struct arguments *arguments, const char *name)
{
    return value_of(arguments, name, OPTION_CHOICE)->choice;
}

bool option_given(const struct arguments *arguments, const char *name, enum option_kind kind)
{
    return value_of(arguments, name, kind)->text != NULL;
}

const char *options_first_given(const struct arguments *arguments, const struct option *group, const char *const *but)
{
    for (; group->name; group++) {
        size_t i = 0;
        while (but[i] && strcmp(but[i], group->name) != 0) i++;
        if (!but[i] && value_of(arguments, group->name, group->kind)->given) return group->name;
    }
    return NULL;
}

bool option_named(const struct arguments *arguments, const char *name)
{
    const struct option *option;
    size_t i = 0;
    while ((option = command_option(arguments->command, i)) && strcmp(option->name, name) != 0) i++;
    assert(option);
    return arguments->values[i].given;
}

json_t *options_json(const struct arguments *arguments, const struct option *group)
{
    json_t *object = json_object();
    for (; group->name; group++) {
        const struct option_value *value = value_of(arguments, group->name, group->kind);
        json_t *item = group->kind == OPTION_FLAG    ? json_boolean(value->flag)
                       : !value->text                ? json_null()
                       : group->kind == OPTION_COUNT ? json_integer((json_int_t)value->count)
                       : group->kind == OPTION_NUMBER || group->kind == OPTION_SECONDS ? json_real(value->number)
                                                                                       : json_string(value->text);
        json_object_set_new(object, group->name, item);
    }
    return object;
}
