"""What a network computes: layers, losses, penalties and their gradients, on any array, real or complex."""
