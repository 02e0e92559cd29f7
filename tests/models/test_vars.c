/* Every public function that takes vars alone and gives one, of all rooms, with a var that is none, of a tape and of no
 * tape, and with one of another tape, in the place of each: no value comes of it, and a tape is told. */
#include "flows/flow_tools.h"

#include <weir/densities.h>
#include <weir/features.h>
#include <weir/networks.h>

typedef struct {
    const char *name;
    int count;
    union {
        ad_var (*of1)(ad_var);
        ad_var (*of2)(ad_var, ad_var);
        ad_var (*of3)(ad_var, ad_var, ad_var);
        ad_var (*of4)(ad_var, ad_var, ad_var, ad_var);
    } call;
} function_of_vars;

#define POINTER(room, function, parameter)
#define VARS(room, function, n) {#function, n, {.of##n = function}},
static const function_of_vars functions[] = {
#include "public_arguments.h"
};

static ad_var apply(const function_of_vars *f, const ad_var *v)
{
    switch (f->count) {
    case 1:
        return f->call.of1(v[0]);
    case 2:
        return f->call.of2(v[0], v[1]);
    case 3:
        return f->call.of3(v[0], v[1], v[2]);
    default:
        return f->call.of4(v[0], v[1], v[2], v[3]);
    }
}

/* Shapes of which something can be made: numbers, vectors, matrices. */
static const ad_shape shapes[] = {{0}, {1, {2}}, {2, {2, 2}}};

START_TEST(what_is_no_value)
{
    const function_of_vars *f = &functions[_i];
    for (size_t s = 0; s < COUNT(shapes); s++)
        for (int place = 0; place < f->count; place++)
            for (int kind = 0; kind < 3; kind++) {
                ad_tape *tape = ad_tape_new(), *other = ad_tape_new();
                const ad_var wrong[] = {{NULL, -1}, {tape, -1}, ad_input(other, "other", shapes[s])};
                ad_var v[4];
                for (int i = 0; i < f->count; i++) v[i] = ad_input(tape, "x", shapes[s]);
                v[place] = wrong[kind];
                const ad_var y = apply(f, v);
                /* of one var alone, another tape is as good as this one */
                if (f->count > 1 || kind < 2)
                    ck_assert_msg(!ad_is_valid(y), "%s, argument %d, kind %d, shape %zu", f->name, place, kind, s);
                if (f->count > 1 && kind == 2)
                    ck_assert_msg(ad_tape_error(tape) || ad_tape_error(other), "%s, argument %d, kind %d: not told",
                                  f->name, place, kind);
                const ad_error *told = ad_tape_error(tape) ? ad_tape_error(tape) : ad_tape_error(other);
                if (told && told->status != AD_OK)
                    ck_assert_msg(told->status == AD_ERROR_ARGUMENT, "%s: %s", f->name, told->message);
                ad_tape_free(other);
                ad_tape_free(tape);
            }
}
END_TEST

Suite *vars_suite(void)
{
    Suite *suite = suite_create("vars");
    TCase *tcase = tcase_create("vars");
    tcase_add_loop_test(tcase, what_is_no_value, 0, COUNT(functions));
    suite_add_tcase(suite, tcase);
    return suite;
}
