/* op.c: an op of your own, with its gradient: log cosh x, elementwise, without overflow,
 *
 *     log cosh x = |x| + log(1 + e^(-2|x|)) - log 2,      d/dx log cosh x = tanh x
 *
 * evaluated in one pass, and checked against finite differences.
 *
 *     cc op.c $(pkg-config --cflags --libs weir) && ./a.out */
#include <math.h>
#include <stdio.h>
#include <weir/autodiff.h>
#include <weir/op.h>

#define DEFINE_LOG_COSH(real, name)                                                                                    \
    static void name(size_t n, const void *const in[], const size_t stride[], void *out, const double *attribute)      \
    {                                                                                                                  \
        const real *x = in[0];                                                                                         \
        real *y = out;                                                                                                 \
        (void)stride, (void)attribute;                                                                                 \
        for (size_t i = 0; i < n; i++) {                                                                               \
            double size = fabs((double)x[i]);                                                                          \
            y[i] = (real)(size + log1p(exp(-2 * size)) - log(2));                                                      \
        }                                                                                                              \
    }
DEFINE_LOG_COSH(float, log_cosh_f32)
DEFINE_LOG_COSH(double, log_cosh_f64)

static void vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_mul(g, ad_tanh(call->in[0]));
}

static const ad_op log_cosh = {
    .name = "log_cosh", .n_in = 1, .flags = AD_OP_ELEMENTWISE, .loop = {log_cosh_f32, log_cosh_f64}, .vjp = vjp};

int main(void)
{
    enum { ROWS = 3 };
    const double x[ROWS][2] = {{-300, -1}, {0.1, 0.5}, {2, 300}}, *values[] = {x[0]};
    ad_error error;
    ad_gradcheck_report report;
    ad_tape *tape = ad_tape_new();
    ad_var in = ad_input(tape, "x", AD_SHAPE(2)), y = ad_apply(&log_cosh, &in, 1, NULL, 0, tape);
    ad_status status = ad_gradcheck(y, &in, 1, &in, values, 1, &(ad_gradcheck_options){.rows = ROWS}, &report, &error);
    if (status)
        fprintf(stderr, "%s\n", error.message);
    else
        printf("the gradient is right within %.1e\n", report.worst);
    ad_tape_free(tape);
    return status != AD_OK;
}
