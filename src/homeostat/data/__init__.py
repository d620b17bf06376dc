"""Turn raw files into arrays that a training run can trust."""
