/* What limit.c computes, for the instruction set that this is compiled for. Rows lie one beside another in vectors;
 * numbers that are the same for all rows do so by layers. */
#include "limit_kernels.h"
#include "ops/noise_vectors.h"

#include <Random123/philox.h>

/* As many rows as fit a vector of floats, and as fit one of doubles. */
typedef sleef_vector vector;
typedef sleef_wide wide;
enum { LANES = AD_LANES, WIDE_LANES = sizeof(wide) / sizeof(double) };

/* The noise has the variants without fused multiply-adds that Weir's has, which here are no slower than others. */
typedef noise_integers integers;

/* A block of rows: each number of each row, z before each layer and behind the last. */
typedef float row_numbers[LIMIT_BLOCK] __attribute__((aligned(64)));
typedef struct {
    row_numbers z[LIMIT_LAYERS + 1][2], t[LIMIT_LAYERS];
    row_numbers slope, log_det, loss, g[2], weight; /* of rows in the mean: 0 for those that fill up a vector */
} block;

/* ---- Noise ----------------------------------------------------------------------------------------------------- */

/* Of the first 52 bits of the words' low halves: as uniform_of_bits(). */
static inline wide uniform(integers high, integers low)
{
    const integers one_to_two = (high << 32 | (low & UINT32_MAX)) >> 12 | 0x3ff0000000000000u;
    wide u;
    memcpy(&u, &one_to_two, sizeof u);
    return u - (1 - 0x1p-53);
}

/* Two uniforms for each row from `row` on: Philox4x32-10 of (row, step, 0), keyed by the seed. */
static inline void uniforms(const limit_model *m, uint64_t row, wide *u, wide *v)
{
    integers x0, x1, x2 = {0}, x3 = {0};
    for (size_t i = 0; i < WIDE_LANES; i++) x0[i] = row + i;
    x1 = x0 >> 32;
    x2 += (uint32_t)m->step;
    uint32_t k0 = (uint32_t)m->seed, k1 = (uint32_t)(m->seed >> 32);
    for (int round = 0; round < 10; round++, k0 += PHILOX_W32_0, k1 += PHILOX_W32_1) {
        const integers p0 = noise_multiply(x0, PHILOX_M4x32_0), p1 = noise_multiply(x2, PHILOX_M4x32_1);
        x0 = p1 >> 32 ^ x1 ^ k0;
        x1 = p1;
        x2 = p0 >> 32 ^ x3 ^ k1;
        x3 = p0;
    }
    *u = uniform(x0, x1);
    *v = uniform(x2, x3);
}

/* Box and Muller: two normals for each row. */
static void normals(const limit_model *m, uint64_t row, size_t n, float *first, float *second)
{
    double log_u[LIMIT_BLOCK], sine[LIMIT_BLOCK], cosine[LIMIT_BLOCK];
    for (size_t i = 0; i < n; i += WIDE_LANES) {
        wide u, v;
        uniforms(m, row + i, &u, &v);
        u = noise_log(u);
        const noise_pair both = noise_sincospi(2 * v);
        memcpy(log_u + i, &u, sizeof u);
        memcpy(sine + i, &both.x, sizeof v);
        memcpy(cosine + i, &both.y, sizeof v);
    }
    AD_SIMD for (size_t i = 0; i < n; i++)
    {
        const double radius = sqrt(-2 * log_u[i]);
        first[i] = (float)(radius * cosine[i]);
        second[i] = (float)(radius * sine[i]);
    }
}

/* z, and each row's weight. */
static void start(const limit_model *m, size_t begin, size_t count, size_t n, block *b)
{
    if (!m->z) normals(m, begin, n, b->z[0][0], b->z[0][1]);
    const float weight = 1 / (float)m->rows;
    AD_SIMD for (size_t i = 0; i < n; i++)
    {
        b->weight[i] = i < count ? weight : 0;
        b->log_det[i] = 0;
    }
    if (!m->z) return;
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < 2; d++) b->z[0][d][i] = i < count ? m->z[2 * (begin + i) + d] : 1;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------ */

