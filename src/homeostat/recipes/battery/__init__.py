"""Battery ageing: state of health along time, forecasts, cycle life."""
