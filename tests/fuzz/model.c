/* Model files. One that loads is saved and loaded again, and then saved with the same bytes; its density at 0 is a
 * number or an error. Data that begin with a brace are a file without its length: a header up to the first NUL, and
 * numbers; otherwise they are all of the file. */
#include "fuzz.h"

#include <weir/memory.h>
#include <weir/save.h>

#include <stdlib.h>
#include <string.h>

enum { FEW_PARAMETERS = 20000, FEW_FEATURES = 64 };

static void write_model(const char *path, const uint8_t *data, size_t size)
{
    if (size == 0 || data[0] != '{') {
        fuzz_write(path, data, size);
        return;
    }
    const uint8_t *end = memchr(data, '\0', size);
    uint64_t length = end ? (uint64_t)(end - data) : size;
    size_t numbers = end ? size - (size_t)length - 1 : 0;
    char *file = malloc(sizeof length + size);
    fuzz_require(file != NULL, "there is memory for the file");
    memcpy(file, &length, sizeof length);
    memcpy(file + sizeof length, data, (size_t)length);
    if (numbers > 0) memcpy(file + sizeof length + length, end + 1, numbers);
    fuzz_write(path, file, sizeof length + (size_t)length + numbers);
    free(file);
}

static void evaluate(const nf_flow *flow)
{
    static const double zeros[FEW_FEATURES];
    double log_prob;
    ad_error error;
    bool few = nf_flow_trained_elements(flow) + nf_flow_fixed_elements(flow) < FEW_PARAMETERS &&
               nf_flow_dim(flow) <= FEW_FEATURES && nf_flow_context_size(flow) <= FEW_FEATURES;
    if (few && nf_log_prob(flow, zeros, nf_flow_context_size(flow) ? zeros : NULL, 1, &log_prob, NULL, &error))
        fuzz_check_error(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *in = fuzz_path("in.safetensors"), *out = fuzz_path("out.safetensors"),
               *again = fuzz_path("again.safetensors");
    char *record, *copied = NULL;
    ad_error error;
    write_model(in, data, size);
    nf_flow *flow = nf_load(in, &record, &error);
    if (!flow) {
        fuzz_check_error(&error);
        fuzz_require(!record, "a model that wasn't loaded has no record");
        return 0;
    }
    evaluate(flow);
    fuzz_require(nf_save(flow, record, out, &error) == AD_OK, "a model that was loaded can be saved");
    nf_flow *copy = nf_load(out, &copied, &error);
    fuzz_require(copy != NULL, "what was saved can be loaded");
    fuzz_require(!record == !copied && (!record || strcmp(record, copied) == 0), "what was saved has the same record");
    fuzz_require(nf_save(copy, copied, again, &error) == AD_OK && fuzz_same_files(out, again),
                 "what was loaded again is saved with the same bytes");
    ad_free(copied);
    ad_free(record);
    nf_flow_free(copy);
    nf_flow_free(flow);
    return 0;
}
