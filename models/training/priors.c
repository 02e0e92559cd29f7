/* Weir's own priors. */
#include <weir/densities.h>
#include <weir/prior.h>

static ad_var number(ad_var like, double value)
{
    return ad_scalar(like.tape, value);
}

/* ---- Densities -------------------------------------------------------------------------------------------------- */

static ad_var normal(const nf_prior_type *self, const double *argument, ad_var w)
{
    (void)self;
    return nf_log_normal(w, number(w, argument[1]), number(w, argument[0]));
}

static ad_var laplace(const nf_prior_type *self, const double *argument, ad_var w)
{
    (void)self;
    return nf_log_laplace(w, number(w, argument[1]), number(w, argument[0]));
}

static ad_var student(const nf_prior_type *self, const double *argument, ad_var w)
{
    (void)self;
    return nf_log_student_t(w, number(w, argument[0]), number(w, argument[2]), number(w, argument[1]));
}

/* ---- Descriptors ------------------------------------------------------------------------------------------------ */

#define WIDTH(of)                                                                                                      \
    {                                                                                                                  \
        .name = of, .kind = NF_NUMBER, .value = 1, .low = 1e-6, .high = 1e6, .help = "how wide it is"                  \
    }
#define CENTRE(of)                                                                                                     \
    {                                                                                                                  \
        .name = of, .kind = NF_NUMBER, .low = -1e6, .high = 1e6, .help = "where it is highest"                         \
    }

static const nf_argument normal_arguments[] = {WIDTH("sd"), CENTRE("mean"), {0}};
const nf_prior_type nf__prior_normal = {
    .name = "normal", .help = "N(w; mean, sd²)", .argument = normal_arguments, .log_density = normal};

static const nf_argument laplace_arguments[] = {WIDTH("scale"), CENTRE("location"), {0}};
const nf_prior_type nf__prior_laplace = {.name = "laplace",
                                         .help = "exp(-|w - location| / scale) / (2 scale)",
                                         .argument = laplace_arguments,
                                         .log_density = laplace};

static const nf_argument student_arguments[] = {
    {.name = "df", .kind = NF_NUMBER, .value = 3, .low = 0.1, .high = 1e6, .help = "degrees of freedom: 1 is Cauchy's"},
    WIDTH("scale"),
    CENTRE("location"),
    {0}};
const nf_prior_type nf__prior_student = {.name = "student",
                                         .help = "Student's t of (w - location) / scale: few may be large",
                                         .argument = student_arguments,
                                         .log_density = student};
