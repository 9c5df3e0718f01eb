"""What the protocol raises. Each error's text is a sentence that says what was wrong and what would be right."""


class ProtocolError(Exception):
    """Somebody broke a rule of the wire."""


class BadMessage(ProtocolError):
    """The other side sent something that is no message of this protocol."""


class IllegalMove(ProtocolError):
    """A state was to change in a way that its table does not have."""
