"""Numbers that know more than their value: a bound of their rounding error, or their derivative along a direction."""
