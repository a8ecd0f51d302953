"""From an experiment's config.yaml to a checked `Config`, and back.

    config = load_config("exps/demo/tsm/config.yaml", ["common.batch_size=8"])

Everything that is wrong is reported at once, one line per mistake, in the order of the file.
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from utils.config_report import FIELDS, SchemaMistake, dotted, schema_mistakes
from utils.config_rules import rule_mistakes
from utils.config_schema import Config
from utils.config_words import is_section
from utils.config_yaml import MAX_DEPTH, LineMistake, read_yaml, short, write_yaml
from utils.errors import Mistake, UserError

REPOSITORY = Path(__file__).resolve().parent.parent
ROOT = "common"
FROM_COMMAND_LINE = 1_000_000_000  # sorts behind every line of the file

Check = Callable[[Config], list[Mistake]]
KeyPath = tuple[Any, ...]


class _Values(NamedTuple):
    """What the file and the command line say: values from the top level on, where each key stands, what is wrong."""

    values: dict[Any, Any]
    lines: dict[KeyPath, int]
    mistakes: list[LineMistake]


def repository_path(path: str | Path) -> Path:
    """A path of the config or the command line: absolute as it is, relative from the repository's root."""
    return REPOSITORY / path


def _read_text(path: str | Path) -> str:
    try:
        return repository_path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; relative paths start from {REPOSITORY}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: can't be read ({getattr(error, 'strerror', None) or error})") from error


def _read_file(path: str | Path) -> _Values:
    """The file's values; a file that can't be understood at all ends here."""
    document = read_yaml(_read_text(path))
    if not isinstance(document.value, dict):
        if not document.mistakes:
            got = "an empty file" if document.value is None else short(document.value)
            raise UserError(f"{path}: got {got}, needs `{ROOT}:` with the keys of docs/config.md below it")
        raise UserError(*(f"{path}:{mistake.line}: {mistake.message}" for mistake in document.mistakes))
    mistakes = list(document.mistakes)
    if ROOT not in document.value:
        line = min(document.lines.values(), default=1)
        mistakes.append(LineMistake(line, (), f"no `{ROOT}:`; put it first and indent everything else below it"))
        raise UserError(*(f"{path}:{mistake.line}: {mistake.message}" for mistake in mistakes))
    for key in document.value:
        if key != ROOT:
            message = f"{short(key, quote=False)}: not below `{ROOT}:`; indent it, or remove it"
            mistakes.append(LineMistake(document.lines[(key,)], (key,), message))
    return _Values(document.value, dict(document.lines), mistakes)


def _split_override(override: str) -> tuple[KeyPath, str]:
    """`common.a.b=value` -> (("common", "a", "b"), "value")."""
    key, equals, text = override.partition("=")
    path = tuple(int(part) if part.isdecimal() and len(part) < 10 else part for part in key.strip().split("."))
    if not equals or path[0] != ROOT or not 2 <= len(path) <= MAX_DEPTH or "" in path:
        meant = f"; did you mean {ROOT}.{override.strip()}?" if equals and path[1:] == () and path[0] else ""
        raise UserError(f"--set: got {short(override)}, needs {ROOT}.key=value{meant}")
    return path, text


def _apply_override(config: _Values, override: str) -> None:
    """Put one `--set` into the values, and its origin into the lines."""
    path, text = _split_override(override)
    document = read_yaml(text, path)
    section: Any = config.values
    for depth, part in enumerate(path[:-1]):
        if section.get(part) is None:
            section[part] = {}
            config.lines[path[: depth + 1]] = FROM_COMMAND_LINE
        section = section[part]
        if not isinstance(section, dict):
            name = dotted(path[1 : depth + 1])
            raise UserError(f"--set: got {short(override)}, but {name} is {short(section)}, which has no keys below it")
    section[path[-1]] = document.value
    config.mistakes[:] = [mistake for mistake in config.mistakes if mistake.path[: len(path)] != path]
    config.mistakes.extend(LineMistake(FROM_COMMAND_LINE, path, mistake.message) for mistake in document.mistakes)
    for known in [known for known in config.lines if known[: len(path)] == path]:
        del config.lines[known]
    config.lines[path] = FROM_COMMAND_LINE


