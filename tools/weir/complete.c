/* Completion of commands and their options, from the tables that parsing is by. */
#include "complete.h"
#include "catalog.h"
#include "complete_names.h"
#include "front.h"
#include "plugins.h"

#include <string.h>

static bool begins(const char *text, const char *front, size_t length)
{
    return strncmp(text, front, length) == 0;
}

/* A word that `typed` can become, behind `before`, which isn't of the word. */
static void offer(const char *before, const char *typed, const char *word, const char *help, FILE *to)
{
    if (begins(word, typed, strlen(typed))) fprintf(to, "%s%s\t%s\n", before, word, help ? help : "");
}

/* "float32|float64" */
static void complete_choice(const char *before, const char *typed, const char *choices, FILE *to)
{
    char word[64];
    for (size_t length; *choices; choices += length + (choices[length] == '|')) {
        length = strcspn(choices, "|");
        snprintf(word, sizeof word, "%.*s", (int)length, choices);
        offer(before, typed, word, "", to);
    }
}

/* What stands for a value, by the name that help has for it. */
static void complete_value(const char *before, const char *typed, const char *value, const char *choices,
                           const struct known *known, enum file_role file, FILE *to)
{
    if (choices)
        complete_choice(before, typed, choices, to);
    else if (known)
        complete_known(before, typed, known, to);
    else if (value && strcmp(value, "FORMULA") == 0)
        complete_formula(before, typed, to);
    else if (value && strcmp(value, "TARGET") == 0)
        complete_target(before, typed, to);
    else if (file != NO_FILE)
        fprintf(to, ":files\n");
}

static void complete_option(const struct command *command, const char *typed, FILE *to)
{
    const struct option *option;
    char word[80];
    for (size_t i = 0; (option = command_option(command, i)); i++) {
        snprintf(word, sizeof word, "--%s", option->name);
        offer("", typed, word, option->help, to);
    }
}

/* The option whose value follows the word: "--seed", "-n"; NULL: none does. */
static const struct option *takes_next(const struct command *command, const char *word)
{
    const struct option *option;
    for (size_t i = 0; (option = command_option(command, i)); i++) {
        if (option->kind == OPTION_FLAG) continue;
        if (word[0] == '-' && word[1] == '-' && strcmp(word + 2, option->name) == 0) return option;
        if (word[0] == '-' && option->letter && word[1] == option->letter && !word[2]) return option;
    }
    return NULL;
}

/* "--seed=…": a value that is typed in the word itself. False: it isn't. */
static bool complete_attached(const struct command *command, const char *typed, FILE *to)
{
    const char *sign = strchr(typed, '=');
    const struct option *option;
    char before[80];
    if (!sign || !begins(typed, "--", 2)) return false;
    snprintf(before, sizeof before, "%.*s=", (int)(sign - typed), typed);
    for (size_t i = 0; (option = command_option(command, i)); i++)
        if (strlen(option->name) == (size_t)(sign - typed) - 2 && begins(typed + 2, option->name, strlen(option->name)))
            complete_value(before, sign + 1, option->value, option->choices, option->known, option->file, to);
    return true;
}

static void complete_positional(const struct positional *slot, const char *typed, FILE *to)
{
    complete_value("", typed, slot->name, slot->choices, NULL, slot->file, to);
    /* A plug-in's file stands for its target, too. */
    if (!slot->choices && strcmp(slot->name, "TARGET") == 0) fprintf(to, ":files\n");
}

/* Second words of commands that have parts, but for those that are choices of the first, too. */
static void complete_parts(const struct command *first, const char *typed, FILE *to)
{
    const struct command *command;
    const size_t length = strlen(first->name);
    const char *choices = first->positionals[0].choices;
    for (size_t i = 0; (command = catalog_command(i)); i++)
        if (begins(command->name, first->name, length) && command->name[length] == ' ' &&
            !(choices && strstr(choices, command->name + length + 1)))
            offer("", typed, command->name + length + 1, command->summary, to);
}

static void complete_arguments(const struct command *command, int count, char **words, FILE *to)
{
    const char *typed = words[count - 1];
    const struct option *option = NULL;
    size_t positionals = 0;
    for (int i = 0; i + 1 < count; i++) {
        if (option)
            option = NULL;
        else if (!(option = takes_next(command, words[i])) && *words[i] != '-')
            positionals++;
    }
    if (option)
        complete_value("", typed, option->value, option->choices, option->known, option->file, to);
    else if (*typed == '-' && !complete_attached(command, typed, to))
        complete_option(command, typed, to);
    else if (*typed != '-' && positionals < MOST_POSITIONALS && command->positionals[positionals].name)
        complete_positional(&command->positionals[positionals], typed, to);
    if (count == 1 && !command_is_part(command)) complete_parts(command, typed, to);
}

static void complete_commands(const char *typed, FILE *to)
{
    const struct command *command;
    for (size_t i = 0; (command = catalog_command(i)); i++)
        if (!command_is_part(command)) offer("", typed, command->name, command->summary, to);
}

/* What stands before the command, and the command. */
static void complete_front(const char *typed, FILE *to)
{
    char word[32];
    for (enum front_option i = 0; i < FRONT_END; i++) {
        snprintf(word, sizeof word, "%.*s", (int)strcspn(front_usage(i), " ["), front_usage(i));
        if (*typed == '-') offer("", typed, word, "", to);
    }
    if (*typed == '-') offer("", typed, "--help", "", to);
    if (*typed == '-') offer("", typed, "--version", "", to);
    complete_commands(typed, to);
    offer("", typed, "help", "Tell more of a command, or of what options name.", to);
}

static void complete_help(const char *typed, FILE *to)
{
    const struct topic *topic;
    for (size_t i = 0; (topic = catalog_topic(i)); i++) offer("", typed, topic->name, "", to);
    complete_commands(typed, to);
}

void complete(int count, char **words, FILE *to)
{
    if (count == 0) return;
    const int taken = front_words(count - 1, words);
    int used;
    plugins_load(taken, words, NULL); /* what can't be loaded brings no names */
    words += taken;
    count -= taken;
    if (count == 1 && taken > 0 && strcmp(words[-1], "--plugin") == 0)
        fprintf(to, ":files\n");
    else if (count == 1)
        complete_front(words[0], to);
    else if (count == 2 && strcmp(words[0], "help") == 0)
        complete_help(words[1], to);
    else {
        const struct command *command = catalog_find_words(count - 1, words, &used);
        if (command) complete_arguments(command, count - used, words + used, to);
    }
}
