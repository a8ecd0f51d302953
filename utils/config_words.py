"""What a key of the schema needs, in words: for messages and for the table in docs/config.md."""

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_BOUNDS = {"ge": "of at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}"}


def is_section(annotation: Any) -> bool:
    """Whether a field holds keys of its own."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _flatten(metadata: tuple[Any, ...] | list[Any]) -> list[Any]:
    """The constraints themselves, out of the `Field(...)` they may be wrapped in."""
    return [part for item in metadata for part in (item.metadata if isinstance(item, FieldInfo) else [item])]


def _bounds(metadata: list[Any]) -> str:
    """`of at least 0 and below 1`."""
    found = {name: getattr(item, name) for name in _BOUNDS for item in metadata if hasattr(item, name)}
    if "ge" in found and "le" in found:
        return f" from {found['ge']} to {found['le']}"
    words = [_BOUNDS[name].format(limit) for name, limit in found.items()]
    return " " + " and ".join(words) if words else ""


def _list_words(element: Any, metadata: list[Any]) -> str:
    lengths = {
        name: getattr(item, name) for name in ("min_length", "max_length") for item in metadata if hasattr(item, name)
    }
    each = words_for(element)
    if not lengths:
        return f"a list, each {each}"
    if lengths.get("min_length") == lengths.get("max_length"):
        return f"a list of {lengths['min_length']}, each {each}"
    return f"a list of at least {lengths['min_length']}, each {each}"


def words_for(annotation: Any, metadata: tuple[Any, ...] | list[Any] = ()) -> str:
    """`a whole number of at least 1`, `one of COSINE, STEP, POLY`, `a list of 4, each a number of at least 0` ..."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    constraints = _flatten(metadata)
    if origin is Annotated:
        return words_for(arguments[0], [*arguments[1:], *constraints])
    if origin in (Union, types.UnionType):
        return " or ".join(words_for(part) for part in arguments if part is not type(None))
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if origin is list:
        return _list_words(arguments[0], constraints)
    if origin is dict:
        return "label: label pairs" if arguments[0] is int else "name: value pairs"
    if is_section(annotation):
        return "keys below it"
    names = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}
    return names[annotation] + (_bounds(constraints) if annotation in (int, float) else "")


def field_words(field: FieldInfo) -> str:
    """What the value of a field has to be."""
    return words_for(field.annotation, field.metadata)
