import copy
import time
from pathlib import Path

import pytest
import yaml
from easydict import EasyDict

from tests.utils.written_config import GOOD, write
from utils.config_file import REPOSITORY, config_as_dict, load_config, repository_path, write_config
from utils.config_schema import Config
from utils.errors import Mistake, UserError


def mistakes(folder: Path, text: str, overrides: tuple[str, ...] = (), checks: tuple = ()) -> list[str]:
    """The lines of the UserError, without the folder."""
    path = write(folder, text)
    with pytest.raises(UserError) as caught:
        load_config(path, overrides, checks)
    return [line.replace(f"{folder}/", "") for line in caught.value.lines]


def test_a_good_config_loads_with_types_and_defaults(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    assert isinstance(config, Config)
    assert config.lr_scheduler.base_lr == 0.01  # `1e-2` is text in YAML 1.1
    assert isinstance(config.model.kwargs, EasyDict)
    assert config.model.kwargs.shift_div == 8
    assert config.augmentation.scales == [1.0, 0.875, 0.75, 0.66]
    assert config.val_dense is False


def test_an_int_is_fine_where_a_number_is_meant_but_not_the_other_way_round(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, GOOD), ["common.weight_decay=0"]).weight_decay == 0
    assert mistakes(tmp_path, GOOD, ("common.batch_size=8.0",)) == [
        "--set: common.batch_size: got 8.0, needs a whole number of at least 1; write 8"
    ]
    assert mistakes(tmp_path, GOOD, ("common.batch_size=True",)) == [
        "--set: common.batch_size: got True, needs a whole number of at least 1"
    ]


