"""The pure core: what a release is, and what is to be done about it.

Functions from what is stored, and the time, to what is to be stored and sent. There is no clock, chance, network,
database or log in here, so that every rule can be tried by calling it, and the whole of it under simulation.
"""
