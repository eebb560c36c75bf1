"""The view of a photo as a job: its attempts, beginning one, deleting one. A job has its photo's id."""
