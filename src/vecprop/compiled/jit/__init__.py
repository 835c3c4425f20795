"""Numba's side of the engine, which knows no network: options, machine code on disk, addresses, the record of a fit."""
