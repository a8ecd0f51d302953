"""YAML text to plain values, with the line of every key; what YAML would read in a surprising way is a mistake.

Differences from YAML 1.1 as PyYAML reads it: `1e-3` is a number; `010`, `1:30` and `2020-01-01` are text (YAML 1.1
makes 8, 90 and a date of them); tags, merge keys (`<<`), NaN and infinity are refused. `yes` / `no` / `on` / `off`
are True and False, as in YAML 1.1.
"""

import math
import re
from typing import Any, NamedTuple

import yaml

MAX_CHARACTERS = 100_000
MAX_VALUES = 10_000  # counted after aliases are followed: ends "billion laughs" early
MAX_DEPTH = 20
LARGEST_INTEGER = 2**63 - 1
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_TAG = "tag:yaml.org,2002:"
_BOOLS = {word: word in ("yes", "true", "on") for word in ("yes", "no", "true", "false", "on", "off")}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)$")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?)$")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+$")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$")
_FORMS = ((_INTEGER, "int"), (_FLOAT, "float"), (_NOT_FINITE, "float"))


class LineMistake(NamedTuple):
    """A mistake with the line (1-based) and the whole path of the key it concerns (`("common", "seed")`, may be ())."""

    line: int
    path: tuple[Any, ...]
    message: str


class Document(NamedTuple):
    """What was read: plain values, the line of every key and list element by its path, and what was wrong."""

    value: Any
    lines: dict[tuple[Any, ...], int]
    mistakes: list[LineMistake]


class _UnreadableError(Exception):
    """The rest of the document can't be read either."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.mistake = LineMistake(line, (), message)


def scalar_form(text: str) -> str:
    """What an unquoted word is: "null", "bool", "int", "float" or "str"."""
    if text in ("", "~", "null", "Null", "NULL"):
        return "null"
    if text.lower() in _BOOLS and text in (text.lower(), text.upper(), text.capitalize()):
        return "bool"
    if _LEADING_ZERO.match(text):
        return "str"
    return next((name for form, name in _FORMS if form.match(text)), "str")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader up to the node graph; no value is constructed by it."""

    def resolve(self, kind: type, value: str, implicit: Any) -> str:
        """The tag of a node without one."""
        if kind is yaml.ScalarNode and implicit[0]:
            return _TAG + scalar_form(value)
        return str(super().resolve(kind, value, (False, True)))


class _Reader:
    """Turns the node graph into values, collecting lines and mistakes on the way."""

    def __init__(self) -> None:
        self.lines: dict[tuple[Any, ...], int] = {}
        self.mistakes: list[LineMistake] = []
        self._count = 0

    def read(self, node: yaml.Node, path: tuple[Any, ...], line: int) -> Any:
        """The value of a node; `line` is where its key stands."""
        self._count += 1
        if self._count > MAX_VALUES:
            raise _UnreadableError(line, f"more than {MAX_VALUES} values, aliases followed; needs a plain config")
        if len(path) > MAX_DEPTH:
            raise _UnreadableError(line, f"nested more than {MAX_DEPTH} levels deep; needs a plain config")
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return self._list(node, path)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path, line)
        return self._mistake(line, path, f"got the tag {short(node.tag)}; needs plain YAML: remove the tag")

    def _mistake(self, line: int, path: tuple[Any, ...], message: str) -> Any:
        """Note it; the value is None then."""
        self.mistakes.append(LineMistake(line, path, message))

    def _mapping(self, node: yaml.MappingNode, path: tuple[Any, ...]) -> dict[Any, Any]:
        values: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._key(key_node, path, line)
            where = (*path, key)
            if key is None:
                continue
            if key == "<<":
                self._mistake(line, path, "got a merge key (<<); needs every key written out")
            elif key in values:
                self._mistake(line, where, f"written twice, first in line {self.lines[where]}; remove one")
            else:
                self.lines[where] = line
                values[key] = self.read(value_node, where, line)
        return values

    def _key(self, node: yaml.Node, path: tuple[Any, ...], line: int) -> Any:
        key = self._scalar(node, path, line) if isinstance(node, yaml.ScalarNode) else None
        if key is None and not (self.mistakes and self.mistakes[-1].line == line):
            self._mistake(line, path, "got a key that is no plain word; needs `key: value`")
        return key

    def _list(self, node: yaml.SequenceNode, path: tuple[Any, ...]) -> list[Any]:
        values = []
        for index, element in enumerate(node.value):
            line = element.start_mark.line + 1
            where = (*path, index)
            self.lines[where] = line
            values.append(self.read(element, where, line))
        return values

    def _scalar(self, node: yaml.ScalarNode, path: tuple[Any, ...], line: int) -> Any:
        text, form = node.value, node.tag.removeprefix(_TAG)
        if UNPRINTABLE.search(text):
            return self._mistake(line, path, f"got {short(text)}; needs one line of printable text")
        if form not in ("null", "bool", "int", "float", "str"):
            return self._mistake(line, path, f"got the tag {short(node.tag)}; needs plain YAML: remove the tag")
        if form == "str":
            return text
        if scalar_form(text) != form and (form, scalar_form(text)) != ("float", "int"):
            return self._mistake(line, path, f"got {short(text)} tagged as {form}; remove the tag")
        return self._number(text, path, line) if form in ("int", "float") else _BOOLS.get(text.lower())

    def _number(self, text: str, path: tuple[Any, ...], line: int) -> float | int | None:
        digits = text.replace("_", "")
        if _INTEGER.match(text):
            if len(digits) < 20 and abs(int(digits)) <= LARGEST_INTEGER:
                return int(digits)
        elif not _NOT_FINITE.match(text) and math.isfinite(float(digits)):
            return float(digits)
        return self._mistake(line, path, f"got {short(text, quote=False)}; needs a finite number of ordinary size")


