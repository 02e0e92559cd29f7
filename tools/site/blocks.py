"""The blocks of code in a page of Markdown. They are run, from the first to the last, in a folder of the page's own, so
that what a page says to type is what was typed; a block that fails is the end. What stands behind the opening fence says
what is done with a block:

    ```sh                    run by the shell
    ```python                run by Python, and its output shown
    ```sh output             its output shown too; output=12: the last 12 lines of it
    ```c moons.c             kept under this name
    ```c include=FILE        a file of the source, kept under its name
    ```file include=FILE     the same, and not shown
    ```sh needs=torch        run where there is a command, or module of Python's, of this name, and shown in any case
    ```sh not-run: a cluster shown, with the reason why it isn't run

A picture that `weir plot` draws is drawn once more, light on dark, for readers who prefer that.
"""
import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import markdown
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

SOURCE = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w+)(.*)\n((?:.*\n)*?)```$", re.M)
PLOT = re.compile(r"^weir (?!.*--dark)(?:.* )?plot .* -o (\S+\.png)$", re.M)
LONGEST = 600  # seconds that a block may take


def colored(text, language):
    """Code as HTML."""
    return highlight(text, get_lexer_by_name(language), HtmlFormatter(nowrap=True)).strip("\n")


def dark_name(picture):
    """moons.png: dark-moons.png"""
    return f"dark-{picture}"


def _is_there(name):
    command = f"command -v {name} >/dev/null || python3 -c 'import {name}'"
    return subprocess.run(["sh", "-c", command], capture_output=True).returncode == 0


def _run(code, language, folder, where):
    """The block's output, without what it tells of its progress."""
    command = ["sh", "-euc", code] if language == "sh" else ["python3", "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=LONGEST)
    if done.returncode != 0:
        sys.exit(f"{where}: this ends with status {done.returncode}:\n\n{code}\n{done.stdout}{done.stderr}")
    return done.stdout


class Page:
    """Runs the blocks of one page, and puts HTML in their place."""

    def __init__(self, path, folder):
        self.path, self.folder, self.blocks = path, folder, []
        folder.mkdir(parents=True)

    def _block(self, match):
        language, said, code = match.group(1), match.group(2).strip(), match.group(3)
        reason = said.partition("not-run:")[2].strip()
        options = {} if reason else dict(word.partition("=")[::2] for word in said.split())
        name = next((word for word, value in options.items() if "." in word), None)
        if "include" in options:
            name = Path(options["include"]).name
            shutil.copyfile(SOURCE / options["include"], self.folder / name)
            if language == "file":
                return ""
            code = (SOURCE / options["include"]).read_text()
        needed = options.get("needs")
        if needed and not _is_there(needed):
            reason = f"{needed} could not be used where this manual was built"
        output = ""
        if name:
            (self.folder / name).write_text(code)
        elif language in ("sh", "python") and not reason:
            line = self.path.read_text().count("\n", 0, match.start()) + 1
            output = _run(code, language, self.folder, f"{self.path}:{line}")
            for plot in PLOT.finditer(code):
                again = f"{plot[0].removesuffix(plot[1])}{dark_name(plot[1])} --dark"
                _run(again, "sh", self.folder, f"{self.path}:{line}")
        shown = [f'<div class="block"><pre class="{language}"><code>{colored(code, language)}</code></pre>']
        if name:
            shown.insert(0, f'<p class="name">{html.escape(name)}</p>')
        if reason:
            shown.append(f'<p class="not-run">Not run by the tests: {html.escape(reason)}</p>')
        if output.strip() and ("output" in options or language == "python"):
            lines = output.rstrip().split("\n")[-int(options.get("output") or 1000):]
            shown.append(f'<pre class="output" tabindex="0"><samp>{html.escape(os.linesep.join(lines))}</samp></pre>')
        self.blocks.append("".join(shown) + "</div>")
        return f"@block{len(self.blocks) - 1}@"

    def html(self):
        """The page as HTML. What the blocks became is put in last, so that Markdown leaves it alone."""
        text = FENCE.sub(self._block, self.path.read_text())
        body = markdown.markdown(text, extensions=["tables", "toc", "attr_list", "md_in_html"])
        return re.sub(r"<p>@block(\d+)@</p>", lambda match: self.blocks[int(match[1])], body)
