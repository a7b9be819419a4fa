"""The exception for bad input and configuration."""


class InputError(ValueError):
    """Bad input or configuration: one line that names the file, the field and the remedy.

    The command line prints it without a traceback and exits with code 3.
    """
