"""A plain second planner for instances of any size: every minute, every lane, nothing clever. Shares no code with ours.

`solve(instance, patient)` -> (least cost, earliest first day), or None where no course exists. Takes seconds where the
planner takes milliseconds. Reads the raw JSON; online instances without hours between starts.
"""

import datetime

import numpy as np

FAR = 1 << 40


class Calendar:
    """What is free in every minute of every day."""

    def __init__(self, instance):
        self.instance = instance
        self.days, self.grid = instance["days"], instance["grid"]
        start = datetime.date.fromisoformat(instance["start"])
        self.weekday = np.array([(start + datetime.timedelta(days=d)).weekday() for d in range(self.days)])
        self.workdays_until = np.cumsum(self.weekday < 5)
        self.devices = instance["devices"]
        self.location = {x["id"]: x["loc"] for x in self.devices}
        self.taken = {x["id"]: np.zeros((self.days, 1440), dtype=bool) for x in self.devices}
        turnover = {x["id"]: x["turnover"] for x in self.devices}
        for device in self.devices:
            for day, a, b in device["down"]:
                self.taken[device["id"]][day, a:b] = True
        self.people = {
            (x["id"], need): np.zeros((self.days, 1440), dtype=int)
            for x in instance["locations"]
            for need in ("tms", "map", "obs")
        }
        for person in instance["staff"]:
            on = np.zeros((self.days, 1440), dtype=bool)
            for day, a, b in person["shifts"]:
                on[day, a:b] = True
            for day, a, b in person["breaks"]:
                on[day, a:b] = False
            for skill in person["skills"]:
                self.people[person["loc"], skill] += on * (instance["obs_cap"] if skill == "obs" else 1)
        for booking in instance["bookings"]:
            day, t, end = booking["day"], booking["t"], booking["t"] + booking["dur"]
            self.taken[booking["dev"]][day, t : end + turnover[booking["dev"]]] = True
            place = self.location[booking["dev"]]
            for need in (
                ("obs",) if booking["need"] == "obs" else ("tms",) if booking["need"] == "tms" else ("tms", "map")
            ):
                self.people[place, need][day, t:end] -= 1

    def workdays(self, a, b):
        """Mon-Fri dates in (a, b]."""
        return int(self.workdays_until[b] - self.workdays_until[a])

    def starts(self, patient, visit, device):
        """[day, minute]: a visit can start."""
        day, minute = np.arange(self.days)[:, None], np.arange(1440)[None]
        place = next(x for x in self.instance["locations"] if x["id"] == device["loc"])
        last = minute + visit["offsets"][-1] + visit["dur"]
        ok = (minute % self.grid == 0) & (day >= max(self.instance["now"], 0))
        ok = ok & ~np.isin(day, patient["away"]) & ~np.isin(day, place["closed"])
        ok &= self._inside(patient["avail"], minute, last)
        needs = ("map", "tms") if visit["need"] == "map" else (visit["need"],)
        for offset in visit["offsets"]:
            a, b = minute + offset, minute + offset + visit["dur"]
            ok &= self._inside(place["hours"], a, b + device["turnover"])
            ok &= self._clear(self.taken[device["id"]], a, b + device["turnover"])
            for need in needs:
                ok &= self._clear(self.people[place["id"], need] <= 0, a, b)
        return ok

    def _inside(self, week, a, b):
        by_weekday = [np.zeros(1440, dtype=bool) for _ in range(7)]
        for weekday, windows in enumerate(week):
            for low, high in windows:
                by_weekday[weekday] |= ((a >= low) & (b <= high))[0]
        return np.array(by_weekday)[self.weekday]

    def _clear(self, bad, a, b):
        """[day, minute]: nothing bad in [a, b)."""
        until = np.zeros((self.days, 1441), dtype=int)
        until[:, 1:] = np.cumsum(bad, axis=1)
        fits = (b <= 1440)[0]
        found = np.zeros((self.days, 1440), dtype=bool)
        found[:, fits] = until[:, b[0][fits]] == until[:, a[0][fits]]
        return found


