"""Write assembler.txt: x86-64 instructions by the GNU assembler, each line

    vex|evex f32|f64 INSTRUCTION TO A VECTOR BASE INDEX DISPLACEMENT BROADCAST IMMEDIATE | assembly text | bytes

of what ad__assemble() is given: its last operand is memory, or a register where BASE is -1. Or

    vex|evex f32|f64 FUNCTION I J | assembly text | bytes

of the other functions. Of an instruction's encodings the one is asked for that ad__assemble() takes: VEX of three bytes,
a displacement even where it is 0, and vectors' length in instructions that heed none."""
import subprocess
import tempfile
from pathlib import Path

GENERAL = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split()
RAX, RBP, R9, R12, R13, R14, R15 = 0, 5, 9, 12, 13, 14, 15
BY_DTYPE = {"ADD": "vadd", "SUB": "vsub", "MUL": "vmul", "DIV": "vdiv", "MAX": "vmax", "MIN": "vmin", "AND": "vand",
            "ANDNOT": "vandn", "OR": "vor", "XOR": "vxor", "FMA": "vfmadd213", "FMA_INTO": "vfmadd231", "SQRT": "vsqrt",
            "COMPARE": "vcmp", "LOAD": "vmovu", "STORE": "vmovu"}
ONE_OPERAND = {"SQRT", "ROUND", "LOAD", "MOVE", "BROADCAST", "WIDEN", "NARROW", "LOAD_DOUBLES", "SHIFT_LEFT",
               "SHIFT_RIGHT", "FROM_INTEGERS"}
STORES = {"STORE", "STORE_ONE", "STORE_DOUBLES", "EXTRACT"}
MEMORY_ONLY = {"LOAD", "STORE", "BROADCAST", "STORE_ONE", "LOAD_DOUBLES", "STORE_DOUBLES"}
REGISTERS_ONLY = {"MOVE", "SHIFT_LEFT", "SHIFT_RIGHT", "FROM_INTEGERS"}
IMMEDIATE = {"ROUND": 9, "COMPARE": 0x1E, "SHIFT_LEFT": 23, "SHIFT_RIGHT": 23, "EXTRACT": 1, "INSERT": 1}
HALF, ONE = "half", "one"
SIZES = {"WIDEN": (None, HALF), "NARROW": (HALF, None), "EXTRACT": (None, HALF), "INSERT": (None, HALF),
         "BROADCAST": (None, ONE), "STORE_ONE": (ONE, ONE)}  # of the first register and of the last operand


def mnemonic(evex, f64, name):
    if name in BY_DTYPE:
        return BY_DTYPE[name] + ("pd" if f64 else "ps")
    return {"ROUND": ("vrndscalep" if evex else "vroundp") + "sd"[f64],
            "SELECT": "vblendmp" + "sd"[f64],
            "BLEND": "vblendvp" + "sd"[f64],
            "MOVE": "vmovaps",
            "BROADCAST": "vbroadcasts" + "sd"[f64],
            "STORE_ONE": "vmovs" + "sd"[f64],
            "SHIFT_LEFT": "vpslld",
            "SHIFT_RIGHT": "vpsrad",
            "ADD_INTEGERS": "vpaddd",
            "SUB_INTEGERS": "vpsubd",
            "FROM_INTEGERS": "vcvtdq2ps",
            "WIDEN": "vcvtps2pd",
            "NARROW": "vcvtpd2ps",
            "EXTRACT": "vextractf64x4" if evex else "vextractf128",
            "INSERT": "vinsertf64x4" if evex else "vinsertf128",
            "ADD_DOUBLES": "vaddpd",
            "LOAD_DOUBLES": "vmovupd",
            "STORE_DOUBLES": "vmovupd"}[name]


def register(evex, number, size=None):
    return {None: "zmm" if evex else "ymm", HALF: "ymm" if evex else "xmm", ONE: "xmm"}[size] + str(number)


def memory(evex, f64, size, base, index, displacement, broadcast):
    number = "qword" if f64 else "dword"
    what = {None: "zmmword" if evex else "ymmword", HALF: "ymmword" if evex else "xmmword", ONE: number}[size]
    text = f"[{GENERAL[base]}{'+' + GENERAL[index] if index >= 0 else ''}{f'+{displacement}' if displacement else ''}]"
    if broadcast:
        return f"{number} ptr {text}{{1to{8 if f64 else 16}}}"
    return f"{what} ptr {text}"


def instruction(evex, f64, name, to, a, vector, base=-1, index=-1, displacement=0, broadcast=0, mask=None):
    first_size, last_size = SIZES.get(name, (None, None))
    if base < 0:
        last = register(evex, vector, last_size)
    else:
        last = memory(evex, f64, last_size, base, index, displacement, broadcast)
    first = f"k{to}" if name == "COMPARE" and evex else register(evex, to, first_size)
    if name == "SELECT":
        first += "{k1}"
    if name in STORES:
        operands = [last, first]
    elif name in ONE_OPERAND:
        operands = [first, last]
    else:
        operands = [first, register(evex, a), last]
    immediate = IMMEDIATE.get(name, 0)
    if name == "BLEND":
        immediate = mask << 4
        operands.append(register(evex, mask))
    elif immediate:
        operands.append(str(immediate))
    short = "{disp8} " if base >= 0 and displacement == 0 else ""
    text = f"{short}{'{evex}' if evex else '{vex3}'} {mnemonic(evex, f64, name)} {', '.join(operands)}"
    key = f"{to} {a} {vector} {base} {index} {displacement} {broadcast} {immediate}"
    return f"{'evex' if evex else 'vex'} {'f64' if f64 else 'f32'} {name} {key}", text


