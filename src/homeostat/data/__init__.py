"""How raw files become arrays that a training run can trust."""
