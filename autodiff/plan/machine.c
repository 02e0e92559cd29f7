/* From elements to machine code.
 *
 * The order is that in which results are asked for, each operation right before the first that needs it. */
#include "base/cpu.h"
#include "plan/machine.h"
#include "plan/registers.h"

#include <weir/memory.h>

#include <string.h>

/* ---- Order --------------------------------------------------------------------------------------------------- */

static bool is_same(ad__element_kind kind)
{
    return kind == AD_ELEMENT_SCALAR || kind == AD_ELEMENT_CONSTANT;
}

static bool is_wanted(ad__element_kind kind)
{
    return kind == AD_ELEMENT_STORE || kind == AD_ELEMENT_SUM_ROWS || kind == AD_ELEMENT_SUM_HALF;
}

/* Every operation for several vectors of rows, one after the other: while one waits for what it needs, the CPU goes on
 * with another. What is the same for all rows is there once. */
static bool interleave(const ad__elements *list, size_t vectors, ad__elements *to)
{
    *to = (ad__elements){.dtype = list->dtype, .count = list->count * vectors};
    to->operation = ad_alloc(to->count, sizeof *to->operation);
    for (size_t i = 0; to->operation && i < to->count; i++) {
        ad__element_operation *operation = &to->operation[i];
        *operation = list->operation[i / vectors];
        operation->vector = i % vectors;
        for (int j = 0; j < operation->n_in; j++) {
            const size_t in = (size_t)operation->in[j];
            operation->in[j] = (ad__element)(in * vectors + (is_same(list->operation[in].kind) ? 0 : i % vectors));
        }
    }
    return to->operation != NULL;
}

/* Depth first from each result in turn; `stack` has room for every operand. */
static void find_order(ad__machine *m, bool *done, ad__element *stack)
{
    const size_t vectors = m->vectors;
    for (size_t i = 0; i < m->list->count; i += vectors) { /* as for the first vector */
        if (!is_wanted(m->list->operation[i].kind) && !m->list->operation[i].at_once) continue;
        size_t depth = 0;
        stack[depth++] = (ad__element)i;
        while (depth > 0) {
            const ad__element top = stack[depth - 1];
            const ad__element_operation *operation = ad__operation_of(m, top);
            bool ready = true;
            for (int j = operation->n_in; j-- > 0 && !done[top];) {
                if (done[operation->in[j]]) continue;
                stack[depth++] = operation->in[j];
                ready = false;
            }
            if (!ready) continue;
            depth--;
            const size_t copies = is_same(operation->kind) ? 1 : vectors;
            for (size_t v = 0; v < copies && !done[top]; v++) m->order[m->n_order++] = top + (ad__element)v;
            done[top] = true;
        }
    }
}

/* ---- Operations ---------------------------------------------------------------------------------------------- */

static const ad__vector_instruction simple[AD_ELEMENT_KINDS] = {
    [AD_ELEMENT_ADD] = AD_VECTOR_ADD,
    [AD_ELEMENT_SUB] = AD_VECTOR_SUB,
    [AD_ELEMENT_MUL] = AD_VECTOR_MUL,
    [AD_ELEMENT_DIV] = AD_VECTOR_DIV,
    [AD_ELEMENT_MAX] = AD_VECTOR_MAX,
    [AD_ELEMENT_MIN] = AD_VECTOR_MIN,
    [AD_ELEMENT_AND] = AD_VECTOR_AND,
    [AD_ELEMENT_ANDNOT] = AD_VECTOR_ANDNOT,
    [AD_ELEMENT_OR] = AD_VECTOR_OR,
    [AD_ELEMENT_XOR] = AD_VECTOR_XOR,
    [AD_ELEMENT_SQRT] = AD_VECTOR_SQRT,
    [AD_ELEMENT_FLOOR] = AD_VECTOR_ROUND,
    [AD_ELEMENT_LOW] = AD_VECTOR_WIDEN,
    [AD_ELEMENT_ADD_WIDE] = AD_VECTOR_ADD_DOUBLES,
    [AD_ELEMENT_ADD_INTEGERS] = AD_VECTOR_ADD_INTEGERS,
    [AD_ELEMENT_SUB_INTEGERS] = AD_VECTOR_SUB_INTEGERS,
};

