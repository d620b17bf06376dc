"""A blueprint names the origin of a store before anything is built, so that it can be explained first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeostat.data import store
from homeostat.data.fingerprint import Code, Origin
from homeostat.data.store import Explanation, Store, Writer


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """One store that may or may not be there yet."""

    name: str
    """Recipe and format, such as battery-nasa."""
    raw: Sequence[Path]
    """The raw files."""
    code: Sequence[Code]
    """Modules and functions whose change makes another store."""
    parameters: Mapping[str, Any]
    """Settings that matter to this format."""
    write: Callable[[Writer], None]
    """Parses the raw files and names the arrays."""

    def build(self, root: Path) -> Store:
        """Return the sealed store; build it only when something changed."""
        return store.build(
            root, name=self.name, raw=self.raw, code=self.code, parameters=self.parameters, write=self.write
        )

    def explain(self, root: Path) -> Explanation:
        """Say whether `build` would reuse a store, and why; write nothing."""
        origin = Origin.of(self.name, raw=self.raw, code=self.code, parameters=self.parameters)
        return store.explain(root, origin)
