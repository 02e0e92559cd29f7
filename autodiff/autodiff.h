/* Weir autodiff: tensors on a tape, reverse-mode gradients, and plans that run them over rows.
 *
 * Everything is written for ONE row (one event, one sample); the engine maps it over many. A value on a tape is
 *
 *   per-row   it exists once for each row: data, noise, activations. Its shape leaves the row axis out;
 *   shared    it exists once: parameters, constants, and what is computed from them alone.
 *
 * An op on shared values gives a shared value; any per-row argument makes the result per-row. Rows meet in one op
 * only, ad_sum_rows(), which turns a per-row value into a shared one.
 *
 *     ad_tape *tape = ad_tape_new();
 *     ad_var x = ad_input(tape, "x", AD_SHAPE(3));               // per-row, 3 features
 *     ad_var w = ad_param(tape, "w", AD_SHAPE(3));               // shared
 *     ad_var y = ad_sum_rows(ad_square(ad_sum(ad_mul(w, x))));   // Σ_rows (w·x)²
 *     ad_var dw = ad_grad1(y, w);                                // its gradient: ordinary nodes on the same tape
 *
 *     ad_error error;
 *     ad_plan *plan = ad_plan_new((ad_var[]){y, dw}, 2, &(ad_plan_options){.dtype = AD_F64}, &error);
 *     ad_plan_set_input(plan, x, data);                          // double data[rows][3]
 *     ad_plan_set_input(plan, w, weights);                       // double weights[3]
 *     ad_plan_set_output(plan, 0, &loss);
 *     ad_plan_set_output(plan, 1, gradient);
 *     ad_plan_run(plan, &(ad_run){.rows = 1000}, &error);
 *
 * No function here aborts or exits (BLIS may, where it multiplies matrices: see ad_plan_run()), and none prints but to
 * a FILE of yours. What NULL does is said in <weir/error.h>; an `error` may be NULL everywhere, as may what is to be
 * freed. Options are structs that are not kept: zero means the default, and so does a NULL pointer for all of them; new
 * members go at the end, so `{.member = …}` stays valid. Each header says what may be called from several threads at
 * once.
 *
 * Recording never fails visibly: the first mistake sticks to the tape, later ops on it do nothing, and ad_plan_new()
 * reports it (or ad_tape_error(), at any time). The same goes for what is recorded on NULL, a tape that could not be
 * made.
 */
#ifndef WEIR_AUTODIFF_H
#define WEIR_AUTODIFF_H

#include <weir/communicator.h>
#include <weir/environment.h>
#include <weir/error.h>
#include <weir/gradcheck.h>
#include <weir/graph.h>
#include <weir/memory.h>
#include <weir/op.h>
#include <weir/plan.h>
#include <weir/pool.h>
#include <weir/random.h>
#include <weir/shape.h>
#include <weir/tape.h>
#include <weir/version.h>

#endif
