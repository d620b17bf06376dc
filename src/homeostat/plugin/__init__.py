"""Code of one's own, named by its address: `./my_ecg.py:recipe`, or `mypackage.ecg:recipe`.

A recipe, a guard, an audit or a network outside of this package is a name in a file or in a module. An address is
plain text, so a run keeps it in its config.json, and every process that continues the run loads the code again from
there. Beside it stands the SHA-256 digest of the file, so that a change of the code is noticed.
"""