static bool commutes(ad__element_kind kind)
{
    return kind == AD_ELEMENT_ADD || kind == AD_ELEMENT_MUL;
}

static void emit_simple(ad__machine *m, ad__element id, const ad__element_operation *operation)
{
    enum { DOWN_QUIETLY = 9 };
    ad__element a = operation->in[0], b = operation->in[operation->n_in - 1];
    if (commutes(operation->kind) && m->value[a].reg == AD_NONE && m->value[b].reg != AD_NONE) {
        a = operation->in[1];
        b = operation->in[0];
    }
    const int first = operation->n_in > 1 ? ad__fetch(m, a) : 0;
    const ad__location second =
        operation->kind == AD_ELEMENT_LOW ? ad__vector_register(ad__fetch(m, b)) : ad__last_operand(m, b);
    ad__let_go(m, operation);
    const int to = ad__take_register(m);
    ad__assemble(m->out, simple[operation->kind], to, first, second, DOWN_QUIETLY);
    ad__hold(m, id, to);
}

/* Is this the last use of a register's value, by an operation that has it but once? */
static bool ends_here(const ad__machine *m, const ad__element_operation *operation, int j)
{
    const ad__value *v = &m->value[operation->in[j]];
    return v->reg != AD_NONE && v->use + 1 == v->end_use;
}

/* In the register of an argument that nothing else needs, where there is one. */
static void emit_fma(ad__machine *m, ad__element id, const ad__element_operation *operation)
{
    const int a = ad__fetch(m, operation->in[0]), b = ad__fetch(m, operation->in[1]);
    int to;
    if (ends_here(m, operation, 2)) {
        to = m->value[operation->in[2]].reg;
        ad__assemble(m->out, AD_VECTOR_FMA_INTO, to, a, ad__vector_register(b), 0);
    } else {
        const ad__location c = ad__last_operand(m, operation->in[2]);
        const bool a_ends = ends_here(m, operation, 0), b_ends = ends_here(m, operation, 1);
        to = a_ends ? a : b_ends ? b : ad__take_register(m);
        if (!a_ends && !b_ends) ad__assemble(m->out, AD_VECTOR_MOVE, to, 0, ad__vector_register(a), 0);
        ad__assemble(m->out, AD_VECTOR_FMA, to, b_ends && !a_ends ? a : b, c, 0);
    }
    ad__let_go(m, operation);
    ad__hold(m, id, to);
}

static void emit_choose(ad__machine *m, ad__element id, const ad__element_operation *operation)
{
    /* All of them are quiet, whatever a NaN. */
    static const int immediate[] = {
        [AD_EQUAL] = 0x00,   [AD_UNEQUAL] = 0x04,       [AD_LESS] = 0x11,     [AD_LESS_EQUAL] = 0x12,
        [AD_GREATER] = 0x1E, [AD_GREATER_EQUAL] = 0x1D, [AD_UNORDERED] = 0x03};
    const int a = ad__fetch(m, operation->in[0]);
    const ad__location b = ad__vector_register(ad__fetch(m, operation->in[1]));
    const int code = immediate[operation->comparison];
    const int x = ad__fetch(m, operation->in[2]), y = ad__fetch(m, operation->in[3]);
    if (m->out->evex) {
        ad__assemble(m->out, AD_VECTOR_COMPARE, 1, a, b, code);
        ad__let_go(m, operation);
        const int to = ad__take_register(m);
        ad__assemble(m->out, AD_VECTOR_SELECT, to, y, ad__vector_register(x), 0);
        ad__hold(m, id, to);
        return;
    }
    const int mask = ad__take_register(m);
    ad__assemble(m->out, AD_VECTOR_COMPARE, mask, a, b, code);
    ad__assemble(m->out, AD_VECTOR_BLEND, mask, y, ad__vector_register(x), mask << 4);
    ad__let_go(m, operation);
    ad__hold(m, id, mask);
}

