"""What pydantic found wrong, in the words of this project: one mistake per key, with the closest name."""

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from utils.config_schema import Config
from utils.config_words import field_words, is_section
from utils.config_yaml import short

Path = tuple[Any, ...]


class SchemaMistake(NamedTuple):
    """A key (path without `common`) that doesn't fit the schema; `missing`: it isn't there at all."""

    path: Path
    message: str
    missing: bool


def all_fields(section: type = Config, path: Path = ()) -> Iterator[tuple[Path, FieldInfo]]:
    """Every key of the schema, sections' keys after the section itself, in the order of the schema."""
    for name, field in section.model_fields.items():  # type: ignore[attr-defined]
        yield (*path, name), field
        if is_section(field.annotation):
            yield from all_fields(field.annotation, (*path, name))


FIELDS = dict(all_fields())


def dotted(path: Path) -> str:
    """`common.model.num_class`; what isn't a plain name is quoted."""
    words = (str(part) if str(part).isidentifier() or isinstance(part, int) else short(part) for part in path)
    return ".".join(("common", *words))


def closest(name: Any, names: Iterable[str]) -> str | None:
    """The name that was probably meant."""
    return next(iter(difflib.get_close_matches(str(name), list(names), n=1)), None)


def _unknown(path: Path) -> str:
    """No such key: the closest one beside it, else the same name in another section, else all there are."""
    section, name = path[:-1], path[-1]
    beside = [known[-1] for known in FIELDS if known[:-1] == section]
    meant = closest(name, beside)
    if meant:
        return f"no such key. Did you mean {meant!r}?"
    elsewhere = [known for known in FIELDS if known[-1] == name]
    if elsewhere:
        return f"no such key here. Did you mean {dotted(elsewhere[0])}?"
    return f"no such key. Keys of {dotted(section)}: {', '.join(beside)}"


def _hint(value: Any, needs: str) -> str:
    """What to do about it, where that is plain."""
    if isinstance(value, str) and "number" in needs and value.strip("+-").replace(".", "", 1).isdigit():
        return "; remove the quotes" if not value.startswith("0") else "; write it without a leading 0"
    if (
        isinstance(value, str)
        and needs.startswith("one of ")
        and value.upper() in needs.split("one of ")[1].split(", ")
    ):
        return f"; write {value.upper()}"
    if needs == "text" and isinstance(value, int | float):
        return "; put it in quotes"
    if isinstance(value, float) and value.is_integer() and needs.startswith("a whole number"):
        return f"; write {int(value)}"
    return ""


def _value_at(values: Any, path: Path) -> Any:
    for part in path:
        values = values[part]
    return values


def _wrong_value(path: Path, field: FieldInfo, values: Any) -> str:
    value, needs = _value_at(values, path), field_words(field)
    if value is None and is_section(field.annotation):
        return f"got nothing, needs {needs}; remove the line where the defaults will do"
    got = "nothing" if value is None else "an empty text" if value == "" else short(value)
    return f"got {got}, needs {needs}{_hint(value, needs)}"


def _translate(error: Any, values: Any) -> SchemaMistake:
    location = tuple(error["loc"])
    if error["type"] == "missing":
        field = FIELDS[location]
        return SchemaMistake(location, f"missing, needs {field_words(field)} ({field.description})", True)
    path = max((known for known in ((), *FIELDS) if location[: len(known)] == known), key=len)
    if error["type"] in ("extra_forbidden", "invalid_key") and (not path or is_section(FIELDS[path].annotation)):
        path = location if error["type"] == "extra_forbidden" else location[: len(path) + 1]
        return SchemaMistake(path, _unknown(path), False)
    if not path:
        return SchemaMistake((), f"got {short(values)}, needs keys below it", False)
    message = _wrong_value(path, FIELDS[path], values)
    if error["type"] == "value_error":
        message = f"{error['ctx']['error']}, needs {field_words(FIELDS[path])}"
    return SchemaMistake(path, message, False)


def schema_mistakes(error: ValidationError, values: Any) -> list[SchemaMistake]:
    """One mistake per key; `values` is what was validated (what stands under `common:`)."""
    found: dict[Path, SchemaMistake] = {}
    for detail in error.errors(include_url=False, include_input=False):
        mistake = _translate(detail, values)
        found.setdefault(mistake.path, mistake)
    return [mistake for mistake in found.values() if not (mistake.missing and _misspelt(mistake.path, found))]


def _misspelt(path: Path, found: Iterable[Path]) -> bool:
    """Whether a missing key is there under a name that is reported as its misspelling."""
    beside = [known[-1] for known in FIELDS if known[:-1] == path[:-1]]
    strangers = [other[-1] for other in found if other[:-1] == path[:-1] and other not in FIELDS]
    return any(closest(name, beside) == path[-1] for name in strangers)