static void forward(const limit_model *m, int k, size_t n, block *b)
{
    const float *w = m->parameter + 2 * m->layers, *z0 = b->z[k][0], *z1 = b->z[k][1];
    const float w0 = w[k], w1 = w[m->layers + k], bias = w[2 * m->layers + k];
    const float u0 = m->u_hat[0][k], u1 = m->u_hat[1][k], dot = m->dot[k];
    float *x0 = b->z[k + 1][0], *x1 = b->z[k + 1][1], *t = b->t[k];
    AD_SIMD for (size_t i = 0; i < n; i++)
    {
        const float y = tanh_of(w0 * z0[i] + w1 * z1[i] + bias);
        t[i] = y;
        x0[i] = z0[i] + u0 * y;
        x1[i] = z1[i] + u1 * y;
        b->slope[i] = fabsf(1 + (1 - y * y) * dot);
    }
    vector *log_det = (vector *)b->log_det;
    const vector *slope = (const vector *)b->slope;
    for (size_t i = 0; i < n / LANES; i++) log_det[i] += AD_SLEEF(log, u10)(slope[i]);
}

/* The energy of x, the loss, and its gradient with respect to x. The lobes' logs are -(x_1 - 2)² / 0.72 and
 * -(x_1 + 2)² / 0.72, which differ by x_1 / 0.09. */
static double energy(const float *x0, const float *x1, size_t count, size_t n, block *b)
{
    row_numbers e, log_e;
    double loss = 0;
    AD_SIMD for (size_t i = 0; i < n; i++) e[i] = fabsf(x0[i]) * (-1 / 0.09f);
    vector_exp(n, e, e);
    vector_log1p(n, e, log_e);
    AD_SIMD for (size_t i = 0; i < n; i++)
    {
        const float distance = sqrtf(x0[i] * x0[i] + x1[i] * x1[i]), ring = (distance - 2) * (1 / 0.4f);
        const float near = fabsf(x0[i]) - 2, pull = ring * (1 / 0.4f) / distance;
        const float lobes = log_e[i] - near * near * (0.5f / 0.36f);
        const float towards = copysignf((1 - e[i]) / (1 + e[i]), x0[i]); /* tanh of half the difference */
        b->g[0][i] = b->weight[i] * (pull * x0[i] + (x0[i] - 2 * towards) * (1 / 0.36f));
        b->g[1][i] = b->weight[i] * (pull * x1[i]);
        b->loss[i] = 0.5f * ring * ring - lobes - b->log_det[i];
    }
#pragma omp simd reduction(+ : loss)
    for (size_t i = 0; i < count; i++) loss += (double)b->loss[i];
    return loss;
}

/* From the gradient with respect to what a layer gives to that with respect to what it takes. Its log-det adds
 * -log|1 + s ûᵀw| to the loss, where s = 1 - t². */
static void backward(limit_model *m, size_t job, int k, size_t n, block *b)
{
    const float *w = m->parameter + 2 * m->layers;
    const float w0 = w[k], w1 = w[m->layers + k], u0 = m->u_hat[0][k], u1 = m->u_hat[1][k], dot = m->dot[k];
    const vector *z0 = (const vector *)b->z[k][0], *z1 = (const vector *)b->z[k][1], *t = (const vector *)b->t[k];
    const vector *weight = (const vector *)b->weight;
    vector *g0 = (vector *)b->g[0], *g1 = (vector *)b->g[1], *sum[LIMIT_SUMS];
    for (int j = 0; j < LIMIT_SUMS; j++) sum[j] = (vector *)m->job[job].sum[k][j];
    vector sum_u0 = *sum[0], sum_u1 = *sum[1], sum_w0 = *sum[2], sum_w1 = *sum[3], sum_b = *sum[4], sum_dot = *sum[5];
    for (size_t i = 0; i < n / LANES; i++) {
        const vector s = 1 - t[i] * t[i], g_log = -weight[i] / (1 + s * dot);
        const vector g_t = g0[i] * u0 + g1[i] * u1 - 2 * t[i] * (g_log * dot), g_a = g_t * s;
        sum_u0 += g0[i] * t[i];
        sum_u1 += g1[i] * t[i];
        sum_w0 += g_a * z0[i];
        sum_w1 += g_a * z1[i];
        sum_b += g_a;
        sum_dot += g_log * s;
        g0[i] += g_a * w0;
        g1[i] += g_a * w1;
    }
    const vector added[LIMIT_SUMS] = {sum_u0, sum_u1, sum_w0, sum_w1, sum_b, sum_dot};
    for (int j = 0; j < LIMIT_SUMS; j++) *sum[j] = added[j];
}

static void rows(limit_model *m, size_t job, size_t begin, size_t count)
{
    block b;
    const size_t n = (count + LANES - 1) / LANES * LANES;
    start(m, begin, count, n, &b);
    for (int k = 0; k < m->layers; k++) forward(m, k, n, &b);
    m->job[job].loss += energy(b.z[m->layers][0], b.z[m->layers][1], count, n, &b);
    for (int k = m->layers; k-- > 0;) backward(m, job, k, n, &b);
}

