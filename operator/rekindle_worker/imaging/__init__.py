"""Image files: which formats are let in, how they are decoded within bounds, and how results are written."""
