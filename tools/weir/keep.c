/* Saving what took long to come by. */
#include "keep.h"
#include "files.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *temporary_directory(void)
{
    const char *given = getenv("TMPDIR");
    return given && *given ? given : "/tmp";
}

/* Into a file of a name that nothing has yet, which an empty file takes first. */
static ad_status save_in(const char *directory, const nf_flow *flow, json_t *record, char kept[static PATH_MAX])
{
    static const char suffix[] = ".safetensors";
    int length = snprintf(kept, PATH_MAX, "%s/weir-XXXXXX%s", directory, suffix);
    int fd = length < PATH_MAX ? mkstemps(kept, (int)strlen(suffix)) : -1;
    if (fd < 0) return AD_ERROR_IO;
    close(fd);
    ad_status status = save_model(flow, record, kept, NULL);
    if (status) unlink(kept);
    return status;
}

ad_status keep_model(const nf_flow *flow, json_t *record, const char *path, char kept[static PATH_MAX], ad_error *error)
{
    snprintf(kept, PATH_MAX, "%s", path);
    ad_status status = save_model(flow, record, path, error);
    if (status != AD_ERROR_IO) {
        if (status) kept[0] = '\0';
        return status;
    }
    const char *const directories[] = {".", temporary_directory()};
    char reason[sizeof error->message];
    snprintf(reason, sizeof reason, "%s", error->message);
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        if (!save_in(directories[i], flow, record, kept))
            return ad_error_set(error, status, "%.500s; the model is in '%.400s' instead", reason, kept);
    kept[0] = '\0';
    return ad_error_set(error, status, "%.500s; nor is there a place for it in the current directory or in '%.300s'",
                        reason, directories[1]);
}
