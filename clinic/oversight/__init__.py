"""Who opened whose record, and why: records of other sites opened for a reason, and the reports of access."""
