"""Raw data sets of every layout, ways to damage them, and the verdict on what a recipe makes of the damage."""
