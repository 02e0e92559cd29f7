"""Pages of what `weir help` says: one for each command, and for each subject that options and formulas name things of."""
import html
import re
import subprocess


def weir(*words):
    return subprocess.run(["weir", *words], check=True, capture_output=True, text=True).stdout


def commands():
    """["data", "fit", …, "demo banana"]"""
    return [name.replace("\\-", " ") for name in re.findall(r"^\.BR weir\\-(\S+) \(1\)$", weir("--man", "2000-01-01"), re.M)]


def subjects():
    """["formulas", "targets", …]"""
    return re.findall(r"^\.B weir help (\w+)$", weir("--man", "2000-01-01"), re.M)


def _row(line):
    """'  --lr RATE   learning rate' as a row of a table, or None where it isn't one."""
    match = re.fullmatch(r"( +)(\S.*?(?= {2})|\S*\)(?= )) +(\S.*)", line)
    if not match:
        return None
    kind = ' class="argument"' if len(match.group(1)) >= 6 and not match.group(2).startswith("-") else ""
    return f"<tr{kind}><th><code>{html.escape(match.group(2))}</code></th><td>{html.escape(match.group(3))}</td></tr>"


def body(name):
    """The page of one command or subject."""
    shown, kind, part = [f"<h1>weir {name}</h1>" if name in commands() else f"<h1>{name.capitalize()}</h1>"], "", []

    def finish():
        if kind == "table":
            shown.append(f'<div class="wide" tabindex="0"><table class="help">{"".join(part)}</table></div>')
        elif kind == "pre":
            shown.append(f'<pre class="sh" tabindex="0"><code>{html.escape(chr(10).join(part))}</code></pre>')
        elif kind == "p":
            text = html.escape(" ".join(part))
            shown.append(f"<h2>{text[0].upper()}{text[1:-1]}</h2>" if text.endswith(":") and len(text) < 70 else f"<p>{text}</p>")
        part.clear()

    for line in weir("help", *name.split()).split("\n"):
        if kind == "table" and line.startswith(" " * 18):
            part[-1] = part[-1].replace("</td>", f"<br>{html.escape(line.strip())}</td>")
            continue
        row = _row(line) if line.startswith("  ") else None
        now = "table" if row else "pre" if line.startswith("  ") or line.startswith("usage: ") else "p" if line else ""
        if now != kind:
            finish()
            kind = now
        if now:
            part.append(row or (line if now == "p" else line.strip()))
    finish()
    return "\n".join(shown)
