"""Measurements of size and speed; they judge nothing unless a budget is written beside them."""
