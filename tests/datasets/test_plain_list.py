"""Lists read all lines at once: what the careful way reads, or left to it."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.list_file import VideoList, parse_list
from datasets.plain_list import parse_plain

NUM_CLASS = 20


def fast(data: bytes, *, outside_root: bool = False) -> list[tuple[str, int, int, int]] | None:
    plain = parse_plain(data, num_class=NUM_CLASS, outside_root=outside_root)
    videos = plain and VideoList.of_plain(plain, Path("list.txt"))
    return None if videos is None else [tuple(videos[index]) for index in range(len(videos))]


NOT_PLAIN = (
    *("", " a 1 2", "a  1 2", "a 1  2", "a 1 2 ", "a\t1 2", "a 1", "a 2 x", "a x 2", "1 2", " 1 2"),
    *("/a 1 2", "a/../b 1 2", "a 0 2", "a 1 20", "a -1 2", "a 1 -2", "a 1234567890 2"),
    *("a\0 1 2", "é 1 2", "\ufeffa 1 2", "a 1 2\x0b"),
)


@pytest.mark.parametrize("last", ["", "\n", "\r\n"])
def test_plain_lines(last: str) -> None:
    data = f"a/b 12 0{last or chr(10)}my video 7 1 19{last}".encode()
    assert fast(data) == [("a/b", 12, 0, 1), ("my video 7", 1, 19, 2)]


@pytest.mark.parametrize("line", NOT_PLAIN)
def test_what_is_not_plain_is_left_to_the_careful_way(line: str) -> None:
    for text in (f"b 1 2\n{line}\nc 3 4\n", f"{line}\nb 1 2\n", f"b 1 2\n{line}\n\n"):
        assert fast(text.encode()) is None


def test_paths_may_leave_the_root_where_that_is_allowed() -> None:
    assert fast(b"/a/../b 1 2\n", outside_root=True) == [("/a/../b", 1, 2, 1)]


@settings(max_examples=500, deadline=None)
@given(text=st.text(alphabet="a/. \n\r\t012\x00é", max_size=40))
def test_whatever_is_read_fast_is_read_alike_carefully(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    found = fast(text.encode())
    if found is not None:
        file = tmp_path_factory.mktemp("lists") / "list.txt"
        file.write_bytes(text.encode())
        records, faults = parse_list(file, num_class=NUM_CLASS)
        assert not faults
        assert [tuple(record) for record in records] == found