/* A function keeps no vector register. */
static void emit_call(ad__machine *m, ad__element id, const ad__element_operation *operation)
{
    const ad__element argument = operation->in[0];
    for (int reg = 0; reg < m->registers; reg++) {
        const ad__element held = m->held[reg];
        const bool goes_on = held != AD_NONE && (held != argument || m->value[held].use + 1 < m->value[held].end_use);
        if (goes_on) ad__store_aside(m, held);
    }
    if (m->value[argument].reg == AD_NONE)
        ad__fetch_into(m, argument, 0);
    else if (m->value[argument].reg != 0)
        ad__assemble(m->out, AD_VECTOR_MOVE, 0, 0, ad__vector_register(m->value[argument].reg), 0);
    ad__let_go(m, operation);
    for (int reg = 0; reg < m->registers; reg++)
        if (m->held[reg] != AD_NONE) ad__leave_register(m, m->held[reg]);
    ad__assemble_call(m->out, (uintptr_t)operation->function);
    ad__hold(m, id, 0);
}

static void emit_power_of_two(ad__machine *m, ad__element id, const ad__element_operation *operation)
{
    const int a = ad__fetch(m, operation->in[0]), one = ad__fetch(m, operation->in[1]), to = ad__take_register(m);
    ad__assemble(m->out, AD_VECTOR_SHIFT_LEFT, to, 0, ad__vector_register(a), 23);
    ad__assemble(m->out, AD_VECTOR_ADD_INTEGERS, to, to, ad__vector_register(one), 0);
    ad__let_go(m, operation);
    ad__hold(m, id, to);
}

static void emit_exponent(ad__machine *m, ad__element id, const ad__element_operation *operation)
{
    const int a = ad__fetch(m, operation->in[0]);
    ad__let_go(m, operation);
    const int to = ad__take_register(m);
    ad__assemble(m->out, AD_VECTOR_SHIFT_RIGHT, to, 0, ad__vector_register(a), 23);
    ad__assemble(m->out, AD_VECTOR_FROM_INTEGERS, to, 0, ad__vector_register(to), 0);
    ad__hold(m, id, to);
}

static void emit_high(ad__machine *m, ad__element id, const ad__element_operation *operation)
{
    const int a = ad__fetch(m, operation->in[0]);
    ad__let_go(m, operation);
    const int to = ad__take_register(m);
    ad__assemble(m->out, AD_VECTOR_EXTRACT, a, 0, ad__vector_register(to), 1);
    ad__assemble(m->out, AD_VECTOR_WIDEN, to, 0, ad__vector_register(to), 0);
    ad__hold(m, id, to);
}

static void emit_narrow(ad__machine *m, ad__element id, const ad__element_operation *operation)
{
    const int low = ad__fetch(m, operation->in[0]), high = ad__fetch(m, operation->in[1]);
    const int to = ad__take_register(m), other = ad__take_register(m);
    ad__assemble(m->out, AD_VECTOR_NARROW, to, 0, ad__vector_register(low), 0);
    ad__assemble(m->out, AD_VECTOR_NARROW, other, 0, ad__vector_register(high), 0);
    ad__assemble(m->out, AD_VECTOR_INSERT, to, to, ad__vector_register(other), 1);
    ad__let_go(m, operation);
    ad__hold(m, id, to);
}

static void emit_store(ad__machine *m, ad__element id, const ad__element_operation *operation)
{
    (void)id;
    const int a = ad__fetch(m, operation->in[0]);
    ad__location at = ad__row_at(m, operation->at, operation->vector);
    if (!m->rows) at.index = -1;
    ad__assemble(m->out, m->rows ? AD_VECTOR_STORE : AD_VECTOR_STORE_ONE, a, 0, at, 0);
    ad__let_go(m, operation);
}

