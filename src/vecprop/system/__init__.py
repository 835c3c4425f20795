"""Threads, signals, memory and versions of the system."""
