"""The reference of the Python package, from its docstrings as they stand in the source: what it can do besides NumPy, as
with scikit-learn or JAX, need not be installed where the manual is made."""
import ast
import html

from blocks import SOURCE, colored
from reference import prose

MODULES = {"automatic": "Without settings", "flow": "Flows", "columns": "Columns of tables", "sklearn": "scikit-learn",
           "target": "Targets", "inference": "Posteriors", "torch": "PyTorch", "jax": "JAX", "_options": "Options",
           "_library": "Plug-ins and threads", "errors": "Errors"}
NAMESPACES = {"torch": "weir.torch", "jax": "weir.jax"}  # what isn't found right in weir


def _is_public(node):
    return isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")


def _source(module):
    return (SOURCE / "tools/python/weir" / f"{module}.py").read_text()


def _imported():
    """What `from weir import *` brings, and what needs a package that need not be there."""
    told = next(node for node in ast.parse(_source("__init__")).body
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")
    return {"FlowDensity", *ast.literal_eval(told.value)}


def _told(module):
    """(name, node) of what a user of the package finds in a module; of options, all kinds."""
    everything = module in NAMESPACES or module == "_options"
    imported = _imported()
    for node in filter(_is_public, ast.parse(_source(module)).body):
        if node.name in imported or everything and (module != "_options" or isinstance(node, ast.ClassDef)):
            yield (node.name if module == "_options" else f"{NAMESPACES.get(module, 'weir')}.{node.name}"), node


def _signature(node, name, skipped=0):
    """name(arguments) -> result, as Python writes it."""
    arguments = node.args
    arguments.args = arguments.args[skipped:]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{name}({ast.unparse(arguments)}){returns}"


def _entry(place, code, node):
    docstring = node and ast.get_docstring(node)
    shown = f'<div class="block" id="{place}"><pre class="python" tabindex="0"><code>{colored(code, "python")}</code></pre></div>'
    return shown + (prose(docstring) if docstring else "")


def _class(node, name):
    own = [one for one in node.body if isinstance(one, ast.FunctionDef)]
    start = next((one for one in own if one.name == "__init__"), None)
    bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
    shown = [_entry(name, _signature(start, f"class {name}", 1).removesuffix(" -> None") if start else f"class {name}{bases}",
                    node)]
    for one in filter(_is_public, own):
        of = {ast.unparse(decorator) for decorator in one.decorator_list}
        is_property = "property" in of
        code = (f"{one.name}: {ast.unparse(one.returns)}" if is_property and one.returns
                else _signature(one, one.name, "staticmethod" not in of))
        shown.append(f'<div class="member">{_entry(f"{name}.{one.name}", code, one)}</div>')
    return shown


def names():
    """Of each function, class and method: its place has the same name."""
    for module in MODULES:
        for name, node in _told(module):
            yield name
            if isinstance(node, ast.ClassDef):
                yield from (f"{name}.{one.name}" for one in filter(_is_public, node.body))


def body():
    shown = ["<h1>The Python package</h1><p>What can be imported from <code>weir</code>, from its docstrings. "
             'What numbers mean is told by the C headers of the same names: <a href="training.html">training.h</a>, '
             '<a href="vi.html">vi.h</a>, <a href="nuts.html">nuts.h</a>.</p>']
    for module, title in MODULES.items():
        shown.append(f'<h2 id="{module.strip("_")}">{html.escape(title)}</h2>')
        for name, node in _told(module):
            if module == "_options":  # its members' comments say what they are
                shown.append(_entry(name, ast.get_source_segment(_source(module), node).replace("\n\n", "\n"), None))
            elif isinstance(node, ast.ClassDef):
                shown += _class(node, name)
            else:
                shown.append(_entry(name, _signature(node, name), node))
    return "\n".join(shown)
