/* Saving what took long to come by. */
#include "keep.h"
#include "files.h"
#include "ranks.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static ad_status save_bytes(const struct kept *what, const char *path, ad_error *error)
{
    nf_file *file;
    if (nf_file_create(path, &file, error)) return AD_ERROR_IO;
    nf_file_write(file, what->bytes, what->size);
    return nf_file_commit(file, error);
}

static ad_status save(const struct kept *what, const char *path, ad_error *error)
{
    if (what->bytes) return save_bytes(what, path, error);
    return what->flow ? save_model(what->flow, what->record, path, error) : nf_table_write(path, what->table, error);
}

/* How the name of a new file ends, which of a table is as that of the old one does. */
static const char *suffix_of(const struct kept *what, const char *path)
{
    static const char *const tables[] = {".npy", ".tsv", ".txt"};
    const char *dot = strrchr(path, '.');
    if (what->bytes) return ".nc";
    if (what->flow) return ".safetensors";
    for (size_t i = 0; dot && i < sizeof tables / sizeof *tables; i++)
        if (strcasecmp(dot, tables[i]) == 0) return tables[i];
    return ".csv";
}

static const char *temporary_directory(void)
{
    const char *given = getenv("TMPDIR");
    return given && *given ? given : "/tmp";
}

/* Into a file of a name that nothing has yet, which an empty file takes first. */
static ad_status save_in(const char *directory, const struct kept *what, const char *suffix, char kept[static PATH_MAX])
{
    int length = snprintf(kept, PATH_MAX, "%s/weir-XXXXXX%s", directory, suffix);
    int fd = length < PATH_MAX ? mkstemps(kept, (int)strlen(suffix)) : -1;
    if (fd < 0) return AD_ERROR_IO;
    close(fd);
    ad_status status = save(what, kept, NULL);
    if (status) unlink(kept);
    return status;
}

/* The status is that of path, wherever the work is kept. */
static ad_status save_somewhere(const struct kept *what, const char *path, char kept[static PATH_MAX], ad_error *error)
{
    snprintf(kept, PATH_MAX, "%s", path);
    ad_status status = save(what, path, error);
    if (!status) return AD_OK;
    kept[0] = '\0';
    if (status != AD_ERROR_IO) return status;
    const char *const directories[] = {".", temporary_directory()};
    char reason[sizeof error->message];
    snprintf(reason, sizeof reason, "%s", error->message);
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        if (!save_in(directories[i], what, suffix_of(what, path), kept))
            return ad_error_set(error, status, "%.500s; the %s in '%.400s' instead", reason,
                                what->flow ? "model is" : "draws are", kept);
    kept[0] = '\0';
    return ad_error_set(error, status, "%.500s; nor is there a place for it in the current directory or in '%.300s'",
                        reason, directories[1]);
}

ad_status keep(const struct kept *what, ad_status status, const char *path, char kept[static PATH_MAX], ad_error *error)
{
    ad_error saving;
    snprintf(kept, PATH_MAX, "%s", path);
    ad_status saved = ranks_agree(ranks_is_first() ? save_somewhere(what, path, kept, &saving) : AD_OK, &saving);
    char reason[sizeof error->message];
    snprintf(reason, sizeof reason, "%s", error->message);
    if (!status && saved) *error = saving;
    if (status && saved) ad_error_set(error, saved, "%.300s; and %.700s", reason, saving.message);
    if (status && !saved) ad_error_set(error, status, "%.800s; %s are in '%s'", reason, what->left, path);
    return saved ? saved : status;
}
