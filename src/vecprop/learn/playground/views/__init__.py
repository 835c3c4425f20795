"""What the page draws, one picture a file: each makes a figure of Bokeh, and brings it up to date."""
