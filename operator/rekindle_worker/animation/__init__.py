"""The operation Animate: where the subject of a photo is, how a camera travels there, and the video of that journey.

Decisions (`subject`, `faces`, `path`, `geometry`) are pure functions on arrays and numbers; only `shoot` and `video`
write files. No S3 and no signals: those belong to the attempt.
"""