static void emit_sum(ad__machine *m, ad__element id, const ad__element_operation *operation)
{
    (void)id;
    const int a = ad__fetch(m, operation->in[0]);
    const ad__location sum = ad__at_base(R13, operation->at * m->vector_bytes);
    ad__let_go(m, operation);
    const int to = ad__take_register(m);
    const bool half = operation->kind == AD_ELEMENT_SUM_HALF;
    ad__assemble(m->out, half ? AD_VECTOR_ADD_DOUBLES : AD_VECTOR_ADD, to, a, sum, 0);
    ad__assemble(m->out, half ? AD_VECTOR_STORE_DOUBLES : AD_VECTOR_STORE, to, 0, sum, 0);
}

/* Before anything is stored; others when they are needed. */
static void emit_load(ad__machine *m, ad__element id, const ad__element_operation *operation)
{
    if (operation->at_once) ad__fetch(m, id);
}

static void emit(ad__machine *m, ad__element id)
{
    typedef void emitter(ad__machine *, ad__element, const ad__element_operation *);
    static emitter *const of_kind[AD_ELEMENT_KINDS] = {
        [AD_ELEMENT_LOAD] = emit_load,
        [AD_ELEMENT_SCALAR] = emit_load,
        [AD_ELEMENT_CONSTANT] = emit_load,
        [AD_ELEMENT_FMA] = emit_fma,
        [AD_ELEMENT_CHOOSE] = emit_choose,
        [AD_ELEMENT_CALL] = emit_call,
        [AD_ELEMENT_POWER_OF_TWO] = emit_power_of_two,
        [AD_ELEMENT_EXPONENT] = emit_exponent,
        [AD_ELEMENT_HIGH] = emit_high,
        [AD_ELEMENT_NARROW] = emit_narrow,
        [AD_ELEMENT_STORE] = emit_store,
        [AD_ELEMENT_SUM_ROWS] = emit_sum,
        [AD_ELEMENT_SUM_HALF] = emit_sum,
    };
    const ad__element_operation *operation = ad__operation_of(m, id);
    m->locked = 0;
    while (m->n_freed > 0) m->free_slot[m->n_free_slot++] = m->freed[--m->n_freed];
    (of_kind[operation->kind] ? of_kind[operation->kind] : emit_simple)(m, id, operation);
}

/* ---- The loop ------------------------------------------------------------------------------------------------ */

static void *constants_of(ad__machine *m)
{
    for (size_t i = 0; i < m->n_order; i++)
        if (ad__operation_of(m, m->order[i])->kind == AD_ELEMENT_CONSTANT)
            m->value[m->order[i]].constant = (int32_t)m->n_constants++;
    void *constants = ad_alloc(m->n_constants + 1, m->scalar_bytes);
    const size_t copies = m->scalar_bytes / m->element_bytes;
    for (size_t i = 0; i < m->n_order && constants; i++) {
        const ad__element id = m->order[i];
        for (size_t c = 0; c < copies && ad__operation_of(m, id)->kind == AD_ELEMENT_CONSTANT; c++)
            ad_set_element(m->list->dtype, constants, (size_t)m->value[id].constant * copies + c,
                           ad__operation_of(m, id)->number);
    }
    return constants;
}

static bool calls(const ad__machine *m)
{
    for (size_t i = 0; i < m->n_order; i++)
        if (ad__operation_of(m, m->order[i])->kind == AD_ELEMENT_CALL) return true;
    return false;
}

