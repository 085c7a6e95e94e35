"""From a cell's equations, as text, to NumPy code: parse, infer, reduce, arrange, differentiate,
emit. Each pass is a module; `compile` runs them one after the other."""
