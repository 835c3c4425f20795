"""The pictures of the page: each makes a figure of Bokeh, and brings it up to date."""
