"""Numbers out of the query of an address."""

LARGEST_ID = 2**63 - 1
LARGEST_SMALL_ID = 2**31 - 1  # of tables that stay small: staff, sites, devices


def row_id(text: str) -> int:
    """For `request.args.get(name, type=row_id)`: what no row can have counts as not sent. Raises ValueError."""
    value = int(text)
    if not 0 <= value <= LARGEST_ID:
        raise ValueError("no row has such an id")
    return value


def small_row_id(text: str) -> int:
    """The same for a table that stays small. Raises ValueError."""
    value = row_id(text)
    if value > LARGEST_SMALL_ID:
        raise ValueError("no row has such an id")
    return value
