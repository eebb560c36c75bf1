"""One module for each step of restoration, each with pure functions on arrays.

Pixels are float32 arrays of H x W x C in [0, 1], sRGB-encoded, with C = 3 for colour and C = 1 for grey, unless a
docstring says otherwise. No function changes its arguments.
"""
