"""The pictures of the page; each view creates and updates one Bokeh figure."""
