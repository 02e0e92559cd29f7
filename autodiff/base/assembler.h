/* Machine code for x86-64: the vector instructions that fused loops are made of, by VEX for AVX2 or EVEX for AVX-512
 * (Intel's Software Developer's Manual, volume 2, 2.3 and 2.7), and the few around them. */
#ifndef WEIR_AUTODIFF_BASE_ASSEMBLER_H
#define WEIR_AUTODIFF_BASE_ASSEMBLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t *code;
    size_t size, capacity;
    bool evex, f64;
    bool failed; /* memory is out */
} ad__assembler;

/* General registers by their numbers. */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

/* A vector register, or memory at base + index + displacement: a vector, or one number that is broadcast. */
typedef struct {
    bool memory, broadcast;
    int vector, base, index; /* index: -1 for none */
    int32_t displacement;
} ad__location;

static inline ad__location ad__vector_register(int vector)
{
    return (ad__location){.vector = vector, .index = -1};
}

static inline ad__location ad__at_base(int base, size_t displacement)
{
    return (ad__location){.memory = true, .base = base, .index = -1, .displacement = (int32_t)displacement};
}

/* Of numbers of the dtype unless they say otherwise. */
typedef enum {
    AD_VECTOR_ADD,
    AD_VECTOR_SUB,
    AD_VECTOR_MUL,
    AD_VECTOR_DIV,
    AD_VECTOR_MAX,
    AD_VECTOR_MIN,
    AD_VECTOR_AND,
    AD_VECTOR_ANDNOT,
    AD_VECTOR_OR,
    AD_VECTOR_XOR,
    AD_VECTOR_FMA,      /* to = a to + b */
    AD_VECTOR_FMA_INTO, /* to = a b + to */
    AD_VECTOR_SQRT,
    AD_VECTOR_ROUND,
    AD_VECTOR_COMPARE, /* to: a mask, by EVEX the mask register of that number */
    AD_VECTOR_SELECT,  /* by EVEX: mask register 1 ? b : a */
    AD_VECTOR_BLEND,   /* by VEX: the mask in vector register immediate / 16 ? b : a */
    AD_VECTOR_LOAD,
    AD_VECTOR_STORE, /* `to` into the location */
    AD_VECTOR_MOVE,
    AD_VECTOR_BROADCAST,
    AD_VECTOR_STORE_ONE,    /* the first number of `to` */
    AD_VECTOR_SHIFT_LEFT,   /* of 32-bit integers; `to` is the second operand */
    AD_VECTOR_SHIFT_RIGHT,  /* the same; the sign comes in */
    AD_VECTOR_ADD_INTEGERS, /* of 32 bits */
    AD_VECTOR_SUB_INTEGERS,
    AD_VECTOR_FROM_INTEGERS, /* as float32 */
    AD_VECTOR_WIDEN,         /* half a vector of float32 to doubles */
    AD_VECTOR_NARROW,        /* doubles to half a vector of float32 */
    AD_VECTOR_EXTRACT,       /* half of `to` into the location */
    AD_VECTOR_INSERT,        /* b as half of a */
    AD_VECTOR_ADD_DOUBLES,
    AD_VECTOR_LOAD_DOUBLES,
    AD_VECTOR_STORE_DOUBLES,
    AD_VECTOR_INSTRUCTIONS,
} ad__vector_instruction;

/* to = a <instruction> b; an instruction with one operand has it in b. Immediates: 0 where there is none. */
void ad__assemble(ad__assembler *to_code, ad__vector_instruction instruction, int to, int a, ad__location b,
                  int immediate);

/* The frame of a function f(rdi, rsi, rdx, rcx, r8, r9), which finds the first four arguments in rbx, r13, r12 and r14.
 * It takes r8 turns; in each rbp counts from 0 to r12 by `step` bytes, with the loop's body between the two. Between
 * turns, the `pointers` numbers at rbx grow by those at r9, and r13 by `sums` bytes. */
size_t ad__assemble_entry(ad__assembler *to); /* returns where a turn begins */
size_t ad__assemble_loop(ad__assembler *to);  /* returns where its body begins */
void ad__assemble_end(ad__assembler *to, size_t turn, size_t body, size_t step, size_t pointers, size_t sums);
/* reg = the pointer at rbx + 8 i */
void ad__assemble_pointer(ad__assembler *to, int reg, size_t i);
/* The number at pointer i goes to r13 + displacement. */
void ad__assemble_gather(ad__assembler *to, size_t i, size_t displacement);
/* Of the function at this address, which has 64 bits wherever the code is made. */
void ad__assemble_call(ad__assembler *to, uint64_t function);

#endif
