"""What all listing verbs share: filters, tables, `--format`."""

from __future__ import annotations

from kobako.cli.flags import bad_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def filters(words: Sequence[str]) -> dict[str, list[str]]:
    """`name=value` words by name."""
    found: dict[str, list[str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise bad_value("-f, --filter", word, "bad format of filter (expected name=value)")
        found.setdefault(name.strip().lower(), []).append(value.strip())
    return found


def render(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str]], form: str = ""
) -> str:
    """Rows in docker's default table, or by `--format`: `json`, `table ...` or a template."""
    from kobako.cli import table

    if form in ("", "table"):
        cells = [[title for _, title in columns]]
        cells += [[str(row[field]) for field, _ in columns] for row in rows]
        return table.render(cells)
    from kobako.cli import template

    if form == "json":
        return "".join(template.to_json(_plain(row)) + "\n" for row in rows)
    form = template.unescape(form)
    if form.startswith("table"):
        source = form.removeprefix("table").lstrip(" \t")
        titles = _Titles(columns)
        run = template.compile_template(source)
        lines = [run(titles), *(run(row) for row in rows)]
        return table.render([line.split("\t") for line in lines])
    run = template.compile_template(form)
    return "".join(run(row) + "\n" for row in rows)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in sorted(row.items()) if isinstance(v, str)}


class _Titles(dict):  # type: ignore[type-arg]
    """The dot of a header line: a field is its own title, a label the end of its name."""

    def __init__(self, columns: Sequence[tuple[str, str]]) -> None:
        super().__init__(columns)
        self["Label"] = _title_of_label

    def __contains__(self, field: object) -> bool:
        return True

    def __missing__(self, field: str) -> str:
        words = [field[0]]
        for letter in field[1:]:
            words.append(" " + letter if letter.isupper() and words[-1][-1:].islower() else letter)
        return "".join(words).upper()


def _title_of_label(name: str) -> str:
    return name.rpartition(".")[2].replace("-", " ").replace("_", " ")
