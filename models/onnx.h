/* Flows in ONNX, the format of networks that other programs run: onnxruntime, and with it Python, C#, Java, JavaScript,
 * on a phone or in a browser. https://onnx.ai
 *
 *     nf_export_onnx(flow, NULL, NULL, NF_ONNX_LOG_PROB, "moons.onnx", &error);
 *
 *     session = onnxruntime.InferenceSession("moons.onnx")                            # Python
 *     log_prob, = session.run(["log_prob"], {"x": numpy.float32([[0.5, 0.2]])})
 *
 * A file holds one function, of opset 18, in the dtype of the flow, of any number of rows:
 *
 *   log_prob   x (batch, dim)  ->  log_prob (batch), in nats
 *   sample     normal (batch, dim)  ->  x (batch, dim), log_prob (batch)
 *
 * and, of a flow that is conditional, also of context (batch, nf_flow_context_size()). A sample is a function of noise,
 * which is an input: so it can be repeated, and tested, whatever the runtime's generator. `normal` takes independent
 * draws from N(0, 1). A base distribution that isn't N(0, I) may take other noise: the inputs are named normal,
 * normal_2 or uniform, uniform_2, … with shapes of their own, and a uniform one is on (0, 1). Draws from a distribution
 * that Weir has no such map for are refused.
 *
 * What is the same for every row is computed by Weir, and its numbers are in the file. All else becomes ONNX's own
 * operators, one by one, named by their place in the flow. Those of them that round sums do that in the flow's dtype,
 * where Weir adds up in float64. onnxruntime has convolutions in float32 alone. Refused, with the op's name and
 * place: maps whose inverse is searched for, in that direction, differential equations, special functions that ONNX
 * lacks (the normal's quantiles), and ops of plug-ins.
 *
 * A call may be made from several threads at once, also for one flow while nobody changes it. */
#ifndef WEIR_ONNX_H
#define WEIR_ONNX_H

#include <weir/columns.h>
#include <weir/flow.h>

WEIR_BEGIN_DECLARATIONS

typedef enum { NF_ONNX_LOG_PROB, NF_ONNX_SAMPLE } nf_onnx_function;

/* Write the function as a file that appears whole or not at all (<weir/file.h>). Its metadata are the formula, Weir's
 * version, and the function. error may be NULL.
 *
 * columns: what the features are of, so that x and log p are in the units of these columns, in float64; NULL: x are the
 * features. Real, positive and bounded columns without states can be exported: maps of one value to one feature.
 * Others, of which log p is a mean over noise, are AD_ERROR_ARGUMENT. context: the same for what the flow is
 * conditioned on. */
ad_status nf_export_onnx(const nf_flow *flow, const nf_columns *columns, const nf_columns *context,
                         nf_onnx_function function, const char *path, ad_error *error);

WEIR_END_DECLARATIONS

#endif