static size_t round_up(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static void assemble(ad__machine *m, size_t n_scalars, size_t n_sums, bool turns)
{
    for (size_t i = 0; i < m->list->count; i++) m->value[i].reg = m->value[i].slot = AD_NONE;
    for (int reg = 0; reg < AD_MOST_REGISTERS; reg++) m->held[reg] = AD_NONE;
    m->keeps_pointers = m->n_loads <= AD_KEPT_POINTERS && !calls(m);
    m->scalars = n_sums * m->vector_bytes;
    m->spills = round_up(m->scalars + n_scalars * m->scalar_bytes);
    const size_t turn = ad__assemble_entry(m->out);
    if (turns) ad__assemble(m->out, AD_VECTOR_XOR, 0, 0, ad__vector_register(0), 0);
    for (size_t i = 0; i < n_sums && turns; i++)
        ad__assemble(m->out, AD_VECTOR_STORE, 0, 0, ad__at_base(R13, i * m->vector_bytes), 0);
    for (size_t i = 0; i < n_scalars; i++)
        ad__assemble_gather(m->out, m->n_loads + i, m->scalars + i * m->scalar_bytes);
    for (size_t i = 0; i < m->n_loads && m->keeps_pointers; i++) ad__assemble_pointer(m->out, ad__free_general[i], i);
    const size_t body = ad__assemble_loop(m->out);
    for (size_t i = 0; i < m->n_order; i++) emit(m, m->order[i]);
    ad__assemble_end(m->out, turn, body, m->vectors * m->vector_bytes, m->n_loads + n_scalars, m->scalars);
}

static bool assemble_list(ad__assembler *to, const ad__elements *list, size_t vectors, size_t n_loads, size_t n_scalars,
                          size_t n_sums, bool rows, bool turns, void **constants, ad__loop_frame *frame)
{
    size_t operands = list->count + 1;
    for (size_t i = 0; i < list->count; i++) operands += (size_t)list->operation[i].n_in;
    ad__machine m = {.out = to,
                     .list = list,
                     .vectors = vectors,
                     .value = ad_alloc(list->count, sizeof *m.value),
                     .order = ad_alloc(list->count, sizeof *m.order),
                     .use = ad_alloc(operands, sizeof *m.use),
                     .free_slot = ad_alloc(list->count + 1, sizeof *m.free_slot),
                     .registers = to->evex ? 32 : 16,
                     .n_loads = n_loads,
                     .vector_bytes = to->evex ? 64 : 32,
                     .element_bytes = ad_dtype_size(list->dtype),
                     .scalar_bytes = to->evex ? ad_dtype_size(list->dtype) : 32,
                     .rows = rows};
    bool *done = ad_alloc(list->count, sizeof *done);
    ad__element *stack = ad_alloc(operands, sizeof *stack);
    if (m.value && m.order && m.use && m.free_slot && done && stack) {
        find_order(&m, done, stack);
        ad__find_uses(&m);
        *constants = constants_of(&m);
        if (*constants) assemble(&m, n_scalars, n_sums, turns);
        *frame = (ad__loop_frame){.length = m.vector_bytes / m.element_bytes,
                                  .element_bytes = m.element_bytes,
                                  .scalars = m.scalars,
                                  .spills = m.spills,
                                  .bytes = m.spills + m.n_slot * m.vector_bytes,
                                  .constants_bytes = m.n_constants * m.scalar_bytes,
                                  .set_aside = m.n_slot,
                                  .operations = m.n_order};
    }
    ad_free(stack);
    ad_free(done);
    ad_free(m.free_slot);
    ad_free(m.use);
    ad_free(m.order);
    ad_free(m.value);
    return *constants != NULL;
}

bool ad__assemble_elements(ad__assembler *to, const ad__elements *list, size_t n_loads, size_t n_scalars, size_t n_sums,
                           bool rows, bool turns, void **constants, ad__loop_frame *frame)
{
    enum { QUANTUM = 16, MOST = 2 }; /* rows come in multiples of that; vectors of them at once */
    to->evex = ad__isa_of_cpu() == AD_ISA_avx512;
    const size_t length = (to->evex ? 64 : 32) / ad_dtype_size(list->dtype);
    const size_t vectors = rows && QUANTUM / length >= MOST && list->count <= INT32_MAX / MOST ? MOST : 1;
    to->f64 = list->dtype == AD_F64;
    *constants = NULL;
    ad__elements several;
    const bool good = interleave(list, vectors, &several) &&
                      assemble_list(to, &several, vectors, n_loads, n_scalars, n_sums, rows, turns, constants, frame);
    ad_free(several.operation);
    return good && !to->failed;
}