def _line_of(path: KeyPath, lines: dict[KeyPath, int]) -> int:
    """Where a key stands; for one that isn't written, where its section does."""
    while path not in lines and path:
        path = path[:-1]
    return lines.get(path, 1)


def _validate(values: Any) -> tuple[Config | None, list[SchemaMistake]]:
    try:
        return Config.model_validate(values), []
    except ValidationError as error:
        return None, schema_mistakes(error, values)


def _without(values: Any, mistakes: Iterable[SchemaMistake]) -> Config | None:
    """The config with the defaults in place of what is wrong, if there are any."""
    values = copy.deepcopy(values)
    for mistake in mistakes:
        section = values
        if mistake.missing or not mistake.path:
            return None
        for part in mistake.path[:-1]:
            section = section[part]
        section.pop(mistake.path[-1], None)
    return _validate(values)[0]


def _further_mistakes(
    values: Any, wrong: list[KeyPath], checks: Sequence[Check], found: list[SchemaMistake]
) -> list[Mistake]:
    """What rules and checks say, as far as it can't follow from what is known to be wrong in the same section."""
    config = _without(values, found)
    if config is None:
        return []
    mistakes = [mistake for check in (rule_mistakes, *checks) for mistake in check(config)]
    sections = {_section(path) for path in wrong}
    return [mistake for mistake in mistakes if _section(tuple(mistake.path.split("."))) not in sections]


def _section(path: KeyPath) -> Any:
    """The section that a key lies in; the keys directly below `common:` are one section too."""
    return path[0] if (path[:1] in FIELDS and is_section(FIELDS[path[:1]].annotation)) else None


def _lookup(path: str, lines: dict[KeyPath, int]) -> KeyPath:
    """The key path that a check's dotted path means, as far as it is written in the file."""
    written = {".".join(map(str, known)): known for known in lines}
    whole = f"{ROOT}.{path}"
    return written.get(whole, tuple(whole.split(".")))


def _report(path: str | Path, mistakes: list[LineMistake]) -> UserError:
    """All mistakes, one line each, in the order of the file."""
    lines = []
    for mistake in sorted(mistakes, key=lambda each: each.line):
        origin = "--set" if mistake.line == FROM_COMMAND_LINE else f"{path}:{mistake.line}"
        where = f"{dotted(mistake.path[1:])}: " if mistake.path[:1] == (ROOT,) else ""
        line = f"{origin}: {where}{mistake.message}"
        if line not in lines:
            lines.append(line)
    return UserError(*lines)


def load_config(path: str | Path, overrides: Sequence[str] = (), checks: Sequence[Check] = ()) -> Config:
    """Read, override and check an experiment's config; what it returns is what stands under `common:`.

    `path` is relative to the repository's root. `overrides` are `common.key=value`, the value read as YAML. `checks`
    report what the owners of names and options find wrong (`methods.kwargs_mistakes`). Raises one `UserError` with a
    line per mistake, each with file and line, or `--set`.
    """
    config = _read_file(path)
    for override in overrides:
        _apply_override(config, override)
    values, mistakes = config.values[ROOT], config.mistakes
    _, found = _validate(values)
    known = {mistake.path for mistake in mistakes}
    for each in found:
        where = (ROOT, *each.path)
        if where not in known:
            mistakes.append(LineMistake(_line_of(where, config.lines), where, each.message))
    wrong = [mistake.path[1:] for mistake in mistakes]
    for further in _further_mistakes(values, wrong, checks, found):
        where = _lookup(further.path, config.lines)
        mistakes.append(LineMistake(_line_of(where, config.lines), where, further.message))
    if mistakes:
        raise _report(path, mistakes)
    return Config.model_validate(values)


def _plain(value: Any) -> Any:
    """Dicts and lists without their special types."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def config_as_dict(config: Config) -> dict[str, Any]:
    """What stands under `common:`, every key with its value, as plain dicts, lists, numbers and text."""
    values: dict[str, Any] = _plain(config.model_dump())
    return values


def write_config(config: Config, path: str | Path) -> None:
    """Write every key with the value that is used, as a file that `load_config` reads as an equal `Config`.

    Raises `UserError` where there is no room or no right to.
    """
    try:
        Path(path).write_text(write_yaml({ROOT: config_as_dict(config)}), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: can't be written ({error.strerror}); mend that and start again") from error
