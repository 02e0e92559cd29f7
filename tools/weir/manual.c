/* Pages for man(1), in the language of man(7). */
#include "manual.h"
#include "catalog.h"
#include "front.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- Text -----------------------------------------------------------------------------------------------------------
 */

/* The code point that stands at the front of UTF-8 text, and its bytes. */
static unsigned code_point(const char *text, size_t *bytes)
{
    const unsigned char *c = (const unsigned char *)text;
    *bytes = c[0] < 0x80 ? 1 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    unsigned point = *bytes == 1 ? c[0] : c[0] & (0xffu >> (*bytes + 1));
    for (size_t i = 1; i < *bytes; i++) point = point << 6 | (c[i] & 0x3f);
    return point;
}

/* So that every character is itself: a '-' that can be copied to a command line, a '.' at the front that is no request.
 */
static void print_escaped(const char *text, size_t length, FILE *to)
{
    static const struct {
        char character;
        const char *escaped;
    } special[] = {{'\\', "\\(rs"}, {'-', "\\-"}, {'\'', "\\(aq"}, {'`', "\\(ga"}, {'^', "\\(ha"}, {'~', "\\(ti"}};
    if (length > 0 && *text == '.') fprintf(to, "\\&");
    for (size_t bytes; length > 0; text += bytes, length -= bytes) {
        const unsigned point = code_point(text, &bytes);
        size_t i = 0;
        while (i < sizeof special / sizeof *special && special[i].character != *text) i++;
        if (i < sizeof special / sizeof *special)
            fprintf(to, "%s", special[i].escaped);
        else if (point >= 0x80)
            fprintf(to, "\\[u%04X]", point);
        else
            fputc(*text, to);
    }
}

static void print_text(const char *text, FILE *to)
{
    print_escaped(text, strlen(text), to);
}

/* Lines of text are filled to paragraphs, which empty lines part; those that are indented stay as they are. */
static void print_paragraphs(const char *text, FILE *to)
{
    bool as_is = false, begins = false;
    for (size_t length; *text; text += length + (text[length] == '\n')) {
        length = strcspn(text, "\n");
        const bool indented = length > 0 && *text == ' ';
        if (length > 0 && begins) fprintf(to, ".PP\n");
        if (length > 0 && indented != as_is) fprintf(to, indented ? ".RS 4\n.nf\n" : ".fi\n.RE\n");
        if (length > 0) as_is = indented;
        begins = length == 0;
        const size_t blanks = indented ? strspn(text, " ") : 0;
        if (length > 0) print_escaped(text + blanks, length - blanks, to);
        if (length > 0) fputc('\n', to);
    }
    if (as_is) fprintf(to, ".fi\n.RE\n");
}

/* ---- Parts of a page ------------------------------------------------------------------------------------------------
 */

/* "weir demo banana" as "weir-demo-banana", in capitals for the heading. */
static void print_name(const struct command *command, bool capitals, FILE *to)
{
    fprintf(to, capitals ? "WEIR" : "weir");
    if (command) fprintf(to, "\\-");
    for (const char *c = command ? command->name : ""; *c; c++)
        if (*c == ' ')
            fprintf(to, "\\-");
        else
            fputc(capitals ? toupper((unsigned char)*c) : *c, to);
}

static void print_beginning(const struct command *command, const char *date, const char *summary, FILE *to)
{
    fprintf(to, ".TH ");
    print_name(command, true, to);
    fprintf(to, " 1 \"%s\" \"weir %s\" \"Weir\"\n.SH NAME\n", date, WEIR_VERSION);
    print_name(command, false, to);
    fprintf(to, " \\- ");
    /* No sentence, as whatis(1) lists it. */
    const size_t length = strlen(summary);
    print_escaped(summary, length - (length > 0 && summary[length - 1] == '.'), to);
    fputc('\n', to);
}

static void print_option(const struct command *command, const struct option *option, FILE *to)
{
    char *text = NULL;
    size_t size;
    FILE *memory = open_memstream(&text, &size);
    if (memory) help_print_option(command, option, memory);
    if (memory) fclose(memory);
    fprintf(to, ".TP\n");
    if (option->letter) fprintf(to, "\\fB\\-%c\\fR, ", option->letter);
    fprintf(to, "\\fB\\-\\-");
    print_text(option->name, to);
    fprintf(to, "\\fR");
    if (option->value) fprintf(to, " \\fI%s\\fR", option->value);
    fputc('\n', to);
    if (text) print_text(text, to);
    fputc('\n', to);
    free(text);
}

