"""Training: batches, the loop over epochs, the history, and early stopping."""
