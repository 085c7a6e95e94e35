"""How anything leaves the program: files written whole, the terminal, narrow encodings."""
