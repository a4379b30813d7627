"""Import the module `models` of every package, so that `Base.metadata` has all tables."""

from importlib import import_module
from pathlib import Path

for _module in sorted(Path(__file__).parent.glob("*/models.py")):
    import_module(f"app.{_module.parent.name}.models")
