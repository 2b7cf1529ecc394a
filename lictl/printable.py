# SPDX-License-Identifier: Apache-2.0
"""Text that somebody else wrote, on its way to a person's screen."""


def printable(text: str) -> str:
    """The text with "?" for whatever could steer a terminal: escape and control characters, marks of direction."""
    return "".join(char if char.isprintable() else "?" for char in text)
