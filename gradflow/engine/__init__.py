"""The engine: cells unrolled through time, backpropagated and measured at every lag.

`flow` runs one layer, `network` stacks of them; `sweep` goes back through a block of steps,
`measure` and `terms` turn what it finds into norms.
"""
