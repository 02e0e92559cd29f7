/* From elements to machine code: in which order, in which registers.
 *
 * The order is that in which results are asked for, each operation right before the first that needs it. Registers are
 * given as Belady (1966) keeps pages: where none is free, the number that is needed last makes room. What came from
 * memory is read again when it is needed; what was computed is put aside once. */
#include "base/cpu.h"
#include "plan/machine.h"

#include <weir/memory.h>

#include <string.h>

enum { NONE = -1, NEVER = INT32_MAX, MOST_REGISTERS = 32, KEPT_POINTERS = 9 };

/* General registers that nothing else uses, where no function is called. */
static const int free_general[KEPT_POINTERS] = {RCX, RDX, RSI, RDI, R8, R9, R10, R11, R15};

typedef struct {
    int32_t reg, slot;   /* where it is kept: a register, a place in memory; or NONE */
    int32_t constant;    /* its number */
    size_t use, end_use; /* of machine.use: those that are to come */
} value;

typedef struct {
    ad__assembler *out;
    const ad__elements *list;
    value *value;
    int32_t *order, *use; /* positions in the order at which values are needed */
    size_t n_order;
    ad__element held[MOST_REGISTERS]; /* what a register holds, or NONE */
    int registers;
    uint32_t locked; /* registers of the operation at hand */
    int32_t *free_slot;
    size_t n_free_slot, n_slot;
    int32_t freed[4]; /* slots, by the operation at hand */
    size_t n_freed;
    size_t vectors; /* of rows, that a round of the loop takes */
    size_t n_constants, n_loads, vector_bytes, element_bytes, scalars, spills;
    size_t scalar_bytes; /* of a scalar or a constant in memory: by VEX all of a vector is the same number */
    bool rows, keeps_pointers;
} machine;

size_t ad__vector_length(ad_dtype dtype)
{
    return (ad__isa_of_cpu() == AD_ISA_avx512 ? 64 : 32) / ad_dtype_size(dtype);
}

static const ad__element_operation *operation_of(const machine *m, ad__element id)
{
    return &m->list->operation[id];
}

/* ---- Order --------------------------------------------------------------------------------------------------- */

static bool is_same(ad__element_kind kind)
{
    return kind == AD_ELEMENT_SCALAR || kind == AD_ELEMENT_CONSTANT;
}

