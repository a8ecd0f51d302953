"""Whatever stands in a list, main.py goes on or refuses: status 2, a line per fault, no traceback, nothing written."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.command_in_process import everything_below, fuzzing, refused_lines, status_of
from tests.experiments import write_experiment

SOUND = "clip 1 9 0"
PATHS = st.sampled_from(
    [
        "clip 0",
        "clip 1",
        "",
        ".",
        "..",
        "../frames/clip 1",
        "/etc",
        "clip 1/../clip 2",
        "no such",
        "clip 1/img_00001.jpg",
    ]
) | st.text(max_size=20)
NUMBERS = st.sampled_from(
    ["9", "0", "-1", "3", "1e3", "0x1", "9" * 30, "٣", "nan", "True", "1.0", "+1", "1_0", "2147483648", ""]
) | st.integers().map(str)
GAPS = st.sampled_from([" ", "\t", "  ", ",", "\u00a0", "\u2028", "\x0b", "\0", ""])
LINES = st.one_of(
    st.just(SOUND.encode()),
    st.tuples(PATHS, GAPS, NUMBERS, GAPS, NUMBERS).map(lambda parts: "".join(parts).encode("utf-8", "surrogatepass")),
    st.binary(max_size=30),
)
LISTS = st.builds(
    lambda begin, lines, end: begin + end.join(lines),
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\n\n"]),
    st.lists(LINES, max_size=8),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
)


def refuses_or_runs(folder: Path, *, to_the_end: bool) -> Callable[[bytes], None]:
    """`to_the_end`: good lists are trained on, else refused for weights that don't exist, which takes no time."""
    weights = {} if to_the_end else {"pretrained": str(folder / "no weights.pth.tar")}
    config = write_experiment(folder, videos=3, model=weights, lr_scheduler={"max_iter": 1}, bad_data={"train": "stop"})
    (folder / "good.txt").write_bytes((folder / "list.txt").read_bytes())
    config.write_text(
        config.read_text().replace("val_source: " + str(folder / "list.txt"), f"val_source: {folder}/good.txt")
    )

    def check(content: bytes) -> None:
        (folder / "list.txt").write_bytes(content)
        before = everything_below(folder)
        status, printed = status_of("--config", str(config), "--check")
        assert everything_below(folder) == before
        if status != 0 or not to_the_end:
            assert len(refused_lines(status, printed)) <= 25

    return check


def fuzz(folder: Path, examples: int, *, to_the_end: bool) -> None:
    check = refuses_or_runs(folder, to_the_end=to_the_end)
    fuzzing(examples)(given(LISTS)(check))()


def test_100_lists_run_or_are_refused(tmp_path: Path) -> None:
    fuzz(tmp_path, 100, to_the_end=False)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.timeout(3000)
def test_1000_lists_run_or_are_refused(tmp_path: Path) -> None:
    fuzz(tmp_path, 1000, to_the_end=True)
