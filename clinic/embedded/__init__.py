"""PostgreSQL and Redis out of Python wheels, and the supervisor behind `make run`."""