/* ---- Layers ---------------------------------------------------------------------------------------------------- */

/* û = u + c w with c = (softplus(wᵀu) - 1 - wᵀu) / (‖w‖² + 1e-10). */
static void layers(limit_model *m)
{
    const size_t n = (size_t)m->layers;
    const float *u0 = m->parameter, *u1 = u0 + n, *w0 = u1 + n, *w1 = w0 + n;
    limit_numbers e;
    AD_SIMD for (size_t k = 0; k < n; k++)
    {
        m->wu[k] = w0[k] * u0[k] + w1[k] * u1[k];
        m->norm[k] = w0[k] * w0[k] + w1[k] * w1[k] + 1e-10f;
        e[k] = -fabsf(m->wu[k]);
    }
    vector_exp(n, e, e);
    vector_log1p(n, e, e);
    AD_SIMD for (size_t k = 0; k < n; k++)
    {
        const float softplus = (m->wu[k] > 0 ? m->wu[k] : 0) + e[k], c = (softplus - 1 - m->wu[k]) / m->norm[k];
        m->length[k] = c;
        m->u_hat[0][k] = u0[k] + c * w0[k];
        m->u_hat[1][k] = u1[k] + c * w1[k];
        m->dot[k] = m->u_hat[0][k] * w0[k] + m->u_hat[1][k] * w1[k];
    }
}

/* The sums over rows of all jobs and lanes. */
static void add_up(const limit_model *m, size_t jobs, limit_numbers sum[LIMIT_SUMS])
{
    for (int k = 0; k < m->layers; k++)
        for (int j = 0; j < LIMIT_SUMS; j++) {
            vector total = {0}, part;
            float lane[LANES], all = 0;
            for (size_t i = 0; i < jobs; i++) {
                memcpy(&part, m->job[i].sum[k][j], sizeof part);
                total += part;
            }
            memcpy(lane, &total, sizeof total);
            for (size_t i = 0; i < LANES; i++) all += lane[i];
            sum[j][k] = all;
        }
}

static void gradient(limit_model *m, size_t jobs)
{
    const size_t n = (size_t)m->layers;
    const float *u0 = m->parameter, *u1 = u0 + n, *w0 = u1 + n, *w1 = w0 + n;
    float *g_u0 = m->gradient, *g_u1 = g_u0 + n, *g_w0 = g_u1 + n, *g_w1 = g_w0 + n, *g_b = g_w1 + n;
    limit_numbers sum[LIMIT_SUMS], e;
    double loss = 0;
    for (size_t i = 0; i < jobs; i++) loss += m->job[i].loss;
    m->loss = (float)(loss / (double)m->rows);
    add_up(m, jobs, sum);
    AD_SIMD for (size_t k = 0; k < n; k++) e[k] = -fabsf(m->wu[k]);
    vector_exp(n, e, e);
    AD_SIMD for (size_t k = 0; k < n; k++)
    {
        const float sigmoid = (m->wu[k] < 0 ? e[k] : 1) / (1 + e[k]), c = m->length[k];
        const float g0 = sum[0][k] + sum[5][k] * w0[k], g1 = sum[1][k] + sum[5][k] * w1[k]; /* of û */
        const float g_c = (g0 * w0[k] + g1 * w1[k]) / m->norm[k], g_wu = g_c * (sigmoid - 1), g_norm = -g_c * c;
        g_u0[k] = g0 + g_wu * w0[k];
        g_u1[k] = g1 + g_wu * w1[k];
        g_w0[k] = sum[2][k] + sum[5][k] * m->u_hat[0][k] + c * g0 + g_wu * u0[k] + 2 * g_norm * w0[k];
        g_w1[k] = sum[3][k] + sum[5][k] * m->u_hat[1][k] + c * g1 + g_wu * u1[k] + 2 * g_norm * w1[k];
        g_b[k] = sum[4][k];
    }
}

static void update(limit_model *m)
{
    AD_SIMD for (int i = 0; i < 5 * m->layers; i++)
    {
        const float g = m->gradient[i];
        m->first[i] = 0.9f * m->first[i] + 0.1f * g;
        m->second[i] = 0.999f * m->second[i] + 0.001f * g * g;
        m->parameter[i] -= 1e-3f * m->first[i] / (sqrtf(m->second[i]) + 1e-8f);
    }
}

extern const limit_kernels AD_NAME(limit_kernels);
const limit_kernels AD_NAME(limit_kernels) = {LANES, layers, rows, gradient, update};
