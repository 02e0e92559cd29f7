"""What the library tells, under the headers' own names, in a form that prints to be read."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def _shown(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


class Record(SimpleNamespace):
    """The members of a struct. One of several lines is printed a line for each member; of a list only its length, and
    it is there all the same."""

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        lines, width = [], max(map(len, self.__dict__), default=0)
        for name, value in self.__dict__.items():
            if isinstance(value, Record):
                lines += [name, *("  " + line for line in value._lines())]
            elif isinstance(value, list):
                lines.append(f"{name:{width}}  [{len(value)} of {', '.join(value[0].__dict__)}]" if value
                             else f"{name:{width}}  []")
            else:
                lines.append(f"{name:{width}}  {_shown(value)}".rstrip())
        return lines


class Summary(dict[str, Record]):
    """A record for each element of a target, by its name; printed as a table with a row for each."""

    def __repr__(self) -> str:
        columns = list(next(iter(self.values())).__dict__) if self else []
        table = [["", *columns], *([name, *(_shown(getattr(of, column)) for column in columns)]
                                   for name, of in self.items())]
        widths = [max(map(len, column)) for column in zip(*table)]
        return "\n".join("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                                   for i, (cell, width) in enumerate(zip(row, widths))) for row in table)
