"""Training: batches, the loop over epochs, what it records, and when it stops."""
