"""The settings of a run: what they are (`schema`), and how they are read and written (`load`)."""
