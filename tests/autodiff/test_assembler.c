/* Machine code, byte for byte as another assembler's, of golden/assembler.txt. */
#include "autodiff/engine.h"
#include "base/assembler.h"

#include <weir/memory.h>

#include <inttypes.h>
#include <string.h>

static const char *const names[AD_VECTOR_INSTRUCTIONS] = {
    [AD_VECTOR_ADD] = "ADD",
    [AD_VECTOR_SUB] = "SUB",
    [AD_VECTOR_MUL] = "MUL",
    [AD_VECTOR_DIV] = "DIV",
    [AD_VECTOR_MAX] = "MAX",
    [AD_VECTOR_MIN] = "MIN",
    [AD_VECTOR_AND] = "AND",
    [AD_VECTOR_ANDNOT] = "ANDNOT",
    [AD_VECTOR_OR] = "OR",
    [AD_VECTOR_XOR] = "XOR",
    [AD_VECTOR_FMA] = "FMA",
    [AD_VECTOR_FMA_INTO] = "FMA_INTO",
    [AD_VECTOR_SQRT] = "SQRT",
    [AD_VECTOR_ROUND] = "ROUND",
    [AD_VECTOR_COMPARE] = "COMPARE",
    [AD_VECTOR_SELECT] = "SELECT",
    [AD_VECTOR_BLEND] = "BLEND",
    [AD_VECTOR_LOAD] = "LOAD",
    [AD_VECTOR_STORE] = "STORE",
    [AD_VECTOR_MOVE] = "MOVE",
    [AD_VECTOR_BROADCAST] = "BROADCAST",
    [AD_VECTOR_STORE_ONE] = "STORE_ONE",
    [AD_VECTOR_SHIFT_LEFT] = "SHIFT_LEFT",
    [AD_VECTOR_SHIFT_RIGHT] = "SHIFT_RIGHT",
    [AD_VECTOR_ADD_INTEGERS] = "ADD_INTEGERS",
    [AD_VECTOR_SUB_INTEGERS] = "SUB_INTEGERS",
    [AD_VECTOR_FROM_INTEGERS] = "FROM_INTEGERS",
    [AD_VECTOR_WIDEN] = "WIDEN",
    [AD_VECTOR_NARROW] = "NARROW",
    [AD_VECTOR_EXTRACT] = "EXTRACT",
    [AD_VECTOR_INSERT] = "INSERT",
    [AD_VECTOR_ADD_DOUBLES] = "ADD_DOUBLES",
    [AD_VECTOR_LOAD_DOUBLES] = "LOAD_DOUBLES",
    [AD_VECTOR_STORE_DOUBLES] = "STORE_DOUBLES",
};

static int instruction_of(const char *name)
{
    int i = 0;
    while (i < AD_VECTOR_INSTRUCTIONS && strcmp(names[i], name) != 0) i++;
    return i;
}

/* The address that the file has, which nobody calls. */
static const uint64_t called = UINT64_C(0x123456789ABCDEF0);

static void assemble_function(ad__assembler *to, const char *name, const char *arguments)
{
    int i, j;
    ck_assert_int_eq(sscanf(arguments, "%d %d", &i, &j), 2);
    if (strcmp(name, "ENTRY") == 0) {
        ad__assemble_entry(to);
    } else if (strcmp(name, "POINTER") == 0) {
        ad__assemble_pointer(to, i, (size_t)j);
    } else if (strcmp(name, "GATHER") == 0) {
        ad__assemble_gather(to, (size_t)i, (size_t)j);
    } else if (strcmp(name, "CALL") == 0) {
        ad__assemble_call(to, called);
    } else {
        ck_assert_str_eq(name, "LOOP");
        const size_t turn = to->size, body = ad__assemble_loop(to);
        ad__assemble_call(to, called);
        ad__assemble_end(to, turn, body, (size_t)i, (size_t)j, 4096);
    }
}

static void assemble_instruction(ad__assembler *to_code, int instruction, const char *arguments)
{
    int to, a, broadcast, immediate;
    ad__location b = {0};
    ck_assert_int_eq(sscanf(arguments, "%d %d %d %d %d %" SCNd32 " %d %d", &to, &a, &b.vector, &b.base, &b.index,
                            &b.displacement, &broadcast, &immediate),
                     8);
    b.memory = b.base >= 0;
    b.broadcast = broadcast != 0;
    ad__assemble(to_code, (ad__vector_instruction)instruction, to, a, b, immediate);
}

static void check_bytes(const ad__assembler *made, const char *bytes, const char *line)
{
    size_t count = 0;
    for (int length; *bytes && *bytes != '\n'; bytes += length, count++) {
        unsigned expected;
        ck_assert_int_eq(sscanf(bytes, "%x%n", &expected, &length), 1);
        ck_assert_msg(count < made->size && made->code[count] == expected, "byte %zu isn't that of: %s", count, line);
    }
    ck_assert_msg(count == made->size, "%zu bytes for: %s", made->size, line);
}

START_TEST(bytes_of_instructions)
{
    FILE *file = fopen(WEIR_GOLDEN_DIR "/assembler.txt", "r");
    ck_assert_ptr_nonnull(file);
    char line[1024];
    size_t seen[2][AD_VECTOR_INSTRUCTIONS + 1] = {{0}};
    while (fgets(line, sizeof line, file)) {
        char encoding[8], dtype[8], name[16];
        int length;
        ck_assert_int_eq(sscanf(line, "%7s %7s %15s%n", encoding, dtype, name, &length), 3);
        ad__assembler made = {.evex = strcmp(encoding, "evex") == 0, .f64 = strcmp(dtype, "f64") == 0};
        const int instruction = instruction_of(name);
        seen[made.evex][instruction]++;
        if (instruction < AD_VECTOR_INSTRUCTIONS)
            assemble_instruction(&made, instruction, line + length);
        else
            assemble_function(&made, name, line + length);
        ck_assert(!made.failed);
        check_bytes(&made, strrchr(line, '|') + 1, line);
        ad_free(made.code);
    }
    fclose(file);
    for (int i = 0; i < AD_VECTOR_INSTRUCTIONS; i++) {
        ck_assert_msg(seen[0][i] > 0 || i == AD_VECTOR_SELECT, "%s by VEX isn't in the file", names[i]);
        ck_assert_msg(seen[1][i] > 0 || i == AD_VECTOR_BLEND, "%s by EVEX isn't in the file", names[i]);
    }
}
END_TEST

Suite *assembler_suite(void)
{
    Suite *suite = suite_create("assembler");
    TCase *table = tcase_create("table");
    tcase_add_test(table, bytes_of_instructions);
    suite_add_tcase(suite, table);
    return suite;
}
