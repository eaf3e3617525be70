"""What a staged course's next stage is measured by."""

from zoneinfo import ZoneInfo

from clinic.scheduling import staging
from clinic.surveys import charting, presenter, queries


def improvement_of(course_id: int) -> staging.Measured | None:
    """From baseline to the newest complete score of the course that runs or ran last; None where one is missing."""
    chart = charting.chart_of(queries.course(course_id).patient_id)
    if chart is None or chart.course_id != course_id:
        return None
    base, latest, change = chart.progress.baseline, chart.progress.latest, chart.progress.change
    if base is None or latest is None or change is None or base.total is None or latest.total is None:
        return None
    on = latest.taken_at.astimezone(ZoneInfo(chart.tz)).date()
    return staging.Measured(presenter.short_name(chart.instrument), base.total, latest.total, on, change.percent)
