"""Makes the manual: make.py FOLDER. The commands on its pages are run, by the `weir`, `cc`, `pkg-config` and `python3`
that are found on the path: see build, which calls this."""
import html
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

import command_help
import python_reference
from blocks import Page, dark_name
from reference import Reference, headers

HERE = Path(__file__).resolve().parent
TASKS = ("table", "posterior", "bijector", "conditional", "images", "python", "c", "cluster", "elsewhere", "model-file",
         "gallery")
PICTURE = re.compile(r'<img(?P<before>[^>]*) src="(?P<name>[\w.-]+)"(?P<after>[^>]*)>')
HEADING = re.compile(r'<h2 id="([^"]+)">(.*?)</h2>', re.S)
TITLE = re.compile(r"<h1[^>]*>(.*?)</h1>", re.S)


def title_of(page):
    return (HERE / "pages" / f"{page}.md").read_text().split("\n")[0].lstrip("# ")


class Site:
    def __init__(self, folder):
        self.folder, self.reference = folder, Reference()
        self.groups = [
            ("Tasks", [(f"{page}.html", title_of(page)) for page in TASKS]),
            ("Commands", [(f"help/{name.replace(' ', '-')}.html", f"weir {name}") for name in command_help.commands()]),
            ("What names stand for", [(f"help/{name}.html", name.capitalize()) for name in command_help.subjects()]),
            ("Reference", [("reference/python.html", "The Python package"), ("reference/index.html", "All headers")] +
             [(f"reference/{path.stem}.html", path.name) for _, path in headers()]),
        ]

    def write(self, place, body):
        """A page, with the way to all others."""
        root, order = "../" * place.count("/"), [link for _, links in self.groups for link in links]
        groups = "".join(
            f'<details{" open" if name == "Tasks" or any(to == place for to, _ in links) else ""}><summary>{name}</summary><ul>'
            + "".join(f'<li><a href="{root}{to}"{" aria-current=page" if to == place else ""}>{html.escape(title)}</a></li>'
                      for to, title in links) + "</ul></details>" for name, links in self.groups)
        at = next((i for i, (to, _) in enumerate(order) if to == place), -1)
        around = [(order[i], rel) for i, rel in ((at - 1, "prev"), (at + 1, "next")) if 0 <= i < len(order)]
        footer = "".join(f'<a rel="{rel}" href="{root}{to}">{html.escape(title)}</a>' for (to, title), rel in around)
        heading = re.sub(r"<.*?>", "", TITLE.search(body).group(1))
        template = (HERE / "page.html").read_text()
        for name, value in {"title": heading, "root": root, "groups": groups, "footer": footer,
                            "body": body, "version": command_help.weir("--version").split()[-1]}.items():
            template = template.replace("{{" + name + "}}", value)
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(template)

    def page(self, name, scratch):
        """A page of Markdown; the pictures on it are those that its commands have made."""
        page = Page(HERE / "pages" / f"{name}.md", scratch / name)
        body = page.html().replace("<table>", '<div class="wide" tabindex="0"><table>').replace("</table>", "</table></div>")

        def placed(match):
            light, dark = page.folder / match["name"], page.folder / dark_name(match["name"])
            for picture in filter(Path.exists, (light, dark)):
                shutil.copyfile(picture, self.folder / "pictures" / f"{name}-{picture.name}")
            image = f'<img{match["before"]} src="pictures/{name}-{light.name}"{match["after"]}>'
            if not dark.exists():
                return image
            return (f'<picture><source media="(prefers-color-scheme: dark)" srcset="pictures/{name}-{dark.name}">'
                    f"{image}</picture>")

        self.write(f"{name}.html", PICTURE.sub(placed, body))
        print(f"{name}.html", flush=True)

    def write_index(self):
        """What the search looks in: (what is shown, where it is, what is behind it) of each page, heading and name. A
        script, for a page that was opened from a disk may not read a file."""
        entries = [(title, place, group) for group, links in self.groups for place, title in links]
        for place, title in [("index.html", "Weir"), *self.groups[0][1]]:
            text = (self.folder / place).read_text()
            entries += [(html.unescape(re.sub(r"<.*?>", "", heading)), f"{place}#{at}", title) for at, heading in HEADING.findall(text)]
        for subject in command_help.subjects():
            place = f"help/{subject}.html"
            names = re.findall(r"<tr><th><code>(\w+)", (self.folder / place).read_text())
            entries += [(name, place, subject) for name in dict.fromkeys(names)]
        entries += [(name, f"reference/{home}.html#{name}", f"{home}.h") for name, home in sorted(self.reference.home.items())]
        entries += [(name, f"reference/python.html#{name}", "Python") for name in python_reference.names()]
        (self.folder / "search-index.js").write_text(f"const INDEX = {json.dumps(entries, ensure_ascii=False)};\n")

    def make(self):
        (self.folder / "pictures").mkdir(parents=True)
        with tempfile.TemporaryDirectory() as scratch:
            for name in ("index", *TASKS):
                self.page(name, Path(scratch))
        for name in command_help.commands() + command_help.subjects():
            self.write(f"help/{name.replace(' ', '-')}.html", command_help.body(name))
        self.write("reference/python.html", python_reference.body())
        self.write("reference/index.html", self.reference.index())
        for _, path in headers():
            self.write(f"reference/{path.stem}.html", self.reference.body(path))
        for name in ("style.css", "search.js"):
            shutil.copyfile(HERE / name, self.folder / name)
        self.write_index()


if __name__ == "__main__":
    Site(Path(sys.argv[1])).make()
