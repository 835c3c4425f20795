"""What Numba needs, and nothing of networks' mathematics: options, machine code and its cache, addresses."""
