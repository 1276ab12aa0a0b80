"""The command line: root and one file a command group."""
