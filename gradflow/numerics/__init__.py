"""Arrays as they lie in memory, products of matrices, and numbers past float range."""
