"""Prices per lane. A lane is an anchor time and a home device; given both, the days of a course decouple."""

import numpy as np
from numpy.typing import NDArray

from clinic.scheduling.planner.rules import Mask
from clinic.scheduling.planner.table import INF, Ints, Mode, StartClass, Table

BUNDLE = 8


def _nearest(costs: Ints, step: int) -> Ints:
    """min over starts t of costs[t] + step * |t - anchor|, for every anchor on the last axis."""
    way = np.arange(costs.shape[-1], dtype=np.int32) * np.int32(step)
    left = np.minimum.accumulate(costs - way, axis=-1)
    left += way
    right = np.minimum.accumulate((costs + way)[..., ::-1], axis=-1)[..., ::-1]
    right = right - way
    return np.asarray(np.minimum(left, right, out=left))


def _within(costs: Ints, reach: int, step: int) -> Ints:
    """As _nearest(), of starts at most `reach` places from the anchor."""
    best = costs.copy()
    for far in range(1, min(reach, costs.shape[-1] - 1) + 1):
        more = costs + np.int32(far * step)
        np.minimum(best[..., far:], more[..., :-far], out=best[..., far:])
        np.minimum(best[..., :-far], more[..., far:], out=best[..., :-far])
    return np.asarray(np.minimum(best, INF, out=best))


class Lanes:
    """Price of every class on each of the first `days` days for every lane (home, anchor): arrays [day, home, anchor]."""

    def __init__(self, table: Table, mode: Mode, days: int) -> None:
        self.table, self.mode, self.days = table, mode, days
        self.first_anchor, self.anchors = self._anchor_range()
        self.homes = len(table.homes)
        classes = [c.before(days) for c in table.classes]
        self.by_class = [self._consistent(c) if c.visit.consistent else self._free(c) for c in classes]

    def _anchor_range(self) -> tuple[int, int]:
        """Anchors between the first and the last possible start; with starts tied to it an anchor may lie between."""
        if self.mode.half is not None and self.mode.half > 0:
            return 0, self.table.count
        used = np.zeros(self.table.count, dtype=np.bool_)
        for c in self.table.classes:
            if c.visit.consistent:
                used |= c.mask.any(axis=(0, 1))
        where = np.flatnonzero(used)
        if len(where) == 0:
            return 0, 1 if self.mode.half is None else self.table.count
        return int(where[0]), int(where[-1] - where[0] + 1)

    def _by_distance(self, mask: Mask, extra: Ints | None, tod: int) -> Ints:
        grid, half = self.table.occupancy.grid, self.mode.half
        if half is None:
            price = np.int32(0) if extra is None else extra
            return _nearest(np.where(mask, price, np.int32(INF)).astype(np.int32, copy=False), tod * grid)
        if extra is not None and extra.ndim == 3:  # a price of its own for every start
            return _within(np.where(mask, extra, np.int32(INF)), half // grid, tod * grid)
        best = np.full(mask.shape, INF, dtype=np.int32)
        for level in (0,) if extra is None else np.unique(extra):
            at_level = mask if extra is None else mask & (extra == level)
            far = _nearest(np.where(at_level, np.int32(0), np.int32(INF)), grid)
            np.minimum(best, np.where(far <= half, far * np.int32(tod) + np.int32(level), np.int32(INF)), out=best)
        return best

    def _consistent(self, c: StartClass) -> Ints:
        table, weights = self.table, self.table.request.weights
        a, b = self.first_anchor, self.first_anchor + self.anchors
        extra = None if c.extra is None else c.extra[..., a:b]
        price = self._by_distance(c.mask[:, :, a:b], extra, weights.tod) + c.penalty[:, None, None]
        location = table.occupancy.device_location
        at = location[c.devices]
        nowhere = np.full(price.shape[1:], INF, dtype=np.int32)
        best = {int(place): price[at == place].min(axis=0) for place in np.unique(at)}
        lanes = np.empty((self.days, self.homes, self.anchors), dtype=np.int32)
        rows = {int(device): x for x, device in enumerate(c.devices)}
        for h, home in enumerate(table.homes):
            here = int(location[home])
            lane = best.get(here, nowhere) + np.int32(weights.dev)
            if home in rows:
                np.minimum(lane, price[rows[home]], out=lane)
            for place, elsewhere in best.items():
                if place != here:
                    np.minimum(lane, elsewhere + np.int32(weights.loc), out=lane)
            np.minimum(lane, INF, out=lanes[:, h])
        if table.forbidden is not None:
            lanes[:, :, table.forbidden[a:b]] = INF
        return lanes

    def _free(self, c: StartClass) -> Ints:
        """A visit compared with nothing: only place (and what a start costs extra) matters."""
        if self.mode.half is None:
            extra = np.int32(0) if c.extra is None else c.extra
            price = np.where(c.mask, extra, np.int32(INF)).min(axis=2, initial=INF).astype(np.int32)
            lane = np.minimum((price + c.penalty[:, None]).min(axis=0, initial=INF), INF)
            return np.asarray(lane[:, None, None])
        a, b = self.first_anchor, self.first_anchor + self.anchors
        price3 = self._by_distance(c.mask, c.extra, 0)[:, :, a:b] + c.penalty[:, None, None]
        return np.asarray(np.minimum(price3.min(axis=0, initial=INF), INF)[:, None, :])

    def bundled(self, lanes: Ints) -> Ints:
        """[day, bundle]: the least price of BUNDLE neighbouring anchors of one home."""
        if lanes.shape[1:] == (1, 1):
            return lanes.reshape(len(lanes), 1)
        short = -lanes.shape[2] % BUNDLE
        if short:
            lanes = np.pad(lanes, ((0, 0), (0, 0), (0, short)), constant_values=INF)
        least = lanes[:, :, ::BUNDLE].copy()
        for j in range(1, BUNDLE):
            np.minimum(least, lanes[:, :, j::BUNDLE], out=least)
        return np.broadcast_to(least, (len(least), self.homes, least.shape[2])).reshape(len(least), -1)

    def picked(self, lanes: Ints, which: NDArray[np.intp]) -> Ints:
        """[day, lane] of the lanes `which`, numbered home-major."""
        if lanes.shape[1:] == (1, 1):
            return lanes.reshape(len(lanes), 1)
        if lanes.shape[1] == 1:
            return lanes[:, 0, which % self.anchors]
        return lanes.reshape(len(lanes), -1)[:, which]
