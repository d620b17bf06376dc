"""One file per format of raw battery data; which one is there, `prepare.py` finds out."""
