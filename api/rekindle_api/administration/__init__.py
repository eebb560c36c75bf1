"""The commands `rekindle-api admin`: what a person who runs the service looks up and puts right. All are audited."""
