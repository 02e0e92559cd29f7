/* Encoding of instructions. */
#include "base/assembler.h"

#include <weir/memory.h>

#include <string.h>

static void bytes(ad__assembler *to, const void *data, size_t count)
{
    if (to->size + count > to->capacity) {
        const size_t capacity = to->capacity ? 2 * to->capacity + count : 4096;
        uint8_t *grown = ad_realloc(to->code, capacity, 1);
        if (!grown) {
            to->failed = true;
            return;
        }
        to->code = grown;
        to->capacity = capacity;
    }
    memcpy(to->code + to->size, data, count);
    to->size += count;
}

#define EMIT(to, ...) bytes(to, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void emit_32(ad__assembler *to, size_t number)
{
    const int32_t four = (int32_t)number;
    bytes(to, &four, sizeof four);
}

/* ---- Vector instructions ------------------------------------------------------------------------------------- */

/* Of the opcode's prefix: none, 66, F3, F2; and which one it is by the dtype. */
enum { PREFIX_NONE, PREFIX_66, PREFIX_F3, PREFIX_F2, BY_DTYPE, ONE_BY_DTYPE };
/* Its W bit in EVEX: by the dtype too. */
enum { W0, W1, W_BY_DTYPE };
/* The bytes of memory that it takes: a vector, half of one, one number. */
enum { WHOLE, HALF, ONE };

static const struct {
    uint8_t prefix, map, opcode, opcode_f64, w; /* map: 1 for 0F, 2 for 0F 38, 3 for 0F 3A */
    uint8_t memory, extension;                  /* extension: of the opcode, where there is no `to` */
    bool immediate, one_operand;
} table[AD_VECTOR_INSTRUCTIONS] = {
    [AD_VECTOR_ADD] = {BY_DTYPE, 1, 0x58, 0x58, W_BY_DTYPE},
    [AD_VECTOR_SUB] = {BY_DTYPE, 1, 0x5C, 0x5C, W_BY_DTYPE},
    [AD_VECTOR_MUL] = {BY_DTYPE, 1, 0x59, 0x59, W_BY_DTYPE},
    [AD_VECTOR_DIV] = {BY_DTYPE, 1, 0x5E, 0x5E, W_BY_DTYPE},
    [AD_VECTOR_MAX] = {BY_DTYPE, 1, 0x5F, 0x5F, W_BY_DTYPE},
    [AD_VECTOR_MIN] = {BY_DTYPE, 1, 0x5D, 0x5D, W_BY_DTYPE},
    [AD_VECTOR_AND] = {BY_DTYPE, 1, 0x54, 0x54, W_BY_DTYPE},
    [AD_VECTOR_ANDNOT] = {BY_DTYPE, 1, 0x55, 0x55, W_BY_DTYPE},
    [AD_VECTOR_OR] = {BY_DTYPE, 1, 0x56, 0x56, W_BY_DTYPE},
    [AD_VECTOR_XOR] = {BY_DTYPE, 1, 0x57, 0x57, W_BY_DTYPE},
    [AD_VECTOR_FMA] = {PREFIX_66, 2, 0xA8, 0xA8, W_BY_DTYPE},
    [AD_VECTOR_FMA_INTO] = {PREFIX_66, 2, 0xB8, 0xB8, W_BY_DTYPE},
    [AD_VECTOR_SQRT] = {BY_DTYPE, 1, 0x51, 0x51, W_BY_DTYPE, .one_operand = true},
    [AD_VECTOR_ROUND] = {PREFIX_66, 3, 0x08, 0x09, W_BY_DTYPE, .immediate = true, .one_operand = true},
    [AD_VECTOR_COMPARE] = {BY_DTYPE, 1, 0xC2, 0xC2, W_BY_DTYPE, .immediate = true},
    [AD_VECTOR_SELECT] = {PREFIX_66, 2, 0x65, 0x65, W_BY_DTYPE},
    [AD_VECTOR_BLEND] = {PREFIX_66, 3, 0x4A, 0x4B, W0, .immediate = true},
    [AD_VECTOR_LOAD] = {BY_DTYPE, 1, 0x10, 0x10, W_BY_DTYPE, .one_operand = true},
    [AD_VECTOR_STORE] = {BY_DTYPE, 1, 0x11, 0x11, W_BY_DTYPE, .one_operand = true},
    [AD_VECTOR_MOVE] = {PREFIX_NONE, 1, 0x28, 0x28, W0, .one_operand = true},
    [AD_VECTOR_BROADCAST] = {PREFIX_66, 2, 0x18, 0x19, W_BY_DTYPE, ONE, .one_operand = true},
    [AD_VECTOR_STORE_ONE] = {ONE_BY_DTYPE, 1, 0x11, 0x11, W_BY_DTYPE, ONE, .one_operand = true},
    [AD_VECTOR_SHIFT_LEFT] = {PREFIX_66, 1, 0x72, 0x72, W0, .extension = 6, .immediate = true},
    [AD_VECTOR_SHIFT_RIGHT] = {PREFIX_66, 1, 0x72, 0x72, W0, .extension = 4, .immediate = true},
    [AD_VECTOR_ADD_INTEGERS] = {PREFIX_66, 1, 0xFE, 0xFE, W0},
    [AD_VECTOR_SUB_INTEGERS] = {PREFIX_66, 1, 0xFA, 0xFA, W0},
    [AD_VECTOR_FROM_INTEGERS] = {PREFIX_NONE, 1, 0x5B, 0x5B, W0, .one_operand = true},
    [AD_VECTOR_WIDEN] = {PREFIX_NONE, 1, 0x5A, 0x5A, W0, HALF, .one_operand = true},
    [AD_VECTOR_NARROW] = {PREFIX_66, 1, 0x5A, 0x5A, W1, .one_operand = true},
    [AD_VECTOR_EXTRACT] = {PREFIX_66, 3, 0x19, 0x1B, W1, HALF, .immediate = true, .one_operand = true},
    [AD_VECTOR_INSERT] = {PREFIX_66, 3, 0x18, 0x1A, W1, HALF, .immediate = true},
    [AD_VECTOR_ADD_DOUBLES] = {PREFIX_66, 1, 0x58, 0x58, W1},
    [AD_VECTOR_LOAD_DOUBLES] = {PREFIX_66, 1, 0x10, 0x10, W1, .one_operand = true},
    [AD_VECTOR_STORE_DOUBLES] = {PREFIX_66, 1, 0x11, 0x11, W1, .one_operand = true},
};

