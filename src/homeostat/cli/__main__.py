"""`python -m homeostat.cli` is `homeostat`; detached runs are started this way."""

from homeostat.cli import main

raise SystemExit(main())
