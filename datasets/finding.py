"""What the checks of a list find, in one form."""

from pathlib import Path
from typing import NamedTuple

SHOWN = 20


class Finding(NamedTuple):
    """Something wrong with a line of a list, or with the list (`line` 0).

    `kind` groups findings in the report. `severe`: a run would stop or skip there. `keep` is the number of frames that
    the line should give, 0 where the line should go, None where a corrected list leaves it as it is.
    """

    list_file: Path
    line: int
    kind: str
    message: str
    severe: bool = True
    keep: int | None = 0

    def __str__(self) -> str:
        where = f"{self.list_file}:{self.line}" if self.line else str(self.list_file)
        return f"{where}: {self.message}"


def report_lines(findings: list[Finding], *, shown: int | None = SHOWN) -> list[str]:
    """A heading with a count for each kind, then its first `shown` findings (None: all)."""
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.kind, []).append(finding)
    lines = []
    for kind, its in kinds.items():
        lines.append(f"{kind}: {len(its)}")
        lines += [f"  {finding}" for finding in its[:shown]]
        if shown is not None and len(its) > shown:
            lines.append(f"  and {len(its) - shown} more like these")
    return lines