/* ModRM, SIB and displacement; `unit`: of displacements of 8 bits, which EVEX counts in what is accessed. */
static void emit_location(ad__assembler *to, int reg, ad__location b, int32_t unit)
{
    const uint8_t field = (uint8_t)((reg & 7) << 3);
    if (!b.memory) {
        EMIT(to, (uint8_t)(0xC0 | field | (b.vector & 7)));
        return;
    }
    const int32_t units = b.displacement / unit;
    const bool is_short = b.displacement % unit == 0 && units >= -128 && units <= 127;
    const uint8_t mode = is_short ? 0x40 : 0x80;
    if (b.index >= 0 || (b.base & 7) == RSP) {
        const uint8_t index = (uint8_t)(b.index >= 0 ? b.index & 7 : RSP);
        EMIT(to, (uint8_t)(mode | field | RSP), (uint8_t)(index << 3 | (b.base & 7)));
    } else {
        EMIT(to, (uint8_t)(mode | field | (b.base & 7)));
    }
    if (is_short)
        EMIT(to, (uint8_t)units);
    else
        emit_32(to, (size_t)b.displacement);
}

void ad__assemble(ad__assembler *to_code, ad__vector_instruction instruction, int to, int a, ad__location b,
                  int immediate)
{
    ad__assembler *out = to_code;
    const bool wide = out->f64;
    uint8_t prefix = table[instruction].prefix;
    if (prefix == BY_DTYPE) prefix = wide ? PREFIX_66 : PREFIX_NONE;
    if (prefix == ONE_BY_DTYPE) prefix = wide ? PREFIX_F2 : PREFIX_F3;
    const bool w = table[instruction].w == W1 || (table[instruction].w == W_BY_DTYPE && wide);
    /* What extracts and inserts halves is told apart by EVEX, of which VEX has but one. */
    const bool second = instruction == AD_VECTOR_EXTRACT || instruction == AD_VECTOR_INSERT ? out->evex : wide;
    const uint8_t opcode = second ? table[instruction].opcode_f64 : table[instruction].opcode;
    const int reg = table[instruction].extension ? table[instruction].extension : to;
    const int second_operand = table[instruction].extension ? to : table[instruction].one_operand ? 0 : a;
    const int low = b.memory ? b.base : b.vector, high = b.memory ? (b.index < 0 ? 0 : b.index) : b.vector >> 1;
    const uint8_t r = (uint8_t)(~reg >> 3 & 1), x = (uint8_t)(~high >> 3 & 1), base = (uint8_t)(~low >> 3 & 1);
    const uint8_t v = (uint8_t)(~second_operand & 15), map = table[instruction].map;
    int32_t unit = 1;
    if (out->evex) {
        const uint8_t memory = table[instruction].memory;
        const bool one = memory == ONE;
        unit = b.broadcast || one ? (wide ? 8 : 4) : memory == HALF ? 32 : 64;
        const uint8_t mask = instruction == AD_VECTOR_SELECT ? 1 : 0;
        EMIT(out, 0x62, (uint8_t)(r << 7 | x << 6 | base << 5 | (~reg >> 4 & 1) << 4 | map),
             (uint8_t)(w << 7 | v << 3 | 4 | prefix),
             (uint8_t)(2 << 5 | b.broadcast << 4 | (~second_operand >> 4 & 1) << 3 | mask));
    } else {
        EMIT(out, 0xC4, (uint8_t)(r << 7 | x << 6 | base << 5 | map),
             (uint8_t)((w && (instruction == AD_VECTOR_FMA || instruction == AD_VECTOR_FMA_INTO)) << 7 | v << 3 | 4 |
                       prefix));
    }
    EMIT(out, opcode);
    emit_location(out, reg, b, unit);
    if (table[instruction].immediate) EMIT(out, (uint8_t)immediate);
}

