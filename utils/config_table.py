"""The table of every config key in README.md and docs/config.md, made from the schema.

python -m utils.config_table            print the table
python -m utils.config_table --write    put it into both pages
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from utils.config_report import FIELDS
from utils.config_words import field_words, is_section
from utils.errors import run_command
from utils.page_table import place_table

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = (REPOSITORY / "README.md", REPOSITORY / "docs" / "config.md")
COMMAND = "python -m utils.config_table --write"


def _default(field: Any) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "**needed**"
    return "" if value is None else f"`{value}`"


def make_table() -> str:
    """Markdown: key, what its value has to be, default, meaning; in the order of the schema."""
    rows = ["| key, below `common:` | type | default | meaning |", "|---|---|---|---|"]
    for path, field in FIELDS.items():
        if is_section(field.annotation):
            continue
        cells = (f"`{'.'.join(path)}`", field_words(field), _default(field), field.description or "")
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def with_table(page: str) -> str:
    """The page with the table as the schema makes it now."""
    return place_table(page, make_table(), command=COMMAND)


def main() -> int:
    """Print the table, or write it into both pages."""
    parser = argparse.ArgumentParser(description="The table of every config key.")
    parser.add_argument("--write", action="store_true", help="write it into README.md and docs/config.md")
    if parser.parse_args().write:
        for page in PAGES:
            page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(make_table())
    return 0


if __name__ == "__main__":
    run_command(main)