static bool is_wanted(ad__element_kind kind)
{
    return kind == AD_ELEMENT_STORE || kind == AD_ELEMENT_SUM_ROWS;
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
static void find_order(machine *m, bool *done, ad__element *stack)
{
    const size_t vectors = m->vectors;
    for (size_t i = 0; i < m->list->count; i += vectors) { /* as for the first vector */
        if (!is_wanted(m->list->operation[i].kind) && !m->list->operation[i].at_once) continue;
        size_t depth = 0;
        stack[depth++] = (ad__element)i;
        while (depth > 0) {
            const ad__element top = stack[depth - 1];
            const ad__element_operation *operation = operation_of(m, top);
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

/* Where each value is used, in order; those of a value lie together. */
static void find_uses(machine *m)
{
    size_t total = 0;
    for (size_t i = 0; i < m->n_order; i++) {
        const ad__element_operation *operation = operation_of(m, m->order[i]);
        for (int j = 0; j < operation->n_in; j++) m->value[operation->in[j]].end_use++;
    }
    for (size_t i = 0; i < m->list->count; i++) {
        value *v = &m->value[i];
        const size_t count = v->end_use;
        v->use = v->end_use = total;
        total += count;
    }
    for (size_t i = 0; i < m->n_order; i++) {
        const ad__element_operation *operation = operation_of(m, m->order[i]);
        for (int j = 0; j < operation->n_in; j++) m->use[m->value[operation->in[j]].end_use++] = (int32_t)i;
    }
}

static int32_t next_use(const machine *m, ad__element id)
{
    const value *v = &m->value[id];
    return v->use < v->end_use ? m->use[v->use] : NEVER;
}

/* ---- Registers ----------------------------------------------------------------------------------------------- */

/* May it be read from where it came from, again and again? */
static bool has_source(const machine *m, ad__element id)
{
    const ad__element_operation *operation = operation_of(m, id);
    return operation->kind == AD_ELEMENT_SCALAR || operation->kind == AD_ELEMENT_CONSTANT ||
           (operation->kind == AD_ELEMENT_LOAD && !operation->at_once);
}

static ad__location slot_at(const machine *m, int32_t slot)
{
    return ad__at_base(R13, m->spills + (size_t)slot * m->vector_bytes);
}

static ad__location row_at(const machine *m, size_t pointer, size_t vector)
{
    int reg = RAX;
    if (m->keeps_pointers)
        reg = free_general[pointer];
    else
        ad__assemble_pointer(m->out, RAX, pointer);
    ad__location at = ad__at_base(reg, vector * m->vector_bytes);
    at.index = RBP;
    return at;
}

/* Where a value that is in no register is, as an operand; one number that is to be broadcast, or a vector. */
static ad__location memory_of(const machine *m, ad__element id)
{
    const ad__element_operation *operation = operation_of(m, id);
    const value *v = &m->value[id];
    if (v->slot != NONE) return slot_at(m, v->slot);
    if (operation->kind == AD_ELEMENT_LOAD) return row_at(m, operation->at, operation->vector);
    ad__location at = operation->kind == AD_ELEMENT_CONSTANT
                          ? ad__at_base(R14, (size_t)v->constant * m->scalar_bytes)
                          : ad__at_base(R13, m->scalars + (operation->at - m->n_loads) * m->scalar_bytes);
    at.broadcast = m->out->evex;
    return at;
}

static void store_aside(machine *m, ad__element id)
{
    value *v = &m->value[id];
    if (v->slot != NONE || has_source(m, id)) return;
    v->slot = m->n_free_slot ? m->free_slot[--m->n_free_slot] : (int32_t)m->n_slot++;
    ad__assemble(m->out, AD_VECTOR_STORE, v->reg, 0, slot_at(m, v->slot), 0);
}

static void leave_register(machine *m, ad__element id)
{
    m->held[m->value[id].reg] = NONE;
    m->value[id].reg = NONE;
}

/* A register for something new. */
static int take_register(machine *m)
{
    int best = NONE;
    int32_t farthest = -1;
    for (int reg = 0; reg < m->registers; reg++) {
        if (m->locked >> reg & 1) continue;
        if (m->held[reg] == NONE) {
            best = reg;
            break;
        }
        const int32_t use = next_use(m, m->held[reg]);
        if (use <= farthest) continue;
        farthest = use;
        best = reg;
    }
    if (m->held[best] != NONE) {
        store_aside(m, m->held[best]);
        leave_register(m, m->held[best]);
    }
    m->locked |= (uint32_t)1 << best;
    return best;
}

static void keep(machine *m, ad__element id, int reg)
{
    m->held[reg] = id;
    m->value[id].reg = reg;
}

static void fetch_into(machine *m, ad__element id, int reg)
{
    ad__location from = memory_of(m, id);
    const ad__vector_instruction how = from.broadcast ? AD_VECTOR_BROADCAST : AD_VECTOR_LOAD;
    from.broadcast = false;
    ad__assemble(m->out, how, reg, 0, from, 0);
}

/* The register that holds a value, which is fetched if it must be. */
static int fetch(machine *m, ad__element id)
{
    if (m->value[id].reg == NONE) {
        const int reg = take_register(m);
        fetch_into(m, id, reg);
        keep(m, id, reg);
    }
    m->locked |= (uint32_t)1 << m->value[id].reg;
    return m->value[id].reg;
}

/* After the operation at hand used its arguments: free what nothing else needs. */
static void let_go(machine *m, const ad__element_operation *operation)
{
    for (int j = 0; j < operation->n_in; j++) m->value[operation->in[j]].use++;
    for (int j = 0; j < operation->n_in; j++) {
        value *v = &m->value[operation->in[j]];
        if (v->use < v->end_use) continue;
        if (v->reg != NONE) {
            m->locked &= ~((uint32_t)1 << v->reg);
            leave_register(m, operation->in[j]);
        }
        if (v->slot != NONE) m->freed[m->n_freed++] = v->slot; /* the operation may yet read it there */
        v->slot = NONE;
    }
}

/* The last operand: from memory where it is needed just here. */
static ad__location last_operand(machine *m, ad__element id)
{
    const value *v = &m->value[id];
    const bool only_here = v->use + 1 == v->end_use;
    if (v->reg == NONE && only_here) return memory_of(m, id);
    return ad__vector_register(fetch(m, id));
}

/* ---- Operations ---------------------------------------------------------------------------------------------- */

static const ad__vector_instruction simple[AD_ELEMENT_KINDS] = {
    [AD_ELEMENT_ADD] = AD_VECTOR_ADD,   [AD_ELEMENT_SUB] = AD_VECTOR_SUB,
    [AD_ELEMENT_MUL] = AD_VECTOR_MUL,   [AD_ELEMENT_DIV] = AD_VECTOR_DIV,
    [AD_ELEMENT_MAX] = AD_VECTOR_MAX,   [AD_ELEMENT_MIN] = AD_VECTOR_MIN,
    [AD_ELEMENT_AND] = AD_VECTOR_AND,   [AD_ELEMENT_ANDNOT] = AD_VECTOR_ANDNOT,
    [AD_ELEMENT_OR] = AD_VECTOR_OR,     [AD_ELEMENT_XOR] = AD_VECTOR_XOR,
    [AD_ELEMENT_SQRT] = AD_VECTOR_SQRT, [AD_ELEMENT_FLOOR] = AD_VECTOR_ROUND,
    [AD_ELEMENT_LOW] = AD_VECTOR_WIDEN, [AD_ELEMENT_ADD_WIDE] = AD_VECTOR_ADD_DOUBLES,
};

static bool commutes(ad__element_kind kind)
{
    return kind == AD_ELEMENT_ADD || kind == AD_ELEMENT_MUL;
}

static void emit_simple(machine *m, ad__element id, const ad__element_operation *operation)
{
    enum { DOWN_QUIETLY = 9 };
    ad__element a = operation->in[0], b = operation->in[operation->n_in - 1];
    if (commutes(operation->kind) && m->value[a].reg == NONE && m->value[b].reg != NONE) {
        a = operation->in[1];
        b = operation->in[0];
    }
    const int first = operation->n_in > 1 ? fetch(m, a) : 0;
    const ad__location second =
        operation->kind == AD_ELEMENT_LOW ? ad__vector_register(fetch(m, b)) : last_operand(m, b);
    let_go(m, operation);
    const int to = take_register(m);
    ad__assemble(m->out, simple[operation->kind], to, first, second, DOWN_QUIETLY);
    keep(m, id, to);
}

/* Is this the last use of a register's value, by an operation that has it but once? */
static bool ends_here(const machine *m, const ad__element_operation *operation, int j)
{
    const value *v = &m->value[operation->in[j]];
    return v->reg != NONE && v->use + 1 == v->end_use;
}

/* In the register of an argument that nothing else needs, where there is one. */
static void emit_fma(machine *m, ad__element id, const ad__element_operation *operation)
{
    const int a = fetch(m, operation->in[0]), b = fetch(m, operation->in[1]);
    int to;
    if (ends_here(m, operation, 2)) {
        to = m->value[operation->in[2]].reg;
        ad__assemble(m->out, AD_VECTOR_FMA_INTO, to, a, ad__vector_register(b), 0);
    } else {
        const ad__location c = last_operand(m, operation->in[2]);
        const bool a_ends = ends_here(m, operation, 0), b_ends = ends_here(m, operation, 1);
        to = a_ends ? a : b_ends ? b : take_register(m);
        if (!a_ends && !b_ends) ad__assemble(m->out, AD_VECTOR_MOVE, to, 0, ad__vector_register(a), 0);
        ad__assemble(m->out, AD_VECTOR_FMA, to, b_ends && !a_ends ? a : b, c, 0);
    }
    let_go(m, operation);
    keep(m, id, to);
}

static void emit_choose(machine *m, ad__element id, const ad__element_operation *operation)
{
    /* All of them are quiet, whatever a NaN. */
    static const int immediate[] = {
        [AD_EQUAL] = 0x00,   [AD_UNEQUAL] = 0x04,       [AD_LESS] = 0x11,     [AD_LESS_EQUAL] = 0x12,
        [AD_GREATER] = 0x1E, [AD_GREATER_EQUAL] = 0x1D, [AD_UNORDERED] = 0x03};
    const int a = fetch(m, operation->in[0]);
    const ad__location b = ad__vector_register(fetch(m, operation->in[1]));
    const int code = immediate[operation->comparison];
    const int x = fetch(m, operation->in[2]), y = fetch(m, operation->in[3]);
    if (m->out->evex) {
        ad__assemble(m->out, AD_VECTOR_COMPARE, 1, a, b, code);
        let_go(m, operation);
        const int to = take_register(m);
        ad__assemble(m->out, AD_VECTOR_SELECT, to, y, ad__vector_register(x), 0);
        keep(m, id, to);
        return;
    }
    const int mask = take_register(m);
    ad__assemble(m->out, AD_VECTOR_COMPARE, mask, a, b, code);
    ad__assemble(m->out, AD_VECTOR_BLEND, mask, y, ad__vector_register(x), mask << 4);
    let_go(m, operation);
    keep(m, id, mask);
}

/* A function keeps no vector register. */
static void emit_call(machine *m, ad__element id, const ad__element_operation *operation)
{
    const ad__element argument = operation->in[0];
    for (int reg = 0; reg < m->registers; reg++) {
        const ad__element held = m->held[reg];
        const bool goes_on = held != NONE && (held != argument || m->value[held].use + 1 < m->value[held].end_use);
        if (goes_on) store_aside(m, held);
    }
    if (m->value[argument].reg == NONE)
        fetch_into(m, argument, 0);
    else if (m->value[argument].reg != 0)
        ad__assemble(m->out, AD_VECTOR_MOVE, 0, 0, ad__vector_register(m->value[argument].reg), 0);
    let_go(m, operation);
    for (int reg = 0; reg < m->registers; reg++)
        if (m->held[reg] != NONE) leave_register(m, m->held[reg]);
    ad__assemble_call(m->out, operation->function);
    keep(m, id, 0);
}

static void emit_power_of_two(machine *m, ad__element id, const ad__element_operation *operation)
{
    const int a = fetch(m, operation->in[0]), one = fetch(m, operation->in[1]), to = take_register(m);
    ad__assemble(m->out, AD_VECTOR_SHIFT_LEFT, to, 0, ad__vector_register(a), 23);
    ad__assemble(m->out, AD_VECTOR_ADD_INTEGERS, to, to, ad__vector_register(one), 0);
    let_go(m, operation);
    keep(m, id, to);
}

static void emit_high(machine *m, ad__element id, const ad__element_operation *operation)
{
    const int a = fetch(m, operation->in[0]);
    let_go(m, operation);
    const int to = take_register(m);
    ad__assemble(m->out, AD_VECTOR_EXTRACT, a, 0, ad__vector_register(to), 1);
    ad__assemble(m->out, AD_VECTOR_WIDEN, to, 0, ad__vector_register(to), 0);
    keep(m, id, to);
}

static void emit_narrow(machine *m, ad__element id, const ad__element_operation *operation)
{
    const int low = fetch(m, operation->in[0]), high = fetch(m, operation->in[1]);
    const int to = take_register(m), other = take_register(m);
    ad__assemble(m->out, AD_VECTOR_NARROW, to, 0, ad__vector_register(low), 0);
    ad__assemble(m->out, AD_VECTOR_NARROW, other, 0, ad__vector_register(high), 0);
    ad__assemble(m->out, AD_VECTOR_INSERT, to, to, ad__vector_register(other), 1);
    let_go(m, operation);
    keep(m, id, to);
}

static void emit_store(machine *m, const ad__element_operation *operation)
{
    const int a = fetch(m, operation->in[0]);
    ad__location at = row_at(m, operation->at, operation->vector);
    if (!m->rows) at.index = -1;
    ad__assemble(m->out, m->rows ? AD_VECTOR_STORE : AD_VECTOR_STORE_ONE, a, 0, at, 0);
    let_go(m, operation);
}

static void emit_sum(machine *m, const ad__element_operation *operation)
{
    const int a = fetch(m, operation->in[0]);
    const ad__location sum = ad__at_base(R13, operation->at * m->vector_bytes);
    let_go(m, operation);
    const int to = take_register(m);
    ad__assemble(m->out, AD_VECTOR_ADD_DOUBLES, to, a, sum, 0);
    ad__assemble(m->out, AD_VECTOR_STORE_DOUBLES, to, 0, sum, 0);
}

static void emit(machine *m, ad__element id)
{
    const ad__element_operation *operation = operation_of(m, id);
    m->locked = 0;
    while (m->n_freed > 0) m->free_slot[m->n_free_slot++] = m->freed[--m->n_freed];
    switch (operation->kind) {
    case AD_ELEMENT_LOAD:
        if (operation->at_once) fetch(m, id);
        return;
    case AD_ELEMENT_SCALAR:
    case AD_ELEMENT_CONSTANT: /* when they are needed */
        return;
    case AD_ELEMENT_FMA:
        emit_fma(m, id, operation);
        return;
    case AD_ELEMENT_CHOOSE:
        emit_choose(m, id, operation);
        return;
    case AD_ELEMENT_CALL:
        emit_call(m, id, operation);
        return;
    case AD_ELEMENT_POWER_OF_TWO:
        emit_power_of_two(m, id, operation);
        return;
    case AD_ELEMENT_HIGH:
        emit_high(m, id, operation);
        return;
    case AD_ELEMENT_NARROW:
        emit_narrow(m, id, operation);
        return;
    case AD_ELEMENT_STORE:
        emit_store(m, operation);
        return;
    case AD_ELEMENT_SUM_ROWS:
        emit_sum(m, operation);
        return;
    default:
        emit_simple(m, id, operation);
    }
}

/* ---- The loop ------------------------------------------------------------------------------------------------ */

static void *constants_of(machine *m)
{
    for (size_t i = 0; i < m->n_order; i++)
        if (operation_of(m, m->order[i])->kind == AD_ELEMENT_CONSTANT)
            m->value[m->order[i]].constant = (int32_t)m->n_constants++;
    void *constants = ad_alloc(m->n_constants + 1, m->scalar_bytes);
    const size_t copies = m->scalar_bytes / m->element_bytes;
    for (size_t i = 0; i < m->n_order && constants; i++) {
        const ad__element id = m->order[i];
        for (size_t c = 0; c < copies && operation_of(m, id)->kind == AD_ELEMENT_CONSTANT; c++)
            ad_set_element(m->list->dtype, constants, (size_t)m->value[id].constant * copies + c,
                           operation_of(m, id)->number);
    }
    return constants;
}

static bool calls(const machine *m)
{
    for (size_t i = 0; i < m->n_order; i++)
        if (operation_of(m, m->order[i])->kind == AD_ELEMENT_CALL) return true;
    return false;
}

static size_t round_up(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static void assemble(machine *m, size_t n_scalars, size_t n_sums)
{
    for (size_t i = 0; i < m->list->count; i++) m->value[i].reg = m->value[i].slot = NONE;
    for (int reg = 0; reg < MOST_REGISTERS; reg++) m->held[reg] = NONE;
    m->keeps_pointers = m->n_loads <= KEPT_POINTERS && !calls(m);
    m->scalars = n_sums * m->vector_bytes;
    m->spills = round_up(m->scalars + n_scalars * m->scalar_bytes);
    ad__assemble_entry(m->out);
    for (size_t i = 0; i < n_scalars; i++)
        ad__assemble_gather(m->out, m->n_loads + i, m->scalars + i * m->scalar_bytes);
    for (size_t i = 0; i < m->n_loads && m->keeps_pointers; i++) ad__assemble_pointer(m->out, free_general[i], i);
    const size_t body = ad__assemble_loop(m->out);
    for (size_t i = 0; i < m->n_order; i++) emit(m, m->order[i]);
    ad__assemble_end(m->out, body, m->vectors * m->vector_bytes);
}

static bool assemble_list(ad__assembler *to, const ad__elements *list, size_t vectors, size_t n_loads, size_t n_scalars,
                          size_t n_sums, bool rows, void **constants, ad__loop_frame *frame)
{
    size_t operands = list->count + 1;
    for (size_t i = 0; i < list->count; i++) operands += (size_t)list->operation[i].n_in;
    machine m = {.out = to,
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
        find_uses(&m);
        *constants = constants_of(&m);
        if (*constants) assemble(&m, n_scalars, n_sums);
        *frame = (ad__loop_frame){.scalars = m.scalars,
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
                           bool rows, void **constants, ad__loop_frame *frame)
{
    enum { QUANTUM = 16, MOST = 2 }; /* rows come in multiples of that; vectors of them at once */
    const size_t length = ad__vector_length(list->dtype);
    const size_t vectors = rows && QUANTUM / length >= MOST && list->count <= INT32_MAX / MOST ? MOST : 1;
    to->evex = ad__isa_of_cpu() == AD_ISA_avx512;
    to->f64 = list->dtype == AD_F64;
    *constants = NULL;
    ad__elements several;
    const bool good = interleave(list, vectors, &several) &&
                      assemble_list(to, &several, vectors, n_loads, n_scalars, n_sums, rows, constants, frame);
    ad_free(several.operation);
    return good && !to->failed;
}
