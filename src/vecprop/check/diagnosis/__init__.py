"""The diagnosis of a wrong gradient: what the pattern of its errors shows, and which layer or mistake explains them."""
