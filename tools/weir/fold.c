/* Lines as wide as a terminal. */
#include "fold.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { LEAST_COLUMNS = 60, MOST_COLUMNS = 120, MOST_INDENT = 34 };

void fold_begin(struct folded *folded)
{
    *folded = (struct folded){.to = stdout};
    struct winsize window = {0};
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col < LEAST_COLUMNS)
        return;
    FILE *memory = open_memstream(&folded->text, &folded->size);
    if (memory) folded->to = memory;
    folded->columns = window.ws_col < MOST_COLUMNS ? window.ws_col : MOST_COLUMNS;
}

/* Where what a line tells begins: behind a name and at least two blanks, or at its first character. */
static size_t indent_of(const char *line, size_t length)
{
    const size_t first = strspn(line, " ");
    for (size_t i = first; i + 2 < length && i < MOST_INDENT; i++) {
        const size_t blanks = strspn(line + i, " ");
        if (blanks >= 2 && i + blanks <= MOST_INDENT) return i + blanks;
    }
    return first < MOST_INDENT ? first : 0;
}

/* The bytes that fit into so many columns, up to a blank where there is one; a character of UTF-8 takes one column. */
static size_t fitting(const char *text, size_t length, size_t columns)
{
    size_t bytes = 0, shown = 0, blank = 0;
    while (bytes < length && (((unsigned char)text[bytes] & 0xc0) == 0x80 || ++shown <= columns)) {
        if (text[bytes] == ' ') blank = bytes;
        bytes++;
    }
    if (bytes == length || text[bytes] == ' ' || blank == 0) return bytes;
    return blank;
}

static void print_line(const char *line, size_t length, size_t columns, FILE *to)
{
    const bool command = strncmp(line, "  weir ", strlen("  weir ")) == 0; /* to be copied */
    const size_t indent = indent_of(line, length);
    size_t taken = command ? length : indent + fitting(line + indent, length - indent, columns - indent);
    fprintf(to, "%.*s\n", (int)taken, line);
    while (taken < length) {
        taken += strspn(line + taken, " ");
        const size_t next = fitting(line + taken, length - taken, columns - indent);
        fprintf(to, "%*s%.*s\n", (int)indent, "", (int)next, line + taken);
        taken += next;
    }
}

void fold_end(struct folded *folded)
{
    if (folded->to == stdout) return;
    fclose(folded->to);
    for (const char *line = folded->text; line && *line;) {
        const size_t length = strcspn(line, "\n");
        print_line(line, length, folded->columns, stdout);
        line += length + (line[length] == '\n');
    }
    free(folded->text);
}
