"""Write the Python module by which the package reaches the library, from the installed headers and nothing else:

    declarations.py OUTPUT CC [-I…]

The compiler preprocesses <weir/models.h>, of which what stands in a file of weir/ is kept, and cffi turns that into a
module that needs no compiler: what a header declares can be called as `lib.NAME`."""
import re
import subprocess
import sys

import cffi


def preprocess(compiler: list[str]) -> str:
    """The headers' own text, without what they include of the system."""
    whole = subprocess.run([*compiler, "-std=c17", "-E", "-x", "c", "-"], input="#include <weir/models.h>\n",
                           capture_output=True, text=True, check=True).stdout
    kept, ours = [], False
    for line in whole.splitlines():
        marker = re.match(r'# \d+ "([^"]*)"', line)
        if marker:
            # The floating-point environment is of the C compiler's own kind, and C's business.
            ours = re.search(r"/weir/(?!environment)[a-z0-9_]+\.h$", marker[1]) is not None
        elif ours and not line.startswith("#"):
            kept.append(line)
    return "\n".join(kept)


def declare(text: str) -> str:
    """What cffi understands of it: no attributes, no bodies of inline functions, no assertions."""
    text = re.sub(r"__attribute__ *\(\([^()]*(\([^()]*\)[^()]*)*\)\)", "", text)
    text = re.sub(r"\bstatic inline\b[^;{]*\{[^{}]*(\{[^{}]*\}[^{}]*)*\}", "", text)
    text = re.sub(r"_Static_assert *\([^;]*;", "", text)
    return re.sub(r"\b_Bool\b", "bool", text)


def main() -> None:
    output, *compiler = sys.argv[1:]
    ffi = cffi.FFI()
    ffi.cdef("typedef struct _IO_FILE FILE;\n" + declare(preprocess(compiler)))
    ffi.set_source("weir._declarations", None)
    ffi.emit_python_code(output)


if __name__ == "__main__":
    main()
