"""The one exception for what a user can mend: the doors print its sentence and exit with code 2."""


class InputError(ValueError):
    """Bad input: one clear sentence that names the file, the field and the fix."""
