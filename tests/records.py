"""The history of a training, read back."""

import json
from pathlib import Path


def read_history(path):
    """The records of a JSONL file."""
    return [json.loads(line) for line in Path(path).read_text("utf-8").split("\n")[:-1]]
