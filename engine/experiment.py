"""The experiment's folder: what lies where, beside the config.yaml that the user wrote."""

from dataclasses import dataclass
from pathlib import Path

from utils.errors import UserError


@dataclass(frozen=True)
class Experiment:
    """Paths of one experiment folder; nothing is written before `create`."""

    folder: Path

    @property
    def log_file(self) -> Path:
        """log.txt, appended to by every start."""
        return self.folder / "log.txt"

    @property
    def events(self) -> Path:
        """events/, one TensorBoard file per start."""
        return self.folder / "events"

    @property
    def resolved_config(self) -> Path:
        """config_resolved.yaml, every key with the value that was used."""
        return self.folder / "config_resolved.yaml"

    @property
    def results(self) -> Path:
        """results/, score files and reports."""
        return self.folder / "results"

    def create(self) -> None:
        """Make the sub-folders; a folder that cannot be written to is a `UserError` before the run, not after it."""
        try:
            self.events.mkdir(parents=True, exist_ok=True)
            self.results.mkdir(exist_ok=True)
            with self.log_file.open("a", encoding="utf-8"):
                pass
        except OSError as error:
            raise UserError(
                f"{self.folder}: cannot be written to ({error.strerror}); a run needs a folder of its own: "
                "copy the experiment's folder to where you may write"
            ) from error
