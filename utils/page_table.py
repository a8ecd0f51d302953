"""A table of a page that a command makes: put between two lines of the page that mark its place."""

from utils.errors import UserError

END = "<!-- end -->\n"


def place_table(page: str, table: str, *, command: str, name: str = "") -> str:
    """The page with `table` between the lines that mark the place of what `command` makes.

    Raises `UserError` where the page, called `name` in the message, has no such lines.
    """
    begin = f"<!-- made by `{command}`: begin -->\n"
    before, found, rest = page.partition(begin)
    _, end, after = rest.partition(END)
    if not (found and end):
        where = f"{name}: " if name else ""
        raise UserError(f"{where}the place of the table is gone; put back the lines {begin.strip()} and {END.strip()}")
    return before + begin + "\n" + table + "\n" + END + after
