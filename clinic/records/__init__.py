"""How data is kept as a whole: under which keys, for how long, and out of here in the field's own formats."""
