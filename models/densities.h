/* Log-densities that targets are written with, and pieces that they are made of, in nats. They record on the tape, as
 * the functions of <weir/tape.h> do: any thread may call them, each tape from one thread at a time.
 *
 * nf_log_NAME() is Σ log p(x; parameters) over all elements of what its arguments are when broadcast against each
 * other, shape (): many observations with one parameter, one with many, or each with its own, as in Stan.
 * nf_log_NAME_each() gives the elements themselves, for mixtures and the like. All are normalised, so that log Z of a
 * target made of them is a marginal likelihood. Gradients pass to all arguments; what is counted is data.
 *
 * Outside of the support the log-density is -inf, and so is the sum. A parameter outside of its range, or NaN anywhere,
 * gives NaN. Data come from ad_constant(), numbers from ad_scalar(). A regression:
 *
 *     ad_var mean = ad_add(alpha, ad_matmul(x, beta));
 *     ad_var density = ad_add(nf_log_normal(y, mean, sigma), nf_log_normal(beta, zero, ten));
 */
#ifndef WEIR_DENSITIES_H
#define WEIR_DENSITIES_H

#include <weir/autodiff.h>

WEIR_BEGIN_DECLARATIONS

/* ---- Pieces ----------------------------------------------------------------------------------------------------- */

/* Element i of a vector v, counted from 0, as a number: shape (). */
ad_var nf_element(ad_var v, size_t i);
/* log(e^a + e^b) of each element, without overflow. */
ad_var nf_log_add_exp(ad_var a, ad_var b);
/* Σ_n log Σ_k exp(log_weight_k + log_density_nk), for log_weight (K) and log_density (K) or (N,K): the log-density of a
 * mixture, from those of its components. */
ad_var nf_log_mixture(ad_var log_weight, ad_var log_density);

/* ---- On the real line ------------------------------------------------------------------------------------------- */

/* N(x; mean, sd²) */
ad_var nf_log_normal(ad_var x, ad_var mean, ad_var sd);
ad_var nf_log_normal_each(ad_var x, ad_var mean, ad_var sd);
/* Student's t: Γ((df+1)/2) / (Γ(df/2) √(π df) scale) (1 + z²/df)^(-(df+1)/2), z = (x - location) / scale */
ad_var nf_log_student_t(ad_var x, ad_var df, ad_var location, ad_var scale);
ad_var nf_log_student_t_each(ad_var x, ad_var df, ad_var location, ad_var scale);
/* 1 / (π scale (1 + z²)) */
ad_var nf_log_cauchy(ad_var x, ad_var location, ad_var scale);
ad_var nf_log_cauchy_each(ad_var x, ad_var location, ad_var scale);
/* exp(-|z|) / (2 scale) */
ad_var nf_log_laplace(ad_var x, ad_var location, ad_var scale);
ad_var nf_log_laplace_each(ad_var x, ad_var location, ad_var scale);
/* e^-z / (scale (1 + e^-z)²) */
ad_var nf_log_logistic(ad_var x, ad_var location, ad_var scale);
ad_var nf_log_logistic_each(ad_var x, ad_var location, ad_var scale);

/* ---- On the positive numbers, and on intervals ------------------------------------------------------------------ */

