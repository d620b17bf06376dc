"""Write one self-contained page per run: its score, what was checked, what to distrust, and the evidence."""