def short(value: Any, *, quote: bool = True) -> str:
    """A value as it is shown in a message: at most 60 characters, on one line."""
    text = repr(value) if quote or not isinstance(value, str) else value
    return text if len(text) <= 60 else text[:45] + " ... " + text[-10:]


def _complaint(error: yaml.YAMLError, text: str) -> LineMistake:
    """PyYAML's message as one line."""
    if isinstance(error, yaml.reader.ReaderError):
        return LineMistake(text.count("\n", 0, error.position) + 1, (), "not YAML: a character that it doesn't allow")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "context", None) or "unreadable"
    if "'\\t'" in problem:
        problem = "a tab; indent with spaces"
    return LineMistake(mark.line + 1 if mark else 1, (), f"not YAML: {UNPRINTABLE.sub(' ', problem)}")


def read_yaml(text: str, path: tuple[Any, ...] = ()) -> Document:
    """Read one YAML document; never raises for bad input: `mistakes` says what is wrong, `value` is what is left.

    `path` is where the value will stand, for `lines` and `mistakes` (an override from the command line).
    """
    reader = _Reader()
    try:
        if len(text) > MAX_CHARACTERS:
            raise _UnreadableError(1, f"{len(text)} characters; a config has at most {MAX_CHARACTERS}")
        node = yaml.compose(text, Loader=_Loader)
        value = None if node is None else reader.read(node, path, node.start_mark.line + 1)
    except yaml.YAMLError as error:
        return Document(None, {}, [_complaint(error, text)])
    except RecursionError:
        return Document(None, {}, [LineMistake(1, (), f"nested more than {MAX_DEPTH} levels deep")])
    except _UnreadableError as error:
        return Document(None, {}, [error.mistake])
    return Document(value, reader.lines, reader.mistakes)


class _Dumper(yaml.SafeDumper):
    """Quotes every text that either this module or YAML 1.1 would read as something else."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Quoted unless it is text unquoted."""
        style = None if scalar_form(text) == "str" else "'"
        return self.represent_scalar(_TAG + "str", text, style=style)

    def ignore_aliases(self, _data: Any) -> bool:
        """Values are written out wherever they stand."""
        return True


_Dumper.add_representer(str, _Dumper.represent_text)


def write_yaml(value: Any) -> str:
    """Plain dicts, lists, numbers and text as YAML that `read_yaml` reads back as the same values."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=10_000)
