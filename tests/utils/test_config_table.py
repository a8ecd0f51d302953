from pathlib import Path

import pytest

from utils.config_report import FIELDS
from utils.config_table import PAGES, make_table, with_table
from utils.errors import UserError


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_table_in_the_docs_is_the_schema(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert page == with_table(page), "run `python -m utils.config_table --write`"


def test_the_table_has_every_key_with_its_type_default_and_meaning() -> None:
    rows = make_table().splitlines()
    row = "| `model.num_class` | a whole number of at least 1 | **needed** | number of classes; labels run from 0 to "
    assert row + "num_class - 1 |" in rows
    assert sum(row.startswith("| `augmentation.") for row in rows) == 12
    assert all(field.description for path, field in FIELDS.items() if f"| `{'.'.join(path)}`" in make_table())


def test_a_page_without_the_place_of_the_table() -> None:
    with pytest.raises(UserError, match="put back the lines"):
        with_table("# config")