/* log x ~ N(mean, sd²) */
ad_var nf_log_lognormal(ad_var x, ad_var mean, ad_var sd);
ad_var nf_log_lognormal_each(ad_var x, ad_var mean, ad_var sd);
/* 2 N(x; 0, sd²), of x >= 0; and twice Cauchy's density around 0 */
ad_var nf_log_half_normal(ad_var x, ad_var sd);
ad_var nf_log_half_normal_each(ad_var x, ad_var sd);
ad_var nf_log_half_cauchy(ad_var x, ad_var scale);
ad_var nf_log_half_cauchy_each(ad_var x, ad_var scale);
/* rate exp(-rate x) */
ad_var nf_log_exponential(ad_var x, ad_var rate);
ad_var nf_log_exponential_each(ad_var x, ad_var rate);
/* rate^shape x^(shape-1) exp(-rate x) / Γ(shape) */
ad_var nf_log_gamma(ad_var x, ad_var shape, ad_var rate);
ad_var nf_log_gamma_each(ad_var x, ad_var shape, ad_var rate);
/* scale^shape x^(-shape-1) exp(-scale / x) / Γ(shape): 1/x has a gamma density with this shape and rate = scale */
ad_var nf_log_inverse_gamma(ad_var x, ad_var shape, ad_var scale);
ad_var nf_log_inverse_gamma_each(ad_var x, ad_var shape, ad_var scale);
/* x^(df/2-1) e^(-x/2) / (2^(df/2) Γ(df/2)) */
ad_var nf_log_chi_square(ad_var x, ad_var df);
ad_var nf_log_chi_square_each(ad_var x, ad_var df);
/* shape / scale (x / scale)^(shape-1) exp(-(x / scale)^shape) */
ad_var nf_log_weibull(ad_var x, ad_var shape, ad_var scale);
ad_var nf_log_weibull_each(ad_var x, ad_var shape, ad_var scale);
/* x^(a-1) (1-x)^(b-1) / B(a, b), of x in [0, 1] */
ad_var nf_log_beta(ad_var x, ad_var a, ad_var b);
ad_var nf_log_beta_each(ad_var x, ad_var a, ad_var b);
/* 1 / (high - low), of x in [low, high] */
ad_var nf_log_uniform(ad_var x, ad_var low, ad_var high);
ad_var nf_log_uniform_each(ad_var x, ad_var low, ad_var high);

/* ---- Counts ----------------------------------------------------------------------------------------------------- */
/* x is a whole number; what isn't has probability 0. */

/* p^x (1-p)^(1-x), x 0 or 1; and with log(p / (1-p)) for p */
ad_var nf_log_bernoulli(ad_var x, ad_var p);
ad_var nf_log_bernoulli_each(ad_var x, ad_var p);
ad_var nf_log_bernoulli_logit(ad_var x, ad_var logit);
ad_var nf_log_bernoulli_logit_each(ad_var x, ad_var logit);
/* C(n, x) p^x (1-p)^(n-x); and with log(p / (1-p)) for p */
ad_var nf_log_binomial(ad_var x, ad_var n, ad_var p);
ad_var nf_log_binomial_each(ad_var x, ad_var n, ad_var p);
ad_var nf_log_binomial_logit(ad_var x, ad_var n, ad_var logit);
ad_var nf_log_binomial_logit_each(ad_var x, ad_var n, ad_var logit);
/* C(n, x) B(x + a, n - x + b) / B(a, b): binomial, p with a beta density */
ad_var nf_log_beta_binomial(ad_var x, ad_var n, ad_var a, ad_var b);
ad_var nf_log_beta_binomial_each(ad_var x, ad_var n, ad_var a, ad_var b);
/* rate^x e^-rate / x!; and with log rate for the rate */
ad_var nf_log_poisson(ad_var x, ad_var rate);
ad_var nf_log_poisson_each(ad_var x, ad_var rate);
ad_var nf_log_poisson_log(ad_var x, ad_var log_rate);
ad_var nf_log_poisson_log_each(ad_var x, ad_var log_rate);
/* Γ(x + φ) / (Γ(φ) x!) (mean / (mean + φ))^x (φ / (mean + φ))^φ, φ the dispersion: variance mean + mean² / φ, as Stan's
 * neg_binomial_2; and with log mean for the mean */
ad_var nf_log_negative_binomial(ad_var x, ad_var mean, ad_var dispersion);
ad_var nf_log_negative_binomial_each(ad_var x, ad_var mean, ad_var dispersion);
ad_var nf_log_negative_binomial_log(ad_var x, ad_var log_mean, ad_var dispersion);
ad_var nf_log_negative_binomial_log_each(ad_var x, ad_var log_mean, ad_var dispersion);
/* softmax(logits)_x, x from 0 to K-1; x () or (N), logits (K) or (N,K), of which each x has its own. Each: (N) or ().
 */
