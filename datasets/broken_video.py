"""The one exception of every source of frames."""


class BrokenVideo(Exception):
    """A video or frame that can't be read; `reason` names the file and says what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
