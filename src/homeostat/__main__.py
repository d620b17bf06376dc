"""`python -m homeostat` is `homeostat`; detached runs and those under torchrun are started this way."""

from homeostat.cli import main

raise SystemExit(main())
