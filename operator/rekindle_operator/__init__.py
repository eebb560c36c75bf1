"""The operator: turns RestoreJobs into processing pods and keeps their status true.

watch -> queue -> observe -> reconcile -> apply. What to do is decided in `core`, by pure functions on frozen values;
everything else here reads from or writes to the cluster. Only `rekindle_crds` may be imported of the other rooms.
"""
