"""Live events: one listening connection per process wakes every open stream; state is always read from the tables."""
