/* Makes ode.csv: initial value problems solved by CVODES (Hindmarsh et al. 2005, "SUNDIALS"), with sensitivities.
 *
 *     cc ode.c -o ode -lsundials_cvodes -lsundials_nvecserial -lsundials_sunmatrixdense -lsundials_sunlinsoldense -lm
 *     ./ode > ode.csv                            (SUNDIALS 6; Debian: libsundials-dev)
 *
 * A line is a problem's name, D, the count P of its parameters, z0 (D), t0, t1, the parameters (P) and weights c (D);
 * then z(t1) (D), and the gradient of c.z(t1) with respect to z0, t0, t1 and the parameters.
 *
 * By Adams' methods of up to order 12. The right-hand sides of the sensitivities are exact: they come from one
 * evaluation each at complex numbers, with an imaginary part so small that its square vanishes. */
#include <complex.h>
#include <cvodes/cvodes.h>
#include <math.h>
#include <nvector/nvector_serial.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sunlinsol/sunlinsol_dense.h>
#include <sunmatrix/sunmatrix_dense.h>

enum { MOST = 40 };
typedef double complex number;
typedef void field(number t, const number *z, const number *p, number *rate);

static void van_der_pol(number t, const number *z, const number *p, number *rate)
{
    (void)t;
    rate[0] = z[1];
    rate[1] = p[0] * (1 - z[0] * z[0]) * z[1] - z[0];
}

static void lotka_volterra(number t, const number *z, const number *p, number *rate)
{
    (void)t;
    rate[0] = (p[0] - p[1] * z[1]) * z[0];
    rate[1] = (p[2] * z[0] - p[3]) * z[1];
}

/* Fast towards a slow solution, cos t. */
static void prothero_robinson(number t, const number *z, const number *p, number *rate)
{
    rate[0] = -p[0] * (z[0] - ccos(t)) - p[1] * csin(t);
}

/* cnf(4) of two features, and the integral of its divergence: weights of layer 0, of time, biases; layer 1. */
static void cnf(number t, const number *z, const number *p, number *rate)
{
    enum { D = 2, H = 4 };
    const number *first = p, *time = first + H * D, *bias = time + H, *last = bias + H, *shift = last + D * H;
    rate[0] = shift[0];
    rate[1] = shift[1];
    rate[2] = 0;
    for (int j = 0; j < H; j++) {
        const number unit = ctanh(first[D * j] * z[0] + first[D * j + 1] * z[1] + time[j] * t + bias[j]);
        for (int i = 0; i < D; i++) {
            rate[i] += last[H * i + j] * unit;
            rate[D] += last[H * i + j] * (1 - unit * unit) * first[D * j + i];
        }
    }
}

typedef struct {
    const char *name;
    field *f;
    int dim, parameters;
    double z0[MOST], t0, t1, p[MOST], c[MOST];
} problem;

static void evaluate(const problem *a, double t, const double *z, const double *dz, int parameter, double *rate)
{
    const double tiny = 1e-100;
    number at[MOST], p[MOST], out[MOST];
    for (int i = 0; i < a->dim; i++) at[i] = z[i] + (dz ? I * tiny * dz[i] : 0);
    for (int i = 0; i < a->parameters; i++) p[i] = a->p[i] + (i == parameter ? I * tiny : 0);
    a->f(t, at, p, out);
    for (int i = 0; i < a->dim; i++) rate[i] = dz ? cimag(out[i]) / tiny : creal(out[i]);
}

static int rate(double t, N_Vector z, N_Vector out, void *data)
{
    evaluate(data, t, N_VGetArrayPointer(z), NULL, -1, N_VGetArrayPointer(out));
    return 0;
}

/* Of z0, then of the parameters. */
static int sensitivities(int count, double t, N_Vector z, N_Vector z_rate, N_Vector *s, N_Vector *out, void *data,
                         N_Vector work, N_Vector more)
{
    const problem *a = data;
    (void)z_rate, (void)work, (void)more;
    for (int k = 0; k < count; k++)
        evaluate(a, t, N_VGetArrayPointer(z), N_VGetArrayPointer(s[k]), k - a->dim, N_VGetArrayPointer(out[k]));
    return 0;
}

static void check(int flag, const char *what)
{
    if (flag >= 0) return;
    fprintf(stderr, "%s: %d\n", what, flag);
    exit(1);
}

