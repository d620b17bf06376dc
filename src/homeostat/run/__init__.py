"""A run is a folder about one training: `folder` names its files, `life` owns it, `making` and `reading` return it.

`sealed` writes and reads the files that are read again; `manifest` lists them with their digests.
"""

from homeostat.run.folder import Run
from homeostat.run.life import now
from homeostat.run.making import create, is_unbegun, named
from homeostat.run.reading import find_all, open_run

__all__ = ["Run", "create", "find_all", "is_unbegun", "named", "now", "open_run"]
