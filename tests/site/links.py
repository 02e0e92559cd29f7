"""Every link of the manual leads to a page, a picture or a place that is there: links.py FOLDER. Tells of each that doesn't,
of each name that is given to two places of a page, and how many pages had none."""
import json
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Places(HTMLParser):
    """What a page leads to, and the places on it."""

    def __init__(self, text):
        super().__init__()
        self.to, self.places, self.twice = [], set(), []
        self.feed(text)

    @classmethod
    def of_search(cls, script):
        """What the search leads to, as if it were a page."""
        own = cls("")
        own.to = [("a", place) for _, place, _ in json.loads(script.removeprefix("const INDEX = ").rstrip(";\n"))]
        return own

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src"):
                self.to.append((tag, value))
            elif name == "id":
                self.twice += [value] if value in self.places else []
                self.places.add(value)


def faults_of(page, own, pages):
    for tag, address in own.to:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            # A reader may follow a link to elsewhere; a page that is shown must need nothing from there.
            if tag != "a" and parts.scheme != "data":
                yield f"needs {address}"
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not target.is_file():
            yield f"leads to {address}, which is not there"
        elif parts.fragment and unquote(parts.fragment) not in pages[target].places:
            yield f"leads to {address}, which has no such place"
    for name in own.twice:
        yield f"has the place {name} twice"


def main(folder):
    pages = {page: Places(page.read_text()) for page in sorted(Path(folder).resolve().rglob("*.html"))}
    index = Path(folder).resolve() / "search-index.js"
    pages[index] = Places.of_search(index.read_text())
    failed = 0
    for page, own in pages.items():
        faults = list(faults_of(page, own, pages))
        failed += bool(faults)
        for fault in faults:
            print(f"{page.name}: {fault}")
    return len(pages) - failed, failed


if __name__ == "__main__":
    passed, failed = main(sys.argv[1])
    print(f"links: {passed} pages without a fault, {failed} with one")
    sys.exit(failed > 0 or passed == 0)
