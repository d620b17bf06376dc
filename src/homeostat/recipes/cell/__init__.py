"""Volumes into yes or no: living cells by their fluorescence decay, organs by their shape."""
