"""Training: batches, the loop over epochs, its history, and early stopping."""
