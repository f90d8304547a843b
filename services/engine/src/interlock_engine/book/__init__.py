"""Pure books: no I/O, no clock."""