def cases_of(evex, f64, name):
    numbers = [0, 17, 3, 30, 9, 14] if evex else [0, 9, 3, 14]
    turn = [numbers[i:] + numbers[:i] for i in range(len(numbers))]
    is_mask = name == "COMPARE" and evex
    for i, (to, a, vector, mask, *_) in enumerate(turn if name not in MEMORY_ONLY else []):
        yield instruction(evex, f64, name, 1 + i if is_mask else to, a, vector, mask=mask)
    places = [(R13, -1, d, 0) for d in (0, 64, 96, 128, 192, 4096, 8128, 8192, 20000)]
    places += [(base, RBP, 0, 0) for base in (RAX, R9, R14, R15)] + [(R9, RBP, 64, 0), (R12, -1, 64, 0)]
    if evex and name not in SIZES and name not in MEMORY_ONLY and name not in ("ADD_INTEGERS", "SUB_INTEGERS", "ADD_DOUBLES"):
        places += [(R14, -1, d, 1) for d in (0, 8, 12, 504, 508, 2000)] + [(R13, -1, 16, 1)]
    for i, place in enumerate(places if name not in REGISTERS_ONLY else []):
        to, a, mask, *_ = turn[i % len(turn)]
        yield instruction(evex, f64, name, 1 if is_mask else to, a, 0, *place, mask=mask)


FUNCTION = 0x123456789ABCDEF0
CALL = f"movabs rax, {FUNCTION:#x}; call rax"
ENTRY = ("push rbx; push rbp; push r12; push r13; push r14; push r15; sub rsp, 24; mov [rsp], r8; "
         "mov [rsp+8], r9; mov rbx, rdi; mov r13, rsi; mov r12, rdx; mov r14, rcx")
END = "vzeroupper; add rsp, 24; pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx; ret"


def pointer(reg, i):
    return f"{{disp32}} mov {GENERAL[reg]}, qword ptr [rbx+{8 * i}]"


def gather(evex, f64, i, displacement):
    if evex:
        general = "rax" if f64 else "eax"
        to = f"mov {general}, [rax]; {{disp32}} mov [r13+{displacement}], {general}"
    else:
        load = instruction(evex, f64, "BROADCAST", 0, 0, 0, RAX)[1]
        to = load + "; " + instruction(evex, f64, "STORE", 0, 0, 0, R13, -1, displacement)[1]
    return f"{pointer(RAX, i)}; {to}"


cases = []
for evex in (False, True):
    for f64 in (False, True):
        names = [*BY_DTYPE, "ROUND", "SELECT" if evex else "BLEND", "MOVE", "BROADCAST", "STORE_ONE", "SHIFT_LEFT",
                 "SHIFT_RIGHT", "ADD_INTEGERS", "SUB_INTEGERS", "FROM_INTEGERS", "WIDEN", "NARROW", "EXTRACT", "INSERT", "ADD_DOUBLES", "LOAD_DOUBLES", "STORE_DOUBLES"]
        for name in names:
            cases += cases_of(evex, f64, name)
        head = f"{'evex' if evex else 'vex'} {'f64' if f64 else 'f32'}"
        for i, displacement in ((0, 0), (7, 96), (40, 20000)):
            cases.append((f"{head} GATHER {i} {displacement}", gather(evex, f64, i, displacement)))
cases.append(("vex f32 ENTRY 0 0", ENTRY))
cases += [(f"vex f32 POINTER {reg} {i}", pointer(reg, i)) for reg in (0, 1, 7, 9, 15) for i in (0, 3, 40)]
cases.append(("vex f32 CALL 0 0", CALL))
for step, pointers in ((128, 3), (192, 0)):  # the assembler would make a byte of a smaller one
    moves = "".join(f"{{disp32}} mov rcx, [rax+{8 * i}]; {{disp32}} add [rbx+{8 * i}], rcx; " for i in range(pointers))
    cases.append((f"vex f32 LOOP {step} {pointers}",
                  f"2: xor ebp, ebp; 1: {CALL}; add rbp, {step}; cmp rbp, r12; {{disp32}} jb 1b; sub qword ptr [rsp], 1; "
                  f"{{disp32}} je 3f; mov rax, [rsp+8]; {moves}add r13, 4096; {{disp32}} jmp 2b; 3: {END}"))

with tempfile.TemporaryDirectory() as folder:
    source, made, code = (Path(folder) / name for name in ("cases.s", "cases.o", "cases.bin"))
    source.write_text(".intel_syntax noprefix\n" + "\n".join(f"case_{i}: {text}" for i, (_, text) in enumerate(cases))
                      + f"\ncase_{len(cases)}:\n")
    subprocess.run(["as", "-mevexlig=512", "-mavxscalar=256", "-o", made, source], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", made, code], check=True)
    symbols = subprocess.run(["nm", made], check=True, capture_output=True, text=True).stdout.split("\n")
    at = {int(name[5:]): int(where, 16) for where, _, name in map(str.split, filter(None, symbols))}
    binary = code.read_bytes()
lines = [f"{key} | {text} | {binary[at[i]:at[i + 1]].hex(' ')}" for i, (key, text) in enumerate(cases)]
(Path(__file__).parent / "assembler.txt").write_text("\n".join(lines) + "\n")
