"""Damaged and unusual inputs in numbers; see `__main__`."""
