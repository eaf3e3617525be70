"""`make bench`: every question in one run, each printed as a ratio with its parts. Names as arguments run only those."""

import importlib
import sys

QUESTIONS = {
    "board": "How long does the day board of 200 sessions take, against its rows alone? Does it grow?",
    "assess": "How much slower is assessing intake records than reading and writing them?",
    "availability": "How long do six weeks of open times of six devices take, against fetching their rows?",
    "course_commit": "How much slower is booking a whole course than the bare rows that it writes? Does it grow?",
    "course_http": "And over HTTP?",
    "planner_batch": "How good is a waiting list planned together, against planning it by hand, and how soon?",
    "planner_fill": "How soon is it known who could use a freed slot, against looking by hand?",
    "planner_online": "How long does the exact optimum take, against planning by hand?",
    "planner_repair": "How good is a repair after an outage, against the nearest free slot for each, and how soon?",
    "proposals": "How long does proposing courses take on the warm calendar of a site, against planning by hand?",
    "reminders": "How many reminders a second, end to end, against a Celery task of one insert? Does the sweep grow?",
    "saturated": "How many bookings a second does a busy clinic take, and how long does the last of 50 wait?",
    "stack": "What does the running clinic weigh, and how soon is it ready?",
    "sweep": "Does the sweep for due reminders grow with history, or with what lies ahead?",
}


def main() -> int:
    """Run the questions; exit 1 where one misses its goal."""
    chosen = sys.argv[1:] or list(QUESTIONS)
    unknown = sorted(set(chosen) - set(QUESTIONS))
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(QUESTIONS)}")
    sys.argv[1:] = []
    failed = 0
    for name in chosen:
        print(f"\n# {name}: {QUESTIONS[name]}", flush=True)
        failed |= importlib.import_module(f"benchmarks.{name}").main()
    return failed


if __name__ == "__main__":
    sys.exit(main())