def solve(instance, patient, calendar=None):
    """Least cost and earliest first day of a patient's course, None where there is none."""
    calendar = calendar or Calendar(instance)
    weights, days = instance["weights"], calendar.days
    protocol = next(x for x in instance["protocols"] if x["id"] == patient["protocol"])
    visits = protocol["visits"]
    penalty = {x["id"]: x["pen"] for x in patient["locs"]}
    homes = [x for x in calendar.devices if x["kind"] == protocol["kind"] and x["loc"] in penalty]
    anchors = np.arange(0, 1440, calendar.grid)
    lanes, possible = {}, {}
    for visit in visits:
        key = str((visit["dur"], visit["cap"], visit["need"], visit["offsets"], visit["consist"]))
        if key not in lanes:
            lanes[key], possible[key] = _priced(calendar, patient, visit, homes, anchors, penalty, weights)
    keys = [str((v["dur"], v["cap"], v["need"], v["offsets"], v["consist"])) for v in visits]
    latest = min(patient["latest_start"], instance["start_days"] - 1)
    window = (np.arange(days) >= patient["release"]) & (np.arange(days) <= latest)
    earliest = _earliest(visits, [possible[key] for key in keys], window)
    if earliest is None:
        return None
    waited = np.array([calendar.workdays(patient["release"], d) if d >= patient["release"] else 0 for d in range(days)])
    price = weights["wait"][patient["prio"]] * waited
    price = price + weights["late"][patient["prio"]] * np.maximum(0, waited - patient["target"])
    value = np.where(window, price, FAR)[:, None] + lanes[keys[0]]
    for visit, key in zip(visits[1:], keys[1:], strict=True):
        arrived = np.full_like(value, FAR)
        for gap in range(visit["gap"][0], visit["gap"][1] + 1):
            between = calendar.workdays_until[gap:] - calendar.workdays_until[:-gap]
            off = np.maximum(0, np.maximum(visit["ideal"][0] - between, between - visit["ideal"][1]))
            arrived[gap:] = np.minimum(arrived[gap:], value[:-gap] + weights["gap"] * off[:, None])
        value = np.minimum(arrived + lanes[key], FAR)
    return int(value.min()), earliest


def _priced(calendar, patient, visit, homes, anchors, penalty, weights):
    """[day, home and anchor] -> least price of the visit; and the days on which it is possible."""
    best = np.full((calendar.days, len(homes), len(anchors)), FAR, dtype=np.int64)
    days = np.zeros(calendar.days, dtype=bool)
    for device in calendar.devices:
        if device["loc"] not in penalty or visit["cap"] not in device["caps"]:
            continue
        ok = calendar.starts(patient, visit, device)[:, anchors]
        days |= ok.any(axis=1)
        for slot in np.flatnonzero(ok.any(axis=0)):
            t, on = int(anchors[slot]), ok[:, slot]
            for h, home in enumerate(homes):
                price = np.full(len(anchors), penalty[device["loc"]], dtype=np.int64)
                if visit["consist"]:
                    away = device["loc"] != home["loc"]
                    price += weights["loc"] if away else weights["dev"] if device["id"] != home["id"] else 0
                    price += weights["tod"] * np.abs(anchors - t)
                    outside = patient["pref"] and not patient["pref"][0] <= t < patient["pref"][1]
                    price += weights["pref"] if outside else 0
                best[on, h] = np.minimum(best[on, h], price)
    return best.reshape(calendar.days, -1), days


def _earliest(visits, possible, window):
    """First day from which the last visit can be reached, going backwards over sets of days."""
    live = possible[-1]
    for k in range(len(visits) - 1, 0, -1):
        before = np.zeros_like(live)
        for gap in range(visits[k]["gap"][0], visits[k]["gap"][1] + 1):
            before[:-gap] |= live[gap:]
        live = before & possible[k - 1]
    live = live & window
    return int(np.argmax(live)) if live.any() else None
