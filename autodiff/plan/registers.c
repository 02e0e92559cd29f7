#include "plan/registers.h"

enum { NEVER = INT32_MAX };

const int ad__free_general[AD_KEPT_POINTERS] = {RCX, RDX, RSI, RDI, R8, R9, R10, R11, R15};

/* Where each value is used, in order; those of a value lie together. */
void ad__find_uses(ad__machine *m)
{
    size_t total = 0;
    for (size_t i = 0; i < m->n_order; i++) {
        const ad__element_operation *operation = ad__operation_of(m, m->order[i]);
        for (int j = 0; j < operation->n_in; j++) m->value[operation->in[j]].end_use++;
    }
    for (size_t i = 0; i < m->list->count; i++) {
        ad__value *v = &m->value[i];
        const size_t count = v->end_use;
        v->use = v->end_use = total;
        total += count;
    }
    for (size_t i = 0; i < m->n_order; i++) {
        const ad__element_operation *operation = ad__operation_of(m, m->order[i]);
        for (int j = 0; j < operation->n_in; j++) m->use[m->value[operation->in[j]].end_use++] = (int32_t)i;
    }
}

static int32_t next_use(const ad__machine *m, ad__element id)
{
    const ad__value *v = &m->value[id];
    return v->use < v->end_use ? m->use[v->use] : NEVER;
}

/* ---- Registers ----------------------------------------------------------------------------------------------- */

/* May it be read from where it came from, again and again? */
static bool has_source(const ad__machine *m, ad__element id)
{
    const ad__element_operation *operation = ad__operation_of(m, id);
    return operation->kind == AD_ELEMENT_SCALAR || operation->kind == AD_ELEMENT_CONSTANT ||
           (operation->kind == AD_ELEMENT_LOAD && !operation->at_once);
}

static ad__location slot_at(const ad__machine *m, int32_t slot)
{
    return ad__at_base(R13, m->spills + (size_t)slot * m->vector_bytes);
}

ad__location ad__row_at(const ad__machine *m, size_t pointer, size_t vector)
{
    int reg = RAX;
    if (m->keeps_pointers)
        reg = ad__free_general[pointer];
    else
        ad__assemble_pointer(m->out, RAX, pointer);
    ad__location at = ad__at_base(reg, vector * m->vector_bytes);
    at.index = RBP;
    return at;
}

/* Where a value that is in no register is, as an operand; one number that is to be broadcast, or a vector. */
static ad__location memory_of(const ad__machine *m, ad__element id)
{
    const ad__element_operation *operation = ad__operation_of(m, id);
    const ad__value *v = &m->value[id];
    if (v->slot != AD_NONE) return slot_at(m, v->slot);
    if (operation->kind == AD_ELEMENT_LOAD) return ad__row_at(m, operation->at, operation->vector);
    ad__location at = operation->kind == AD_ELEMENT_CONSTANT
                          ? ad__at_base(R14, (size_t)v->constant * m->scalar_bytes)
                          : ad__at_base(R13, m->scalars + (operation->at - m->n_loads) * m->scalar_bytes);
    at.broadcast = m->out->evex;
    return at;
}

void ad__store_aside(ad__machine *m, ad__element id)
{
    ad__value *v = &m->value[id];
    if (v->slot != AD_NONE || has_source(m, id)) return;
    v->slot = m->n_free_slot ? m->free_slot[--m->n_free_slot] : (int32_t)m->n_slot++;
    ad__assemble(m->out, AD_VECTOR_STORE, v->reg, 0, slot_at(m, v->slot), 0);
}

void ad__leave_register(ad__machine *m, ad__element id)
{
    m->held[m->value[id].reg] = AD_NONE;
    m->value[id].reg = AD_NONE;
}

int ad__take_register(ad__machine *m)
{
    int best = AD_NONE;
    int32_t farthest = -1;
    for (int reg = 0; reg < m->registers; reg++) {
        if (m->locked >> reg & 1) continue;
        if (m->held[reg] == AD_NONE) {
            best = reg;
            break;
        }
        const int32_t use = next_use(m, m->held[reg]);
        if (use <= farthest) continue;
        farthest = use;
        best = reg;
    }
    if (m->held[best] != AD_NONE) {
        ad__store_aside(m, m->held[best]);
        ad__leave_register(m, m->held[best]);
    }
    m->locked |= (uint32_t)1 << best;
    return best;
}

void ad__hold(ad__machine *m, ad__element id, int reg)
{
    m->held[reg] = id;
    m->value[id].reg = reg;
}

void ad__fetch_into(const ad__machine *m, ad__element id, int reg)
{
    ad__location from = memory_of(m, id);
    const ad__vector_instruction how = from.broadcast ? AD_VECTOR_BROADCAST : AD_VECTOR_LOAD;
    from.broadcast = false;
    ad__assemble(m->out, how, reg, 0, from, 0);
}

int ad__fetch(ad__machine *m, ad__element id)
{
    if (m->value[id].reg == AD_NONE) {
        const int reg = ad__take_register(m);
        ad__fetch_into(m, id, reg);
        ad__hold(m, id, reg);
    }
    m->locked |= (uint32_t)1 << m->value[id].reg;
    return m->value[id].reg;
}

void ad__let_go(ad__machine *m, const ad__element_operation *operation)
{
    for (int j = 0; j < operation->n_in; j++) m->value[operation->in[j]].use++;
    for (int j = 0; j < operation->n_in; j++) {
        ad__value *v = &m->value[operation->in[j]];
        if (v->use < v->end_use) continue;
        if (v->reg != AD_NONE) {
            m->locked &= ~((uint32_t)1 << v->reg);
            ad__leave_register(m, operation->in[j]);
        }
        if (v->slot != AD_NONE) m->freed[m->n_freed++] = v->slot; /* the operation may yet read it there */
        v->slot = AD_NONE;
    }
}

ad__location ad__last_operand(ad__machine *m, ad__element id)
{
    const ad__value *v = &m->value[id];
    const bool only_here = v->use + 1 == v->end_use;
    if (v->reg == AD_NONE && only_here) return memory_of(m, id);
    return ad__vector_register(ad__fetch(m, id));
}
