"""How theta moves: optimizers, schedules of the learning rate, and L-BFGS."""
