"""The ledger's own check in the database: never a payer-booked session outside the approved count, dates, site or device.

The count is kept by the database, so that no operation can forget it; CHECK (sessions_taken <= sessions_approved) is the
last word, under the lock that the count itself takes on the authorisation.
"""

HOLDS = "state IN ('held', 'booked', 'confirmed', 'arrived', 'completed')"
OUTSIDE = """
        n.patient_id <> a.patient_id OR n.local_on NOT BETWEEN a.valid_from AND a.valid_until
        OR (a.location_id IS NOT NULL AND a.location_id <> n.location_id)
        OR (a.device_id IS NOT NULL AND a.device_id IS DISTINCT FROM n.device_id)
        OR (a.pathway = 'tms') <> (n.need IN ('tms', 'map'))
        OR (a.protocol IS NOT NULL AND EXISTS (
            SELECT FROM courses c WHERE c.id = n.course_id
                AND split_part(c.protocol, '.', 1) <> split_part(a.protocol, '.', 1)))
"""
REFUSE = """RAISE EXCEPTION 'a session lies outside its authorisation'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'authorisations_cover', TABLE = 'authorisations'"""

FUNCTION = f"""
CREATE FUNCTION keep_authorisation_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NOT EXISTS (SELECT FROM new_rows WHERE authorisation_id IS NOT NULL) THEN
            RETURN NULL;
        END IF;
        IF EXISTS (
            SELECT FROM new_rows n JOIN authorisations a ON a.id = n.authorisation_id
            WHERE n.{HOLDS} AND ({OUTSIDE})
        ) THEN
            {REFUSE};
        END IF;
        UPDATE authorisations a SET sessions_taken = a.sessions_taken + d.count
        FROM (
            SELECT authorisation_id, count(*) AS count FROM new_rows
            WHERE authorisation_id IS NOT NULL AND {HOLDS} GROUP BY authorisation_id
        ) d WHERE a.id = d.authorisation_id;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE authorisations a SET sessions_taken = a.sessions_taken - d.count
        FROM (
            SELECT authorisation_id, count(*) AS count FROM old_rows
            WHERE authorisation_id IS NOT NULL AND {HOLDS} GROUP BY authorisation_id
        ) d WHERE a.id = d.authorisation_id;
    ELSE
        IF NOT EXISTS (SELECT FROM new_rows WHERE authorisation_id IS NOT NULL)
            AND NOT EXISTS (SELECT FROM old_rows WHERE authorisation_id IS NOT NULL) THEN
            RETURN NULL;
        END IF;
        IF EXISTS (
            SELECT FROM new_rows n JOIN old_rows o ON o.id = n.id JOIN authorisations a ON a.id = n.authorisation_id
            WHERE n.{HOLDS}
                AND ((n.authorisation_id, n.local_on, n.location_id, n.device_id, n.course_id, n.need)
                    IS DISTINCT FROM (o.authorisation_id, o.local_on, o.location_id, o.device_id, o.course_id, o.need)
                    OR NOT o.{HOLDS})
                AND ({OUTSIDE})
        ) THEN
            {REFUSE};
        END IF;
        UPDATE authorisations a SET sessions_taken = a.sessions_taken + d.count
        FROM (
            SELECT authorisation_id, sum(one) AS count FROM (
                SELECT authorisation_id, 1 AS one FROM new_rows WHERE authorisation_id IS NOT NULL AND {HOLDS}
                UNION ALL
                SELECT authorisation_id, -1 FROM old_rows WHERE authorisation_id IS NOT NULL AND {HOLDS}
            ) x GROUP BY authorisation_id HAVING sum(one) <> 0
        ) d WHERE a.id = d.authorisation_id;
    END IF;
    RETURN NULL;
END $$
"""  # noqa: S608 - built from our own constants
RUN = "FOR EACH STATEMENT EXECUTE FUNCTION keep_authorisation_ledger()"
OLD, NEW = "OLD TABLE AS old_rows", "NEW TABLE AS new_rows"
SESSION_TRIGGERS = (
    f"CREATE TRIGGER treatment_sessions_ledger_insert AFTER INSERT ON treatment_sessions REFERENCING {NEW} {RUN}",
    f"CREATE TRIGGER treatment_sessions_ledger_update AFTER UPDATE ON treatment_sessions REFERENCING {OLD} {NEW} {RUN}",
    f"CREATE TRIGGER treatment_sessions_ledger_delete AFTER DELETE ON treatment_sessions REFERENCING {OLD} {RUN}",
)
# The other side: an authorisation is not narrowed past the sessions that are booked under it.
GUARD = f"""
CREATE FUNCTION guard_authorisation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM treatment_sessions n, (SELECT NEW.*) a
        WHERE n.authorisation_id = NEW.id AND n.{HOLDS} AND ({OUTSIDE})
    ) THEN
        {REFUSE};
    END IF;
    RETURN NEW;
END $$
"""
GUARD_TRIGGER = (
    "CREATE TRIGGER authorisations_guard"
    " BEFORE UPDATE OF patient_id, valid_from, valid_until, location_id, device_id, pathway, protocol ON authorisations"
    " FOR EACH ROW EXECUTE FUNCTION guard_authorisation()"
)
ALL = (FUNCTION, *SESSION_TRIGGERS, GUARD, GUARD_TRIGGER)