static void print_synopsis(const struct command *command, FILE *to)
{
    const struct option *option;
    fprintf(to, ".SH SYNOPSIS\n.B weir %s\n", command->name);
    for (size_t i = 0; i < MOST_POSITIONALS && command->positionals[i].name; i++)
        fprintf(to, ".I %s\n", command->positionals[i].name);
    for (size_t i = 0; (option = command_option(command, i)); i++)
        if (option->required && option->letter)
            fprintf(to, "\\fB\\-%c\\fR \\fI%s\\fR\n", option->letter, option->value);
        else if (option->required)
            fprintf(to, "\\fB\\-\\-%s\\fR \\fI%s\\fR\n", option->name, option->value);
    fprintf(to, "[options]\n");
}

static void print_command(const struct command *command, const char *date, FILE *to)
{
    const struct option *option;
    print_beginning(command, date, command->summary, to);
    print_synopsis(command, to);
    fprintf(to, ".SH DESCRIPTION\n");
    print_text(command->summary, to);
    fputc('\n', to);
    if (command->about) print_paragraphs(command->about, to);
    if (command->positionals[0].name) fprintf(to, ".SH ARGUMENTS\n");
    for (size_t i = 0; i < MOST_POSITIONALS && command->positionals[i].name; i++) {
        fprintf(to, ".TP\n.I %s\n", command->positionals[i].name);
        print_text(command->positionals[i].help, to);
        fputc('\n', to);
    }
    fprintf(to, ".SH OPTIONS\nDefaults stand in brackets.\n");
    for (size_t i = 0; (option = command_option(command, i)); i++) print_option(command, option, to);
    fprintf(to, ".SH EXAMPLE\n.nf\n");
    print_text(command->example, to);
    fprintf(to, "\n.fi\n");
}

static void print_overview(const char *date, FILE *to)
{
    const struct command *command;
    const struct topic *topic;
    print_beginning(NULL, date, "fit normalizing flows to data and to densities", to);
    fprintf(to, ".SH SYNOPSIS\n.B weir\n[\\fB\\-\\-plugin\\fR \\fIFILE\\fR] "
                "[\\fB\\-\\-mpi\\fR[=\\fIFILE\\fR] | \\fB\\-\\-no\\-mpi\\fR]\n.I COMMAND\n[arguments] [options]\n"
                ".SH DESCRIPTION\nFit normalizing flows to data and to densities, draw from them, and evaluate them.\n"
                ".SH COMMANDS\n");
    for (size_t i = 0; (command = catalog_command(i)); i++) {
        fprintf(to, ".TP\n.BR ");
        print_name(command, false, to);
        fprintf(to, " (1)\n");
        print_text(command->summary, to);
        fputc('\n', to);
    }
    fprintf(to, ".SH OPTIONS\nThese stand before the command.\n");
    for (enum front_option i = 0; i < FRONT_END; i++) {
        fprintf(to, ".TP\n\\fB");
        print_text(front_usage(i), to);
        fprintf(to, "\\fR\n");
        print_paragraphs(front_help(i), to);
    }
    fprintf(to, ".SH HELP\n.B weir help\n.I COMMAND\ntells more of a command.\n");
    for (size_t i = 0; (topic = catalog_topic(i)); i++) fprintf(to, ".br\n.B weir help %s\n", topic->name);
    fprintf(to, ".SH ENVIRONMENT\n.TP\n.B WEIR_PLUGINS\nPlug\\-ins to load, \\fIFILE\\fR:\\fIFILE\\fR\\&.\n"
                ".TP\n.B WEIR_MPI\nAs \\fB\\-\\-mpi\\fR; \\fBno\\fR: as \\fB\\-\\-no\\-mpi\\fR.\n");
}

/* The same for all commands. */
static void print_end(const struct command *command, FILE *to)
{
    const struct command *other;
    fprintf(to,
            ".SH EXIT STATUS\n0; 2 for a usage mistake; 1 for any other failure; 128 and the number of a signal after "
            "that one, which saves the work first.\n"
            ".SH SEE ALSO\n");
    if (command) fprintf(to, ".BR weir (1)");
    for (size_t i = 0; (other = catalog_command(i)); i++) {
        if (other == command) continue;
        fprintf(to, command || i > 0 ? ",\n" : "");
        fprintf(to, ".BR ");
        print_name(other, false, to);
        fprintf(to, " (1)");
    }
    fputc('\n', to);
}

bool manual_print(int count, char **words, FILE *to)
{
    int taken = 0;
    const struct command *command = count > 1 ? catalog_find_words(count - 1, words + 1, &taken) : NULL;
    if (count == 0 || taken != count - 1 || (count > 1 && !command)) return false;
    if (command)
        print_command(command, words[0], to);
    else
        print_overview(words[0], to);
    print_end(command, to);
    return true;
}
