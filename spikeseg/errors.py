"""The exceptions for bad input and configuration."""


class InputError(ValueError):
    """Bad input or configuration: one line that names the file, the field and the remedy.

    The command line prints it without a traceback and exits with code 3.
    """


class WriteError(InputError):
    """A file that the user's disk refuses; never a fault of what is read, so who passes over bad recordings lets it through."""
