/* Formulas of flows, in up to 8 features and with a context or without, as the first byte says. What is printed of a
 * flow parses to the same one, with and without defaults, and its density at a point is a number or an error. */
#include "fuzz.h"

#include <weir/flow.h>
#include <weir/memory.h>

#include <stdlib.h>
#include <string.h>

/* Is the flow small enough to be evaluated many times a second? */
enum { FEW_PARAMETERS = 20000 };

static void check_printed(const nf_flow *flow, size_t context, bool with_defaults)
{
    ad_error error;
    char *text = nf_flow_formula(flow, with_defaults);
    if (!text) return; /* no memory */
    nf_flow *copy = nf_flow_parse(text, nf_flow_dim(flow), context, AD_F64, 1, &error);
    if (!copy && error.status == AD_ERROR_MEMORY) {
        ad_free(text);
        return;
    }
    fuzz_require(copy != NULL, "what is printed of a flow parses");
    char *again = nf_flow_formula(copy, with_defaults);
    fuzz_require(!again || strcmp(text, again) == 0, "what is printed parses to a flow that is printed so");
    fuzz_require(nf_flow_trained_elements(flow) == nf_flow_trained_elements(copy) &&
                     nf_flow_fixed_elements(flow) == nf_flow_fixed_elements(copy),
                 "what is printed parses to a flow with as many parameters");
    ad_free(again);
    ad_free(text);
    nf_flow_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const double x[8] = {0.5, -1, 2, 0.25, 1e3, 0, -3, 7}, given[3] = {1, -2, 0.5};
    fuzz_limit_memory();
    if (size == 0) return 0;
    size_t dim = 1 + data[0] % 8, context = data[0] / 8 % 4;
    ad_error error;
    char *text = fuzz_text(data + 1, size - 1);
    nf_flow *flow = nf_flow_parse(text, dim, context, AD_F64, 1, &error);
    free(text);
    if (!flow) {
        fuzz_check_error(&error);
        return 0;
    }
    check_printed(flow, context, false);
    check_printed(flow, context, true);
    double log_prob, drawn[8];
    bool few = nf_flow_trained_elements(flow) + nf_flow_fixed_elements(flow) < FEW_PARAMETERS;
    if (few && nf_log_prob(flow, x, context ? given : NULL, 1, &log_prob, NULL, &error)) fuzz_check_error(&error);
    if (few && nf_sample(flow, context ? given : NULL, 1, 1, drawn, NULL, NULL, &error)) fuzz_check_error(&error);
    nf_flow_free(flow);
    return 0;
}