/* ---- Around them --------------------------------------------------------------------------------------------- */

size_t ad__assemble_entry(ad__assembler *to)
{
    EMIT(to, 0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57); /* push rbx, rbp, r12 … r15 */
    EMIT(to, 0x48, 0x83, 0xEC, 0x18);                                     /* sub rsp, 24: calls find it aligned */
    EMIT(to, 0x4C, 0x89, 0x04, 0x24, 0x4C, 0x89, 0x4C, 0x24, 0x08);       /* mov [rsp], r8; mov [rsp + 8], r9 */
    EMIT(to, 0x48, 0x89, 0xFB, 0x49, 0x89, 0xF5);                         /* mov rbx, rdi; mov r13, rsi */
    EMIT(to, 0x49, 0x89, 0xD4, 0x49, 0x89, 0xCE);                         /* mov r12, rdx; mov r14, rcx */
    return to->size;
}

size_t ad__assemble_loop(ad__assembler *to)
{
    EMIT(to, 0x31, 0xED); /* xor ebp, ebp */
    return to->size;
}

/* To the next turn: by rax and rcx, which nothing needs between two of them. */
static void emit_next_turn(ad__assembler *to, size_t pointers, size_t sums)
{
    EMIT(to, 0x48, 0x8B, 0x44, 0x24, 0x08); /* mov rax, [rsp + 8] */
    for (size_t i = 0; i < pointers; i++) {
        EMIT(to, 0x48, 0x8B, 0x88); /* mov rcx, [rax + 8 i] */
        emit_32(to, 8 * i);
        EMIT(to, 0x48, 0x01, 0x8B); /* add [rbx + 8 i], rcx */
        emit_32(to, 8 * i);
    }
    EMIT(to, 0x49, 0x81, 0xC5); /* add r13, sums */
    emit_32(to, sums);
}

void ad__assemble_end(ad__assembler *to, size_t turn, size_t body, size_t step, size_t pointers, size_t sums)
{
    enum { NEXT_TURN = 5 + 7, EACH_POINTER = 14, JUMP = 5 };
    EMIT(to, 0x48, 0x81, 0xC5); /* add rbp, step */
    emit_32(to, step);
    EMIT(to, 0x4C, 0x39, 0xE5); /* cmp rbp, r12 */
    EMIT(to, 0x0F, 0x82);       /* jb body */
    emit_32(to, body - (to->size + 4));
    EMIT(to, 0x48, 0x83, 0x2C, 0x24, 0x01, 0x0F, 0x84); /* sub qword [rsp], 1; je behind the next turn */
    emit_32(to, NEXT_TURN + EACH_POINTER * pointers + JUMP);
    emit_next_turn(to, pointers, sums);
    EMIT(to, 0xE9); /* jmp turn */
    emit_32(to, turn - (to->size + 4));
    EMIT(to, 0xC5, 0xF8, 0x77);                                           /* vzeroupper */
    EMIT(to, 0x48, 0x83, 0xC4, 0x18);                                     /* add rsp, 24 */
    EMIT(to, 0x41, 0x5F, 0x41, 0x5E, 0x41, 0x5D, 0x41, 0x5C, 0x5D, 0x5B); /* pop r15 … r12, rbp, rbx */
    EMIT(to, 0xC3);                                                       /* ret */
}

void ad__assemble_pointer(ad__assembler *to, int reg, size_t i)
{
    EMIT(to, (uint8_t)(0x48 | (reg >> 3) << 2), 0x8B, (uint8_t)(0x80 | (reg & 7) << 3 | RBX));
    emit_32(to, 8 * i);
}

/* By VEX all of a vector. */
void ad__assemble_gather(ad__assembler *to, size_t i, size_t displacement)
{
    ad__assemble_pointer(to, RAX, i);
    if (!to->evex) {
        ad__assemble(to, AD_VECTOR_BROADCAST, 0, 0, ad__at_base(RAX, 0), 0);
        ad__assemble(to, AD_VECTOR_STORE, 0, 0, ad__at_base(R13, displacement), 0);
        return;
    }
    if (to->f64)
        EMIT(to, 0x48, 0x8B, 0x00, 0x49, 0x89, 0x85); /* mov rax, [rax]; mov [r13 + …], rax */
    else
        EMIT(to, 0x8B, 0x00, 0x41, 0x89, 0x85); /* mov eax, [rax]; mov [r13 + …], eax */
    emit_32(to, displacement);
}

void ad__assemble_call(ad__assembler *to, uint64_t function)
{
    EMIT(to, 0x48, 0xB8); /* mov rax, function */
    bytes(to, &function, sizeof function);
    EMIT(to, 0xFF, 0xD0); /* call rax */
}
