// Finds pages, headings and names by what is typed: all words must occur. What begins with the words comes first, then what
// is shorter. "/" goes to the field, and Enter to the first that was found.
"use strict";
(() => {
    const search = document.querySelector("search"), field = search.querySelector("input"), list = search.querySelector("ul");
    const most = 20;
    search.hidden = false;
    const rank = (name, words) => (name.startsWith(words[0]) ? 0 : 1000) + name.length;
    const find = text => {
        const words = text.toLowerCase().split(/\s+/).filter(Boolean);
        if (!words.length) return [];
        return INDEX.filter(([name, , group]) => words.every(word => `${name} ${group}`.toLowerCase().includes(word)))
            .map(entry => [rank(entry[0].toLowerCase(), words), entry]).sort((a, b) => a[0] - b[0])
            .slice(0, most).map(([, entry]) => entry);
    };
    field.addEventListener("input", () => {
        const found = find(field.value);
        list.replaceChildren(...found.map(([name, place, group]) => {
            const item = document.createElement("li"), link = document.createElement("a"), behind = document.createElement("small");
            link.href = search.dataset.root + place;
            link.textContent = name;
            behind.textContent = group;
            link.append(behind);
            item.append(link);
            return item;
        }));
        if (!found.length && field.value.trim()) list.append(Object.assign(document.createElement("li"), {textContent: "Nothing is called so."}));
    });
    field.addEventListener("keydown", event => {
        const first = list.querySelector("a");
        if (event.key === "Enter" && first) first.click();
    });
    document.addEventListener("keydown", event => {
        if (event.key !== "/" || event.target.matches("input")) return;
        event.preventDefault();
        field.focus();
    });
})();
