"""A run is a folder about one training: `folder` names its files, `life` owns it, `making` and `reading` return it."""

from homeostat.run.folder import Run
from homeostat.run.life import now
from homeostat.run.making import create, is_unbegun, named
from homeostat.run.reading import find_all, open_run

__all__ = ["Run", "create", "find_all", "is_unbegun", "named", "now", "open_run"]
