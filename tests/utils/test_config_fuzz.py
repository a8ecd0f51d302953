import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.command_in_process import everything_below, fuzzing, refused_lines, status_of
from tests.utils.written_config import GOOD, write
from utils.config_file import load_config, write_config
from utils.errors import UserError

VALUES = ["3", "-1", "0", "1e-3", "many", "''", "null", "[1, 2]", "{a: 1}", "True", ".inf", "1e400", "!!int x",
          "*a", "&a [*a]", "'", "\t", "- 1", "? x", "é\u2028", "2020-01-01", "9" * 400,
          "0x10", "!!binary aGk="]  # fmt: skip


def mutate(text: str, rng: random.Random) -> str:
    """One, two or four random edits of lines or characters."""
    lines = text.split("\n")
    for _ in range(rng.choice([1, 1, 2, 4])):
        position = rng.randrange(len(lines))
        line = lines[position]
        cut = rng.randrange(len(line) + 1)
        kind = rng.randrange(7)
        if kind == 0:
            del lines[position]
            lines = lines or [""]
        elif kind == 1:
            lines.insert(rng.randrange(len(lines) + 1), line)
        elif kind == 2:
            lines[position] = line.split(":")[0] + ": " + rng.choice(VALUES)
        elif kind == 3:
            lines[position] = line[:cut] + chr(rng.choice([*range(128), 0x85, 0xFEFF, 0x4E2D])) + line[cut:]
        elif kind == 4:
            lines[position] = line[:cut] + line[cut + 1 :]
        elif kind == 5:
            lines[position] = " " * rng.randint(0, 9) + line.strip()
        else:
            lines[position] = line.replace(":", rng.choice(["", ": :", ":{", "="]), 1)
    return "\n".join(lines)


def test_whatever_the_file_it_is_a_config_or_a_user_error(tmp_path: Path) -> None:
    rng = random.Random(7)
    loaded, refused = 0, []
    for number in range(300):
        path = write(tmp_path, mutate(GOOD, rng))
        overrides = [f"common.{rng.choice(['model', 'batch_size', 'x', 'model.kwargs.t'])}={rng.choice(VALUES)}"]
        started = time.monotonic()
        try:
            config = load_config(path, overrides if number % 3 == 0 else [])
            loaded += 1
            write_config(config, tmp_path / "again.yaml")
            assert load_config(tmp_path / "again.yaml") == config
        except UserError as error:
            refused.extend(error.lines)
        assert time.monotonic() - started < 1
    assert loaded > 10
    assert len(refused) > 100
    assert not [line for line in refused if "\n" in line or "pydantic" in line]
    "\n".join(refused).encode("utf-8")  # can be printed


SCALARS = st.sampled_from(VALUES) | st.integers().map(str) | st.floats().map(str) | st.text(max_size=9)
KEYS = [line.split(":")[0].strip() for line in GOOD.splitlines()]
OVERRIDES = st.builds(
    lambda path, value: f"{'.'.join(path)}={value}",
    st.lists(st.sampled_from(["common", *KEYS]) | st.text(max_size=6), min_size=1, max_size=4),
    SCALARS,
)
TEXTS = st.one_of(
    st.randoms(use_true_random=False).map(lambda rng: mutate(GOOD, rng).encode("utf-8", "surrogatepass")),
    st.lists(st.tuples(st.sampled_from(KEYS) | st.text(max_size=8), SCALARS), max_size=6).map(
        lambda pairs: ("common:\n" + "".join(f"    {key}: {value}\n" for key, value in pairs)).encode(
            "utf-8", "surrogatepass"
        )
    ),
    st.binary(max_size=80),
)
MODES = st.sampled_from([(), ("--check",), ("--evaluate",), ("--evaluate", "--protocol", "all"), ("--replay", "x")])


def refuses(folder: Path) -> Callable[[bytes, list[str], tuple[str, ...]], None]:
    """The roots of the config don't exist, so nothing can come of any."""

    def check(text: bytes, overrides: list[str], mode: tuple[str, ...]) -> None:
        path = folder / "config.yaml"
        path.write_bytes(text)
        before = everything_below(folder)
        given_overrides = [part for override in overrides for part in ("--set", override) if override[:1] != "-"]
        started = time.monotonic()
        lines = refused_lines(*status_of("--config", str(path), *given_overrides, *mode))
        assert time.monotonic() - started < 5
        assert everything_below(folder) == before
        assert not [line for line in lines if "pydantic" in line]

    return check


def fuzz(folder: Path, examples: int) -> None:
    arguments = (TEXTS, st.lists(OVERRIDES, max_size=2), MODES)
    fuzzing(examples)(given(*arguments)(refuses(folder)))()


def test_100_configs_are_refused_by_the_command(tmp_path: Path) -> None:
    fuzz(tmp_path, 100)


@pytest.mark.slow
@pytest.mark.faults
def test_1000_configs_are_refused_by_the_command(tmp_path: Path) -> None:
    fuzz(tmp_path, 1000)
