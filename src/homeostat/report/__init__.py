"""What should a reader see first, and what should they distrust? One self-contained page per run."""
