"""What a model of tables has learned: which columns matter, how, where it fails, and why a row is predicted so."""
