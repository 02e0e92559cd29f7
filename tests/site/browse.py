"""Every page of the manual in Chromium, as its reader sees it: browse.py CHROMIUM FOLDER [SCREENSHOTS]. Tells of each fault,
and how many pages had none; SCREENSHOTS is a folder for pictures of all pages."""
import base64
import json
import sys
import tempfile
from pathlib import Path

from chromium import Chromium

SCREENS = {"narrow": (360, 740, "light"), "wide": (1280, 900, "light"), "dark": (1280, 900, "dark")}

# Every page is looked at on the first screen, the one that what is on a page may be too wide for. Pages that a program
# writes are alike, so that of these only the following, one of each kind, are looked at on the others, as are all that are
# written by hand, which lie at the top.
ALIKE = {"help/fit.html", "help/formulas.html", "reference/index.html", "reference/python.html", "reference/training.html"}

# What overflows the page sideways; pictures that don't show; text whose contrast with what is behind it is below 4.5, the
# least of the Web Content Accessibility Guidelines' level AA; and text smaller than 12 pixels.
FAULTS = r"""
(async () => {
    const frame = () => new Promise(requestAnimationFrame);
    await frame();
    await frame();  // other colours may have other pictures, which are asked for now
    await Promise.all([...document.images].map(image => image.complete || new Promise(done => image.onload = image.onerror = done)));
    const faults = [], luminance = color => {
        const [r, g, b] = color.match(/[\d.]+/g).slice(0, 3).map(c => {
            c /= 255;
            return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = element => {
        for (; element; element = element.parentElement) {
            const color = getComputedStyle(element).backgroundColor;
            if (!/^rgba\(.*, 0\)$/.test(color)) return color;
        }
        return "rgb(255, 255, 255)";
    };
    const page = document.documentElement;
    if (page.scrollWidth > innerWidth) {
        const widest = [...document.querySelectorAll("main *, nav *, header *")].filter(
            e => e.getBoundingClientRect().right > innerWidth && !e.closest("pre, .wide, .skip"))[0];
        faults.push(`${page.scrollWidth} pixels wide in a window of ${innerWidth}: ${widest ? widest.outerHTML.slice(0, 80) : ""}`);
    }
    for (const image of document.images) if (!image.naturalWidth || !image.alt) faults.push(`no picture, or no text for it: ${image.src}`);
    const seen = new Set();
    for (const element of document.querySelectorAll("body *")) {
        if (![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()) || !element.checkVisibility()) continue;
        const style = getComputedStyle(element), front = luminance(style.color), back = luminance(behind(element));
        const contrast = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
        const what = contrast < 4.5 ? `contrast ${contrast.toFixed(2)}` : parseFloat(style.fontSize) < 12 ? `text of ${style.fontSize}` : "";
        if (what && !seen.has(what)) faults.push(`${what}: ${element.outerHTML.slice(0, 80)}`);
        seen.add(what);
    }
    return faults;
})()
"""


# What is typed into the search, and what comes of it first.
SEARCHED = {"nf_fit_options": "reference/training.html#nf_fit_options", "FlowDensity": "reference/python.html#weir.FlowDensity",
            "cmake": "c.html#cmake", "metropolis": "help/formulas.html", "fab": "help/objectives.html", "  ": None, "no such": None}
SEARCH = r"""
(text => {
    const field = document.querySelector("search input");
    field.value = text;
    field.dispatchEvent(new Event("input"));
    const first = document.querySelector("search li a");
    return first && first.getAttribute("href");
})
"""


def search_faults(browser):
    for text, expected in SEARCHED.items():
        found = browser.value(f"{SEARCH}({json.dumps(text)})")
        if found != expected:
            yield f"a search for {text!r} finds {found} first, and not {expected}"


def told(events):
    """What the console shows, and requests that aren't for the manual's own files."""
    for event in events:
        parameters = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            address = parameters["request"]["url"]
            if not address.startswith(("file:", "data:")):
                yield f"asks for {address}"
        elif event.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Network.loadingFailed"):
            yield f"console: {parameters.get('entry', parameters)}"


def main(program, site, screenshots=None):
    site, passed, failed = Path(site).resolve(), 0, 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Chromium(program, profile)
        for page in sorted(site.rglob("*.html")):
            faults = []
            browser.screen(*SCREENS["narrow"])
            browser.open(page.as_uri())
            alone = page.parent != site and page.relative_to(site).as_posix() not in ALIKE
            for name, screen in list(SCREENS.items())[:1 if alone and not screenshots else None]:
                browser.screen(*screen)
                faults += [f"{name}: {fault}" for fault in browser.value(FAULTS)]
                if screenshots:
                    place = Path(screenshots) / f"{page.relative_to(site).with_suffix('').as_posix().replace('/', '-')}-{name}.png"
                    place.write_bytes(base64.b64decode(browser("Page.captureScreenshot", captureBeyondViewport=False)["data"]))
            if page == site / "index.html":
                faults += search_faults(browser)
            faults += told(browser.events)
            for fault in faults:
                print(f"{page.relative_to(site)}: {fault}")
            passed, failed = passed + (not faults), failed + bool(faults)
        browser.close()
    return passed, failed


if __name__ == "__main__":
    passed, failed = main(*sys.argv[1:])
    print(f"in Chromium: {passed} pages without a fault, {failed} with one")
    sys.exit(failed > 0 or passed == 0)
