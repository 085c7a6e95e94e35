"""How far back in time does the gradient of a recurrent net reach, and why?"""