ad_var nf_log_categorical_logit(ad_var x, ad_var logits);
ad_var nf_log_categorical_logit_each(ad_var x, ad_var logits);
/* sigmoid(eta - cut_(x-1)) - sigmoid(eta - cut_x), x from 0 to K-1, for K-1 increasing cutpoints (K-1), beyond whose
 * ends are -inf and inf; x and eta () or (N) */
ad_var nf_log_ordered_logistic(ad_var x, ad_var eta, ad_var cutpoints);
ad_var nf_log_ordered_logistic_each(ad_var x, ad_var eta, ad_var cutpoints);

/* ---- Vectors ---------------------------------------------------------------------------------------------------- */
/* x (K) is one vector, (N,K) N of them. Each: () or (N). A lower triangular matrix (K,K) comes from ad_cholesky(), or
 * from a site; only its lower triangle is read. */

/* N(x; mean, L Lᵀ), mean (K) or (N,K); and N(x; mean, (L Lᵀ)^-1) */
ad_var nf_log_multivariate_normal(ad_var x, ad_var mean, ad_var cholesky);
ad_var nf_log_multivariate_normal_each(ad_var x, ad_var mean, ad_var cholesky);
ad_var nf_log_multivariate_normal_precision(ad_var x, ad_var mean, ad_var cholesky);
ad_var nf_log_multivariate_normal_precision_each(ad_var x, ad_var mean, ad_var cholesky);
/* Multivariate t of scale matrix L Lᵀ, df () or (N):
 * Γ((df+K)/2) / (Γ(df/2) (π df)^(K/2) |L|) (1 + |L^-1 (x - location)|² / df)^(-(df+K)/2) */
ad_var nf_log_multivariate_student_t(ad_var x, ad_var df, ad_var location, ad_var cholesky);
ad_var nf_log_multivariate_student_t_each(ad_var x, ad_var df, ad_var location, ad_var cholesky);
/* Γ(Σ a_k) Π x_k^(a_k-1) / Γ(a_k), a (K) or (N,K), over all but the last element of x, a simplex */
ad_var nf_log_dirichlet(ad_var x, ad_var concentration);
ad_var nf_log_dirichlet_each(ad_var x, ad_var concentration);
/* (Σ x_k)! Π p_k^x_k / x_k!, p (K) or (N,K) with sum 1 */
ad_var nf_log_multinomial(ad_var x, ad_var p);
ad_var nf_log_multinomial_each(ad_var x, ad_var p);
/* Lewandowski, Kurowicka & Joe 2009: density ∝ det(L Lᵀ)^(eta-1) of a correlation matrix (K,K), as one of the elements
 * below the diagonal of its factor L: Π_k L_kk^(K-k+2 eta-2) over a constant. For sites of
 * NF_SITE_CORRELATION_CHOLESKY; eta () */
ad_var nf_log_lkj_cholesky(ad_var cholesky, ad_var eta);

/* ---- Covariance matrices ---------------------------------------------------------------------------------------- */
/* (N,N), of a Gaussian process at inputs x (N) or (N,D), for ad_cholesky(), with `jitter` added to the diagonal: 1e-8
 * of the variance in float64, 1e-4 in float32. length () is for all features, (D) one for each; magnitude ().
 *
 *     ad_var k = nf_covariance_squared_exponential(x, magnitude, length, 1e-8);
 *     ad_var density = nf_log_multivariate_normal(f, zero, ad_cholesky(k));
 */

/* With r² = Σ_d ((x_id - x_jd) / length_d)²: magnitude² exp(-r²/2) */
ad_var nf_covariance_squared_exponential(ad_var x, ad_var magnitude, ad_var length, double jitter);
/* magnitude² (1 + √3 r) exp(-√3 r) */
ad_var nf_covariance_matern32(ad_var x, ad_var magnitude, ad_var length, double jitter);
/* magnitude² (1 + √5 r + 5 r²/3) exp(-√5 r) */
ad_var nf_covariance_matern52(ad_var x, ad_var magnitude, ad_var length, double jitter);

WEIR_END_DECLARATIONS

#endif
