"""Read YAML as the text people wrote: every scalar stays a string, so that 23:00 is no number and "no" no boolean."""

from pathlib import Path
from typing import Any

import yaml

# No file of ours is larger; a larger one is a mistake, or an attack by aliases.
FILE_MAX_BYTES = 1_000_000


class TextError(ValueError):
    """A file that is no readable YAML: says where."""


class _TextLoader(yaml.BaseLoader):
    """PyYAML's loader of plain strings, which also refuses a key that stands twice, and aliases."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise TextError(f"line {mark.line + 1}: aliases (*name) are not accepted here: write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise TextError(f"line {key.start_mark.line + 1}: a key must be a word: write it like 'name: value'")
            if key.value in seen:
                raise TextError(f"line {key.start_mark.line + 1}: key {key.value!r} stands twice: keep one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """Return the file as dicts, lists and strings. Raises `TextError`; an unreadable file raises OSError."""
    data = path.read_bytes()
    if len(data) > FILE_MAX_BYTES:
        raise TextError(f"{len(data)} bytes, at most {FILE_MAX_BYTES}: is this the right file?")
    try:
        return yaml.load(data.decode("utf-8"), Loader=_TextLoader)
    except UnicodeDecodeError as error:
        raise TextError(f"byte {error.start}: not UTF-8: save the file as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise TextError(f"{where}{error.problem or 'not YAML'}: check indentation and quotes") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise TextError(f"not YAML: {type(error).__name__}") from error
