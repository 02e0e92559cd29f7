/* Transformers: the list, and recording one. */
#include <weir/networks.h>
#include <weir/transformer.h>

#include <string.h>

/* clang-format off */
#define TRANSFORMERS(X)                                                                                                \
    X(additive) X(scale_shift) X(linear_spline) X(quadratic_spline) X(cubic_spline) X(bounded_rational_quadratic)      \
    X(circular_rational_quadratic) X(sum_of_squares) X(bernstein) X(deep_sigmoidal) X(logistic_mixture) X(umnn)
/* clang-format on */

enum { MOST = 256 };

#define DECLARE(name) extern const nf_transformer_type nf__transformer_##name;
#define POINTER(name) &nf__transformer_##name,

TRANSFORMERS(DECLARE)
static const nf_transformer_type *types[MOST + 1] = {&nf_transformer_affine, &nf_transformer_rational_quadratic,
                                                     TRANSFORMERS(POINTER)};
const nf_registry nf_transformers = {"transformer", types, MOST};

const nf_transformer_type *const *nf_transformer_types(void)
{
    return types;
}

ad_status nf_register_transformer(const nf_transformer_type *type, ad_error *error)
{
    if (type && type->name && !(type->parameters && (type->forward || type->inverse)))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "registering the transformer '%.60s': it needs parameters, and forward or inverse",
                            type->name);
    return nf_registry_add(&nf_transformers, type, error);
}

nf_choice nf_transformer_of(const nf_bijector *self)
{
    const nf_transformer_type *fixed = self ? self->type->data : NULL;
    const nf_choice *named = nf_argument_choice(self, "transformer");
    if (!fixed) return named ? *named : (nf_choice){0};
    const nf_argument *argument = self->type->argument;
    size_t first = 0;
    while (fixed->argument && strcmp(argument[first].name, fixed->argument[0].name) != 0) first++;
    return (nf_choice){fixed, self->argument + first};
}

size_t nf_transformer_sees(const nf_choice *transformer)
{
    const nf_transformer_type *type = transformer ? transformer->descriptor : NULL;
    return type && type->circular ? 2 : 1;
}

/* ---- Recording ------------------------------------------------------------------------------------------------- */

typedef ad_var map(const nf_choice *self, ad_var v, ad_var parameters, ad_var *log_derivative);

/* `what` of the author's must have the shape of v. */
static ad_var checked(ad_var gave, const char *what, ad_var v)
{
    char got[128], expected[128];
    const ad_shape shape = ad_shape_of(gave);
    if (!ad_is_valid(gave) || ad_shape_equal(shape, ad_shape_of(v))) return gave;
    ad_tape_fail(v.tape, AD_ERROR_ARGUMENT, "the transformer gave %s of shape %s, expected %s", what,
                 ad_shape_text(shape, got), ad_shape_text(ad_shape_of(v), expected));
    return (ad_var){v.tape, -1};
}

/* The author's map, with the log-derivative taken from the tape where it was left alone. */
static ad_var apply(map *author, const nf_choice *self, ad_var v, ad_var parameters, ad_var *log_derivative)
{
    *log_derivative = (ad_var){v.tape, -1};
    ad_var out = checked(author(self, v, parameters, log_derivative), "a value", v);
    *log_derivative = checked(*log_derivative, "a log-derivative", v);
    if (ad_is_valid(*log_derivative) || !ad_is_valid(out)) return out;
    /* As a function of a value of its own: the parameters may depend on v too, on other features of it. */
    ad_var own = ad_mul_scalar(v, 1);
    out = author(self, own, parameters, log_derivative);
    *log_derivative = ad_log(ad_grad1(ad_sum(out), own));
    return out;
}

typedef struct {
    const nf_choice *self;
    map *author;
} solved;

static ad_var record_author(void *context, ad_tape *inner, ad_var u, const ad_var *captured)
{
    const solved *s = context;
    ad_var log_derivative = {inner, -1};
    return s->author(s->self, u, captured[0], &log_derivative);
}

ad_var nf_apply_transformer(const nf_choice *transformer, bool inverse, ad_var v, ad_var parameters,
                            ad_var *log_derivative)
{
    ad_var unwanted;
    if (!log_derivative) log_derivative = &unwanted;
    *log_derivative = (ad_var){v.tape, -1};
    const nf_transformer_type *type = transformer ? transformer->descriptor : NULL;
    if (!type) {
        ad_tape_fail(v.tape, AD_ERROR_ARGUMENT, "expected a transformer, got NULL: has the type such an argument?");
        return *log_derivative;
    }
    map *wanted = inverse ? type->inverse : type->forward, *opposite = inverse ? type->forward : type->inverse;
    ad_tape_enter(v.tape, type->name);
    ad_var out;
    if (wanted) {
        out = apply(wanted, transformer, v, parameters, log_derivative);
    } else {
        out = ad_root(v, &parameters, 1, AD_ROOT_ELEMENTWISE, NULL, record_author, &(solved){transformer, opposite});
        apply(opposite, transformer, out, parameters, log_derivative);
        *log_derivative = ad_neg(*log_derivative);
    }
    ad_tape_leave(v.tape);
    return out;
}

ad_var nf_transformer_seen(const nf_choice *transformer, ad_var v)
{
    v = nf_network_input(v);
    if (nf_transformer_sees(transformer) == 1) return v;
    const size_t n = ad_shape_size(ad_shape_of(v));
    ad_var column = ad_reshape(v, AD_SHAPE(n, 1));
    return ad_reshape(ad_concat((ad_var[]){ad_cos(column), ad_sin(column)}, 2, 1), AD_SHAPE(2 * n));
}
