"""The inbox of provider events: each is stored once before it is answered, and handled afterwards."""
