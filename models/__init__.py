"""The registry of models: a card `<name>.toml` for each, with the network `<name>.onnx` beside it where it ships.

`templates/` holds cards for common exports, to be copied and filled in.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
TEMPLATES = FOLDER / "templates"
