"""`kubectl rekindle`: restore photos from a terminal, see what runs, and learn why something does not.

A client like any other: it reads and writes custom resources with the caller's own rights, and moves photos with the
caller's own S3 credentials. Of the other rooms it imports the contract only.
"""
