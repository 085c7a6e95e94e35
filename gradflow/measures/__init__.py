"""What is measured of a net beside the gradient: one file a measure."""
