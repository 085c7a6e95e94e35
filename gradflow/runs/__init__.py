"""From an experiment to its results: what is drawn, what is run, and who runs it.

`experiment` is the plain data; `sampling` and `losses` make a net of it; `bundle` sends nets of
equal shape through the engine together; `scheduling` says in which processes; `runner` gives the
results in order. `memory` says beforehand what it will take.
"""
