"""Pure analysis of SQL text. Importing this package loads no parser: import what you need."""
