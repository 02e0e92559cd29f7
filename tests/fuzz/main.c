/* Feeds a fuzz target with each file of a folder, or with files: main FOLDER|FILE … [--seed N, which is for other
 * tests]. With libFuzzer, which has a main function of its own, this one isn't there. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 20 };

/* The target is given a block of the file's length, so that a sanitizer sees one that reads on. */
static bool feed(const char *path)
{
    static uint8_t data[MOST_BYTES];
    FILE *file = fopen(path, "rb");
    size_t bytes = file ? fread(data, 1, sizeof data, file) : 0;
    if (!file || ferror(file) || !feof(file)) {
        fprintf(stderr, "'%s' can't be read, or is longer than %d bytes\n", path, MOST_BYTES);
        if (file) fclose(file);
        return false;
    }
    fclose(file);
    printf("%s\n", path); /* should it be the last */
    fflush(stdout);
    uint8_t *exact = malloc(bytes + (bytes == 0));
    if (exact) LLVMFuzzerTestOneInput(memcpy(exact, data, bytes), bytes);
    free(exact);
    return exact != NULL;
}

static int feed_all(const char *folder, int *failed)
{
    DIR *directory = opendir(folder);
    struct dirent *entry;
    char path[4096];
    int passed = 0;
    if (!directory) {
        if (feed(folder)) return 1;
        ++*failed;
        return 0;
    }
    while ((entry = readdir(directory))) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (feed(path))
            passed++;
        else
            ++*failed;
    }
    closedir(directory);
    return passed;
}

int main(int count, char **words)
{
    int passed = 0, failed = 0;
    const char *slash = strrchr(words[0], '/');
    for (int i = 1; i < count && strcmp(words[i], "--seed") != 0; i++) passed += feed_all(words[i], &failed);
    printf("%s: %d passed, %d failed\n", slash ? slash + 1 : words[0], passed, failed);
    return failed > 0 || passed == 0;
}
