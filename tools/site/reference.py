"""The reference: each public header as a page. A header is comments and declarations by turns, and so is its page;
formulas and shapes keep their lines, and a name that is declared anywhere is a link to where it is. (Comments of Weir's
aren't written for Doxygen, which would leave them out, and run a formula's lines together.)"""
import html
import re
import textwrap

from blocks import SOURCE, colored

ROOMS = {"autodiff": "Record, differentiate and run", "flows": "Build flows", "models": "Fit, infer and keep"}
PIECES = re.compile(r"^/\*(.*?)\*/\n", re.S | re.M)
GUARD = re.compile(r"^(#ifndef WEIR_\w+_H|#define WEIR_\w+_H|#endif|#include .*|WEIR_(BEGIN|END)_DECLARATIONS)\n", re.M)
DECLARED = [re.compile(pattern, re.M) for pattern in (
    r"^(?!typedef|#|\s|//|/\*)[\w *]*?\b((?:ad|nf|weir)_\w+)\(",  # a function
    r"^typedef[^;{]*\(\*?((?:ad|nf)_\w+)\)\(",  # of a function
    r"^typedef [\w ]*?\b\**((?:ad|nf)_\w+);",
    r"^\} ((?:ad|nf)_\w+);",
    r"^extern const \w+ ((?:ad|nf)_\w+)[,;]",
    r"^extern const \w+ \w+, ((?:ad|nf)_\w+);",
    r"^struct ((?:ad|nf)_\w+) \{",
    r"^#define ((?:AD|NF|WEIR)_\w+)",
    r"^(?:enum \{|    ) ?((?:AD|NF)_[A-Z0-9_]+)(?= = |,| \})",
)]
NAME = re.compile(r"\b(?:ad|nf|weir|AD|NF|WEIR)_\w+")


def headers():
    """(room, path) of each public header; those that only include others have nothing to tell."""
    return [(room, path) for room in ROOMS for path in sorted((SOURCE / room).glob("*.h"))]


def _uncommented(comment):
    """A comment's text, without the stars before its lines."""
    first, *others = (re.sub(r"^ \*(?: |$)", "", line) for line in comment.strip("\n").split("\n"))
    return "\n".join((first.strip(), *others))


def prose(text):
    """Text as HTML: lines that are indented stay as they are."""
    blocks = []
    for line in (line.rstrip() for line in text.split("\n")):
        kind = "pre" if line.startswith("  ") else "p" if line else ""
        if kind and blocks and blocks[-1][0] == kind:
            blocks[-1][1].append(line)
        elif kind or (blocks and blocks[-1][0] == "p"):
            blocks.append((kind, [line]))
        elif blocks:
            blocks[-1][1].append(line)
    shown = []
    for kind, part in blocks:
        if kind == "pre":
            shown.append(f'<pre class="formula" tabindex="0">{html.escape(textwrap.dedent(chr(10).join(part)).rstrip())}</pre>')
        elif kind == "p":
            text = html.escape(" ".join(part))
            text = re.sub(r"(?<![\w*])\*(\w[\w ]*?)\*(?![\w*])", r"<em>\1</em>", text)
            shown.append("<p>" + re.sub(r"`([^`]+)`", r"<code>\1</code>", text) + "</p>")
    return "".join(shown)


def _pieces(text):
    """("prose", comment), ("title", heading) and ("code", declarations), in their order."""
    at = 0
    for match in PIECES.finditer(text):
        yield "code", text[at : match.start()]
        heading = re.fullmatch(r" -{4} (.*?) -+(?:\n \* *)?", match.group(1).rstrip(" -\n") + " ----")
        if heading and "\n" not in heading.group(1):
            yield "title", heading.group(1)
        else:
            rule, _, rest = match.group(1).partition("\n")
            titled = re.fullmatch(r" -{4} (.*?) -+", rule)
            if titled:
                yield "title", titled.group(1)
            yield "prose", rest if titled else match.group(1)
        at = match.end()
    yield "code", text[at:]


def _declared_in(code):
    return {name for pattern in DECLARED for name in pattern.findall(code)}


class Reference:
    def __init__(self):
        self.home = {}
        self.text = {path: path.read_text() for _, path in headers()}
        for path, text in self.text.items():
            for kind, piece in _pieces(GUARD.sub("", text)):
                for name in _declared_in(piece) if kind == "code" else ():
                    self.home.setdefault(name, path.stem)

    def linked(self, shown, folder="", own=()):
        """Names become links. The first of each name of `own` is the place that other links lead to."""
        placed = set()

        def link(match):
            name = match.group()
            if name not in self.home:
                return name
            here = name in own and name not in placed
            placed.add(name)
            mark = f' id="{name}"'
            return f'<a{mark if here else ""} href="{folder}{self.home[name]}.html#{name}">{name}</a>'

        return NAME.sub(link, shown)

    def body(self, path):
        """The page of one header."""
        shown = [f"<h1>{path.name}</h1>", f'<p class="include"><code>#include &lt;weir/{path.name}&gt;</code></p>']
        left = {name for name, home in self.home.items() if home == path.stem}
        for kind, piece in _pieces(GUARD.sub("", self.text[path])):
            if not piece.strip():
                continue
            if kind == "title":
                shown.append(f"<h2>{html.escape(piece)}</h2>")
            elif kind == "prose":
                shown.append(self.linked(prose(_uncommented(piece))))
            else:
                own = left & _declared_in(piece)
                left -= own
                code = self.linked(colored(piece.strip("\n"), "c"), own=own)
                shown.append(f'<div class="block"><pre class="c" tabindex="0"><code>{code}</code></pre></div>')
        return "\n".join(shown)

    def summary(self, path):
        """The first sentence of a header."""
        first = PIECES.search(self.text[path]).group(1).split("\n *\n")[0]
        text = " ".join(re.sub(r"^ \*", "", line).strip() for line in first.split("\n")).strip()
        sentence = re.split(r"(?<!al)\. (?=[A-Z])", text)[0].rstrip(":.")
        return self.linked(html.escape(re.sub(r"^Weir [\w ]+: (.)", lambda m: m.group(1).upper(), sentence)))

    def index(self):
        shown = ["<h1>Reference</h1><p>The C library, from its public headers: formulas, shapes, units, ownership, threads "
                 "and errors of each function are told where it is declared.</p>"]
        for room, what in ROOMS.items():
            shown.append(f"<h2>{what}</h2><dl>")
            shown += [f'<dt><a href="{path.stem}.html">{path.name}</a></dt><dd>{self.summary(path)}</dd>'
                      for own, path in headers() if own == room]
            shown.append("</dl>")
        shown.append('<h2>All names</h2><ul class="names">')
        shown += [f'<li><a href="{home}.html#{name}">{name}</a></li>' for name, home in sorted(self.home.items())]
        return "\n".join(shown) + "</ul>"
