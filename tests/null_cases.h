/* Every public function of a room, called with NULL for each pointer that it takes, in turn.
 *
 * The pointers come from the headers (tests/tools/arguments.sh), the calls from a suite: a function without a call, or
 * a pointer that its call doesn't mark, fails. Marks say what NULL does: NEEDED is an error that names the function's
 * parameter, OPTIONAL leaves the call as it is, HARMLESS does something sensible, of which the suite may say more. */
#ifndef WEIR_TESTS_NULL_CASES_H
#define WEIR_TESTS_NULL_CASES_H

#include "flows/flow_tools.h"

typedef struct {
    const char *room, *function, *parameter;
} null_parameter;

#define POINTER(room, function, parameter) {#room, #function, #parameter},
#define VARS(room, function, count)
static const null_parameter null_parameters[] = {
#include "public_arguments.h"
};
#undef POINTER
#undef VARS

typedef enum { UNMARKED, IS_NEEDED, IS_OPTIONAL, IS_HARMLESS } null_mark;

static struct {
    const char *function, *parameter; /* in work; "": no pointer is NULL */
    null_mark mark;
    bool called, succeeded;
    ad_tape *tape; /* what vars are recorded on */
} null_call;

static inline bool is_null(const char *parameter, null_mark mark)
{
    if (strcmp(parameter, null_call.parameter) != 0) return false;
    null_call.mark = mark;
    return true;
}

#define NEEDED(name, value)   (is_null(#name, IS_NEEDED) ? NULL : (value))
#define OPTIONAL(name, value) (is_null(#name, IS_OPTIONAL) ? NULL : (value))
#define HARMLESS(name, value) (is_null(#name, IS_HARMLESS) ? NULL : (value))
#define ERROR                 OPTIONAL(error, &error)

/* CASE(nf_log_prob) status(nf_log_prob(…)); — of what gives a status, a new object, a var, and of any other. */
#define CASE(name) if (strcmp(null_call.function, #name) == 0)

static inline void status(ad_status given)
{
    null_call.called = true;
    null_call.succeeded = given == AD_OK;
    if (null_call.mark == IS_NEEDED)
        ck_assert_msg(given == AD_ERROR_ARGUMENT, "%s, %s is NULL: status %d", null_call.function, null_call.parameter,
                      (int)given);
}

static inline void good(bool given)
{
    null_call.called = true;
    null_call.succeeded = given;
}

#define MADE(release, call)                                                                                            \
    do {                                                                                                               \
        void *made_by_it = (void *)(uintptr_t)(call);                                                                  \
        good(made_by_it != NULL);                                                                                      \
        release(made_by_it);                                                                                           \
    } while (0)

static inline void recorded(ad_var given)
{
    good(ad_is_valid(given));
    const ad_error *fault = ad_tape_error(null_call.tape);
    if (null_call.mark == IS_NEEDED && fault) error = *fault;
}

#define QUIET(call) ((call), null_call.called = true, null_call.succeeded = true)

/* Of the functions of a room, number i: with each of its pointers. */
static inline void call_with_null(const char *room, size_t wanted, void (*set_up)(void), void (*call)(void),
                                  void (*tear_down)(void))
{
    const null_parameter *first = NULL;
    for (size_t i = 0, seen = 0; i < COUNT(null_parameters) && !first; i++) {
        const null_parameter *p = &null_parameters[i];
        if (strcmp(p->room, room) != 0 || (i > 0 && strcmp(p[-1].function, p->function) == 0)) continue;
        if (seen++ == wanted) first = p;
    }
    ck_assert_ptr_nonnull(first);
    const null_parameter *end = null_parameters + COUNT(null_parameters), none = {room, first->function, ""};
    for (const null_parameter *p = &none; p == &none || (p < end && strcmp(p->function, first->function) == 0);
         p = p == &none ? first : p + 1) {
        null_call.function = p->function;
        null_call.parameter = p->parameter;
        null_call.mark = UNMARKED;
        null_call.called = null_call.succeeded = false;
        set_up();
        error = (ad_error){AD_OK, ""};
        call();
        ck_assert_msg(null_call.called, "%s: no test calls it", p->function);
        ck_assert_msg(p == &none || null_call.mark != UNMARKED, "%s: no test gives NULL for %s", p->function,
                      p->parameter);
        if (null_call.mark == IS_NEEDED)
            ck_assert_msg(!null_call.succeeded && strstr(error.message, p->parameter), "%s, %s is NULL: %s, '%s'",
                          p->function, p->parameter, null_call.succeeded ? "succeeds" : "fails", error.message);
        else if (null_call.mark != IS_HARMLESS)
            ck_assert_msg(null_call.succeeded, "%s, '%s' is NULL: %s", p->function, p->parameter, error.message);
        tear_down();
    }
}

static inline int functions_of(const char *room)
{
    int count = 0;
    for (size_t i = 0; i < COUNT(null_parameters); i++)
        count += strcmp(null_parameters[i].room, room) == 0 &&
                 (i == 0 || strcmp(null_parameters[i - 1].function, null_parameters[i].function) != 0);
    return count;
}

#endif
