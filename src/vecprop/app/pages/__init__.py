"""HTML pages: the report of ``vecprop train``."""
