/* Text of a file for a message. */
#include "files/excerpt.h"

#include <string.h>

nf__excerpt nf__excerpt_of(const char *text, size_t length)
{
    nf__excerpt excerpt;
    size_t room = sizeof excerpt.text - sizeof "...";
    size_t shown = length;
    if (length > room) {
        shown = room;
        while (shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80) shown--; /* not amid a UTF-8 sequence */
    }
    for (size_t i = 0; i < shown; i++)
        excerpt.text[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
    strcpy(excerpt.text + shown, shown < length ? "..." : "");
    return excerpt;
}
