"""Files of numbers that users hand us, read as if a stranger had made them."""
