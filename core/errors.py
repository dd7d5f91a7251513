"""The one error that reaches a user as a single line."""


class UserError(ValueError):
    """Bad input: says what was found, where, and the remedy. The command line prints it and exits with 2."""
