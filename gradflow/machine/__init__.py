"""What the machine gives a run: cores, free memory, and the signals that end it."""
