"""Daybreak: intake, eligibility, whole-course scheduling and reminders for clinics that treat depression."""

import gc

# Modules, mappers and routes stay: to look through them after every 700 new objects took a quarter of each start.
gc.set_threshold(50_000, 20, 20)
