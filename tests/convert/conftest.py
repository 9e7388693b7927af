"""The cases lie beside the tests, not in a package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
