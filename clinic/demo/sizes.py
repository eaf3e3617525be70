"""How large a demo clinic can be: what the command's `--size` names."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """`appointments`: about so many in all, 0 where people are loaded one by one only. `days`: how far history reaches back.

    `towns`: how many sites of network.yaml stand beside the four of clinic.yaml.
    """

    name: str
    appointments: int
    days: int
    towns: int

    @property
    def is_bulk(self) -> bool:
        """Are people added in bulk to those who are loaded one by one?"""
        return self.appointments > 0


SIZES = {
    size.name: size
    for size in (
        Size("small", 0, 0, 0),
        Size("clinic", 20_000, 730, 0),
        Size("network", 2_000_000, 820, 36),
    )
}
