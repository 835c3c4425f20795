"""HTML pages: the report of ``vecprop train``, and the template that it shares with the demo."""
