"""Geometry of the pictures that templates draw as SVG. Pure: values in, positions out, no colors, no clock.

Positions become SVG attributes, never styles: pages carry a policy that allows no style attribute."""

from clinic.web.charts.comparing import Shift, best, shift
from clinic.web.charts.courses import CoursePath, Mark, PathDay, PathSession, PathWeek, Strip, course_path, strip
from clinic.web.charts.replans import Moved, Replan, ReplanLane, ReplanMove, replan
from clinic.web.charts.timelines import (
    DRAWN_PERCENT,
    NARROWEST,
    NEAR_EDGE,
    TICK_ROOM,
    AddOn,
    Bar,
    Ending,
    Level,
    Rail,
    Segment,
    Sign,
    Timeline,
    timeline,
)
from clinic.web.charts.trends import TREND_FLOOR, TREND_TOP, Goal, Happening, Score, Trend, TrendPoint, trend
from clinic.web.charts.watches import Watch, WatchCheck, watch

__all__ = [
    "DRAWN_PERCENT",
    "NARROWEST",
    "NEAR_EDGE",
    "TICK_ROOM",
    "TREND_FLOOR",
    "TREND_TOP",
    "AddOn",
    "Bar",
    "CoursePath",
    "Ending",
    "Goal",
    "Happening",
    "Level",
    "Mark",
    "Moved",
    "PathDay",
    "PathSession",
    "PathWeek",
    "Rail",
    "Replan",
    "ReplanLane",
    "ReplanMove",
    "Score",
    "Segment",
    "Shift",
    "Sign",
    "Strip",
    "Timeline",
    "Trend",
    "TrendPoint",
    "Watch",
    "WatchCheck",
    "best",
    "course_path",
    "replan",
    "shift",
    "strip",
    "timeline",
    "trend",
    "watch",
]
