"""The one exception that the companion raises for input that it cannot use."""


class CourseError(ValueError):
    """Bad input, said in one line: what is wrong, then what to do about it."""