static double product(const double *a, const double *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void solve(problem *a)
{
    const int dim = a->dim, count = dim + a->parameters;
    const double rtol = 1e-13, atol = 1e-15;
    SUNContext context;
    SUNContext_Create(NULL, &context);
    N_Vector z = N_VNew_Serial(dim, context), *s = N_VCloneVectorArray(count, z);
    memcpy(N_VGetArrayPointer(z), a->z0, (size_t)dim * sizeof(double));
    for (int k = 0; k < count; k++) {
        N_VConst(0, s[k]);
        if (k < dim) N_VGetArrayPointer(s[k])[k] = 1;
    }
    void *solver = CVodeCreate(CV_ADAMS, context);
    check(CVodeInit(solver, rate, a->t0, z), "CVodeInit");
    check(CVodeSStolerances(solver, rtol, atol), "CVodeSStolerances");
    check(CVodeSetUserData(solver, a), "CVodeSetUserData");
    check(CVodeSetMaxNumSteps(solver, 1000000), "CVodeSetMaxNumSteps");
    SUNMatrix matrix = SUNDenseMatrix(dim, dim, context);
    check(CVodeSetLinearSolver(solver, SUNLinSol_Dense(z, matrix, context), matrix), "CVodeSetLinearSolver");
    check(CVodeSensInit(solver, count, CV_SIMULTANEOUS, sensitivities, s), "CVodeSensInit");
    double absolute[MOST];
    for (int k = 0; k < count; k++) absolute[k] = atol;
    check(CVodeSensSStolerances(solver, rtol, absolute), "CVodeSensSStolerances");
    check(CVodeSetSensErrCon(solver, 1), "CVodeSetSensErrCon");
    check(CVodeSetStopTime(solver, a->t1), "CVodeSetStopTime");
    double t = a->t0;
    check(CVode(solver, a->t1, z, &t, CV_NORMAL), "CVode");
    check(CVodeGetSens(solver, &t, s), "CVodeGetSens");

    printf("%s,%d,%d", a->name, dim, a->parameters);
    for (int i = 0; i < dim; i++) printf(",%.17g", a->z0[i]);
    printf(",%.17g,%.17g", a->t0, a->t1);
    for (int i = 0; i < a->parameters; i++) printf(",%.17g", a->p[i]);
    for (int i = 0; i < dim; i++) printf(",%.17g", a->c[i]);
    double gradient[MOST], begin[MOST], end[MOST];
    for (int i = 0; i < dim; i++) printf(",%.17g", N_VGetArrayPointer(z)[i]);
    for (int k = 0; k < count; k++) gradient[k] = product(a->c, N_VGetArrayPointer(s[k]), dim);
    evaluate(a, a->t0, a->z0, NULL, -1, begin);
    evaluate(a, a->t1, N_VGetArrayPointer(z), NULL, -1, end);
    for (int k = 0; k < dim; k++) printf(",%.17g", gradient[k]);
    printf(",%.17g,%.17g", -product(gradient, begin, dim), product(a->c, end, dim));
    for (int k = dim; k < count; k++) printf(",%.17g", gradient[k]);
    printf("\n");
}

int main(void)
{
    problem problems[] = {
        {"van_der_pol", van_der_pol, 2, 1, {2, 0}, 0, 6, {1}, {1, -0.5}},
        {"van_der_pol", van_der_pol, 2, 1, {2, 0}, 1, 11, {20}, {1, 0.25}},
        {"lotka_volterra", lotka_volterra, 2, 4, {1, 0.5}, 0, 10, {1.5, 1, 0.75, 1.25}, {0.5, 1}},
        {"lotka_volterra", lotka_volterra, 2, 4, {0.7, 1.5}, 2, -3, {1.5, 1, 0.75, 1.25}, {-1, 1}},
        {"prothero_robinson", prothero_robinson, 1, 2, {2}, -0.5, 3, {300, 1}, {1}},
        {"cnf", cnf, 3, 26, {0.6, -0.9, 0}, 0, 1, {0}, {0.5, -1, 1}},
        {"cnf", cnf, 3, 26, {-0.2, 1.4, 0}, 1, 0, {0}, {1, 0.5, -1}},
    };
    const int count = sizeof problems / sizeof *problems;
    for (int i = 0; i < count; i++) {
        problem *a = &problems[i];
        for (int k = 0; a->f == cnf && k < a->parameters; k++) a->p[k] = 1.5 * sin(1 + 7.0 * k + i);
        solve(a);
    }
    return 0;
}