def test_all_mistakes_come_in_one_report_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = GOOD.replace("backbone:", "backbon:").replace("batch_size: 8", "batch_size: many")
    text = text.replace("max_iter: 1000\n", "max_iter: 1000\n        warmup_steps: '5'\n")
    text = text.replace("val_source: val.txt", "no_wd: maybe")
    assert mistakes(tmp_path, text) == [
        "config.yaml:1: common.val_source: missing, needs text (list file of the evaluation videos)",
        "config.yaml:4: common.model.backbon: no such key. Did you mean 'backbone'?",
        "config.yaml:11: common.batch_size: got 'many', needs a whole number of at least 1",
        "config.yaml:15: common.lr_scheduler.warmup_steps: got '5', needs a whole number of at least 0; "
        "remove the quotes",
        "config.yaml:19: common.no_wd: got 'maybe', needs True or False",
    ]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("batch_size: 8", "batch_size: 8\n    batch_size: 9",
         "config.yaml:12: common.batch_size: written twice, first in line 11; remove one"),
        ("shift_div: 8", "shift_div: 8\n            shift_div: 8",
         "config.yaml:8: common.model.kwargs.shift_div: written twice, first in line 7; remove one"),
        ("batch_size: 8", "batch_size: 8\n    num_class: 3",
         "config.yaml:12: common.num_class: no such key here. Did you mean common.model.num_class?"),
        ("num_class: 10", "num_class:",
         "config.yaml:5: common.model.num_class: got nothing, needs a whole number of at least 1"),
        ("max_iter: 1000", "max_iter: 010",
         "config.yaml:14: common.lr_scheduler.max_iter: got '010', needs a whole number of at least 1; "
         "write it without a leading 0"),
        ("max_iter: 1000", "max_iter: 1:30",
         "config.yaml:14: common.lr_scheduler.max_iter: got '1:30', needs a whole number of at least 1"),
        ("base_lr: 1e-2", "base_lr: .nan",
         "config.yaml:13: common.lr_scheduler.base_lr: got .nan; needs a finite number of ordinary size"),
        ("base_lr: 1e-2", "base_lr: 1e999",
         "config.yaml:13: common.lr_scheduler.base_lr: got 1e999; needs a finite number of ordinary size"),
        ("base_lr: 1e-2", "base_lr: nan",
         "config.yaml:13: common.lr_scheduler.base_lr: got 'nan', needs a number above 0"),
        ("train_root: /data", "train_root: 5",
         "config.yaml:15: common.train_root: got 5, needs text; put it in quotes"),
        ("train_root: /data", 'train_root: "a\\0b"',
         "config.yaml:15: common.train_root: got 'a\\x00b'; needs one line of printable text"),
        ("train_root: /data", "train_root: !!python/object/apply:os.system [ls]",
         "config.yaml:15: common.train_root: got the tag 'tag:yaml.org,2002:python/object/apply:os.system'; "
         "needs plain YAML: remove the tag"),
        ("batch_size: 8", "optimizer: adamw\n    batch_size: 8",
         "config.yaml:11: common.optimizer: got 'adamw', needs one of SGD, ADAMW; write ADAMW"),
        ("shift_div: 8", "items: 8",
         "config.yaml:6: common.model.kwargs: 'items' can't be the name of an option, needs name: value pairs"),
        ("    batch_size: 8", "    source:\n    batch_size: 8",
         "config.yaml:11: common.source: got nothing, needs keys below it; remove the line where the defaults will do"),
        ("input_size: 224", "colorjitter: [0.2, 0.2, 0.2]",
         "config.yaml:9: common.augmentation.colorjitter: got [0.2, 0.2, 0.2], needs a list of 4, each a number of "
         "at least 0"),
        ("    train_root: /data", "    <<: {train_root: /data}\n    train_root: /data",
         "config.yaml:15: common: got a merge key (<<); needs every key written out"),
        ("common:", "batch_size: 8\ncommon:",
         "config.yaml:1: batch_size: not below `common:`; indent it, or remove it"),
        ("    batch_size", "\tbatch_size", "config.yaml:11: not YAML: a tab; indent with spaces"),
    ],
)  # fmt: skip
def test_one_mistake_gives_one_line(tmp_path: Path, old: str, new: str, line: str) -> None:
    assert old in GOOD
    assert mistakes(tmp_path, GOOD.replace(old, new)) == [line]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "config.yaml: got an empty file, needs `common:` with the keys of docs/config.md below it"),
        ("# nothing\n", "config.yaml: got an empty file, needs `common:` with the keys of docs/config.md below it"),
        ("- 1\n", "config.yaml: got [1], needs `common:` with the keys of docs/config.md below it"),
        ("batch_size: 3\n", "config.yaml:1: no `common:`; put it first and indent everything else below it"),
        ("common:\n", "config.yaml:1: common: got None, needs keys below it"),
        ("common: 3\n", "config.yaml:1: common: got 3, needs keys below it"),
        ("common: {\n", "config.yaml:2: not YAML: expected the node content, but found '<stream end>'"),
        ("a\x00b", "config.yaml:1: not YAML: a character that it doesn't allow"),
        ("common: 1\n---\ncommon: 2\n", "config.yaml:2: not YAML: but found another document"),
    ],
)
def test_a_file_that_is_no_config(tmp_path: Path, text: str, line: str) -> None:
    assert mistakes(tmp_path, text) == [line]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.yaml: no such file; relative paths start from"):
        load_config(tmp_path / "gone.yaml")
    with pytest.raises(UserError, match="can't be read"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("common: ä".encode("latin-1"))
    with pytest.raises(UserError, match="byte 8 is not UTF-8"):
        load_config(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    "bomb",
    [
        "common:\n    a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"    {b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi")),
        "common: &c\n    model: *c\n",
        "common: " + "[" * 100_000,
        "common: " + "{a: " * 5_000,
        "common: [" + "1, " * 60_000 + "]",
        "common:\n" + "    x: 1\n" * 30_000,
    ],
    ids=["laughs", "recursive", "brackets", "braces", "long list", "long file"],
)
def test_bombs_end_quickly_in_one_line(tmp_path: Path, bomb: str) -> None:
    started = time.monotonic()
    assert len(mistakes(tmp_path, bomb)) == 1
    assert time.monotonic() - started < 5  # typically 0.1 to 2 s


def test_windows_files_are_fine(tmp_path: Path) -> None:
    unix = load_config(write(tmp_path, GOOD))
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_config(path) == unix


def test_overrides(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    config = load_config(path, [
        "common.batch_size=4", "common.model.kwargs.shift_div=4", "common.source.type=video",
        "common.augmentation.flip_label_map={3: 4, 4: 3}", "common.val_protocol=center", "common.train_root=a=b",
    ])  # fmt: skip
    assert (config.batch_size, config.model.kwargs.shift_div, config.source.type) == (4, 4, "video")
    assert config.augmentation.flip_label_map == {3: 4, 4: 3}
    assert (config.val_protocol, config.train_root) == ("center", "a=b")
    assert mistakes(tmp_path, GOOD, ("common.batch_sise=4", "common.batch_size=many")) == [
        "--set: common.batch_size: got 'many', needs a whole number of at least 1",
        "--set: common.batch_sise: no such key. Did you mean 'batch_size'?",
    ]
    assert mistakes(tmp_path, GOOD, ("batch_size=4",)) == [
        "--set: got 'batch_size=4', needs common.key=value; did you mean common.batch_size=4?"
    ]
    assert mistakes(tmp_path, GOOD, ("common.batch_size.x=4",)) == [
        "--set: got 'common.batch_size.x=4', but common.batch_size is 8, which has no keys below it"
    ]
    for strange in ("common", "common=3", "", "=", "common.=3", "common." + "a." * 50 + "b=1"):
        assert "needs common.key=value" in mistakes(tmp_path, GOOD, (strange,))[0]


def test_an_override_mends_what_the_file_has_wrong(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("base_lr: 1e-2", "base_lr: .nan").replace("batch_size: 8", "batch_size: many"))
    config = load_config(path, ["common.lr_scheduler.base_lr=0.1", "common.batch_size=2"])
    assert (config.lr_scheduler.base_lr, config.batch_size) == (0.1, 2)


def check_shift_div(config: Config) -> list[Mistake]:
    return [Mistake("model.kwargs.shift_div", "got 8, needs 4")] if config.model.kwargs.get("shift_div") == 8 else []


def check_width(config: Config) -> list[Mistake]:
    return [Mistake("model.kwargs.width", "not written")]


def test_checks_are_located_and_come_with_the_other_mistakes(tmp_path: Path) -> None:
    lines = mistakes(tmp_path, GOOD.replace("test_resize: 256", "test_resize: 200"), (), (check_shift_div, check_width))
    assert lines == [
        "config.yaml:6: common.model.kwargs.width: not written",
        "config.yaml:7: common.model.kwargs.shift_div: got 8, needs 4",
        "config.yaml:10: common.augmentation.test_resize: got 200, needs at least input_size (224), "
        "the crop that is cut from it",
    ]
    other_section = GOOD.replace("batch_size: 8", "batch_size: 8\n    seeed: 1")
    assert len(mistakes(tmp_path, other_section, (), (check_shift_div,))) == 2
    same_section = GOOD.replace("num_class: 10", "num_class: 10\n        strid: 1")
    assert mistakes(tmp_path, same_section, (), (check_shift_div,)) == [
        "config.yaml:6: common.model.strid: no such key. Did you mean 'stride'?"
    ]


def test_a_misspelt_key_has_no_follow_up_mistakes(tmp_path: Path) -> None:
    text = GOOD.replace("max_iter: 1000", "max_iter: 1000\n        warmup_step: 9\n        warmup_lr: 0.1")
    assert mistakes(tmp_path, text) == [
        "config.yaml:15: common.lr_scheduler.warmup_step: no such key. Did you mean 'warmup_steps'?"
    ]


def test_a_written_config_loads_as_an_equal_one(tmp_path: Path) -> None:
    strange = ["common.train_root='1e-3'", "common.train_source='010'", "common.val_root=' #x: é {'",
               "common.val_source='yes'", "common.weight_decay=0.00001", "common.augmentation.mean=[0.5,0.5,1]",
               "common.augmentation.flip_label_map={1: 2, 2: 1}", "common.model.pretrained='null'",
               "common.model.kwargs.nested={a: [1, {b: 'no'}]}"]  # fmt: skip
    config = load_config(write(tmp_path, GOOD), strange)
    assert (config.train_root, config.val_source, config.model.pretrained) == ("1e-3", "yes", "null")
    assert config.model.kwargs.nested.a[1].b == "no"
    write_config(config, tmp_path / "config_resolved.yaml")
    assert load_config(tmp_path / "config_resolved.yaml") == config
    text = (tmp_path / "config_resolved.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == {"common": config_as_dict(config)}  # any YAML reader sees the same
    assert type(config_as_dict(config)["model"]["kwargs"]["nested"]) is dict


def test_a_full_disk_under_the_resolved_config_is_one_line(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    with pytest.raises(UserError, match=r"/dev/full: can't be written \(No space left on device\); mend that"):
        write_config(config, "/dev/full")


def test_relative_paths_start_from_the_repository() -> None:
    assert repository_path("exps/x") == REPOSITORY / "exps" / "x"
    assert repository_path("/a/b") == Path("/a/b")
    assert (REPOSITORY / "pyproject.toml").is_file()


def test_the_values_are_not_shared_between_loads(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    one, other = load_config(path), load_config(path)
    before = copy.deepcopy(other.augmentation)
    one.augmentation.scales.append(0.5)
    assert other.augmentation == before
    assert load_config(path).augmentation == before
