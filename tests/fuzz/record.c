/* Records of models, whatever their text: a model has one of an affine flow of two features, in a context of one. What
 * the library reads of it is there or an error; 'weir info' tells it, and the panels of the pictures that show it are
 * drawn. */
#include "command.h"
#include "fuzz.h"
#include "pictures/inference_picture.h"
#include "pictures/loss_panel.h"
#include "report.h"

#include <weir/memory.h>
#include <weir/models.h>

#include <stdlib.h>

extern const struct command info_command;

static void read_parts(const char *record)
{
    char **names, *context;
    nf_columns *kinds;
    ad_error error;
    if (nf_record_columns(record, 2, &names, &error)) fuzz_check_error(&error);
    ad_free(names);
    if (nf_record_context_columns(record, 1, &names, &error)) fuzz_check_error(&error);
    ad_free(names);
    if (nf_record_context(record, &context, &error)) fuzz_check_error(&error);
    ad_free(context);
    if (nf_record_kinds(record, &kinds, &error)) fuzz_check_error(&error);
    nf_columns_free(kinds);
    if (nf_record_context_kinds(record, &kinds, &error)) fuzz_check_error(&error);
    nf_columns_free(kinds);
}

/* As a user sees it. */
static void show(const json_t *result)
{
    FILE *nowhere = fopen("/dev/null", "w");
    fuzz_require(nowhere != NULL, "/dev/null can be opened");
    info_command.print(result, nowhere);
    report_json(result, nowhere);
    const json_t *record = json_object_get(result, "training");
    const struct box box = {0.1, 0.9, 0.1, 0.9};
    if (json_is_object(record) && loss_write(nowhere, record)) {
        loss_draw(nowhere, box, record);
        for (enum inference_curve c = INFERENCE_LOSS; c <= INFERENCE_PARAMETERS; c++)
            inference_curve(nowhere, box, record, c);
    }
    fclose(nowhere);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_path("model.safetensors");
    ad_error error;
    char *record = fuzz_text(data, size);
    read_parts(record);
    nf_flow *flow = nf_flow_parse("maf(2)", 2, 1, AD_F32, 1, &error);
    fuzz_require(flow != NULL, "there is a flow");
    ad_status status = nf_save(flow, record, path, &error);
    nf_flow_free(flow);
    free(record);
    if (status) {
        fuzz_check_error(&error);
        return 0;
    }
    struct arguments arguments = {.command = &info_command, .positionals = {path}};
    json_t *result = json_object();
    if (info_command.run(&arguments, result, &error))
        fuzz_check_error(&error);
    else
        show(result);
    json_decref(result);
    return 0;
}
