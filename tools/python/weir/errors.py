"""What the library refuses, as exceptions: each has the library's sentence, and the built-in class that fits."""


class Error(Exception):
    """Anything that the library reports; the classes below say what kind of fault it is."""


class ArgumentError(Error, ValueError):
    """The caller's mistake: a shape, an option, a formula."""


class OutOfMemoryError(Error, MemoryError):
    """An allocation failed."""


class FileError(Error, OSError):
    """The operating system refused to read or write."""


class FormatError(Error, ValueError):
    """A file, or a table, is not what it should be."""


class NumericError(Error, ArithmeticError):
    """A NaN, a divergence, a solve that did not converge."""


class InterruptedError(Error):
    """Stopped on request."""


# In the order of ad_status, from AD_ERROR_ARGUMENT on.
BY_STATUS: tuple[type[Error], ...] = (ArgumentError, OutOfMemoryError, FileError, FormatError, NumericError,
                                      InterruptedError)
