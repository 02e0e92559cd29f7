/* ripple.c: a bijector of your own, of which only the forward map is written, x_d = z_d + a_d sin z_d. It increases,
 * since the constraint keeps |a| below 0.99 (tanh(a), rounded, would be 1 from a = 19 on). Weir works out the inverse,
 * the log-determinant and every gradient.
 *
 *     cc ripple.c $(pkg-config --cflags --libs weir) && ./a.out */
#include <stdio.h>
#include <weir/models.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    nf_parameter_spec a = {.name = "a",
                           .shape = AD_SHAPE(self->dim),
                           .init = NF_INIT_NORMAL,
                           .value = 0.1,
                           .constraint = NF_INTERVAL,
                           .low = -0.99,
                           .high = 0.99};
    return nf_declare(self, &a, error);
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    return ad_add(z, ad_mul(nf_param(at, "a"), ad_sin(z)));
}

static const nf_bijector_type ripple = {
    .name = "ripple", .help = "x = z + a sin z", .build = build, .forward = forward};

int main(void)
{
    enum { ROWS = 2000 };
    static double x[ROWS][2], draws[3][2], log_prob[3];
    double nll[2];
    ad_error error;
    nf_moons(ROWS, 0.1, 1, x[0], NULL);
    nf_flow *flow = nf_register(&ripple, &error) == AD_OK
                        ? nf_flow_parse("(ripple-lu)*3-standardize", 2, 0, AD_F64, 1, &error)
                        : NULL;
    nf_fit_options options = {.epochs = 60, .optimizer = {.learning_rate = 0.02}};
    if (!flow || nf_fit(flow, x[0], ROWS, &options, NULL, &error) != AD_OK ||
        nf_nll(flow, x[0], NULL, ROWS, &nll[0], NULL, NULL, &error) != AD_OK ||
        nf_sample(flow, NULL, 3, 1, draws[0], log_prob, NULL, &error) != AD_OK ||
        nf_save(flow, NULL, "ripple.safetensors", &error) != AD_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    nf_flow_free(flow);
    flow = nf_load("ripple.safetensors", NULL, &error);
    if (!flow || nf_nll(flow, x[0], NULL, ROWS, &nll[1], NULL, NULL, &error) != AD_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    nf_flow_free(flow);
    for (int i = 0; i < 3; i++) printf("%6.3f %6.3f  log p = %.3f\n", draws[i][0], draws[i][1], log_prob[i]);
    printf("trained: %.3f nats, loaded: %.3f nats\n", nll[0], nll[1]);
    return nll[0] != nll[1];
}
