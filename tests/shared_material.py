"""Where the material that lies beside the project is found; tests that need it skip where it is absent."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = Path(REPOSITORY, "..", "shared").resolve()
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared beside the project")
