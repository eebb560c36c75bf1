"""Attempts to restore or animate a photo: their requests, their states, and the one way a state may change."""
