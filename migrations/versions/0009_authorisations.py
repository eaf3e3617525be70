"""What payers approved, as a ledger that the database keeps; sessions that patients pay themselves"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ONE_PAYER = (
    "(authorisation_id IS NULL OR self_pay_id IS NULL)"
    " AND (need <> 'person' OR (authorisation_id IS NULL AND self_pay_id IS NULL))"
)
LEDGER = [
    """CREATE FUNCTION keep_authorisation_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NOT EXISTS (SELECT FROM new_rows WHERE authorisation_id IS NOT NULL) THEN
            RETURN NULL;
        END IF;
        IF EXISTS (
            SELECT FROM new_rows n JOIN authorisations a ON a.id = n.authorisation_id
            WHERE n.state IN ('held', 'booked', 'confirmed', 'arrived', 'completed') AND (
        n.patient_id <> a.patient_id OR n.local_on NOT BETWEEN a.valid_from AND a.valid_until
        OR (a.location_id IS NOT NULL AND a.location_id <> n.location_id)
        OR (a.device_id IS NOT NULL AND a.device_id IS DISTINCT FROM n.device_id)
        OR (a.pathway = 'tms') <> (n.need IN ('tms', 'map'))
        OR (a.protocol IS NOT NULL AND EXISTS (
            SELECT FROM courses c WHERE c.id = n.course_id
                AND split_part(c.protocol, '.', 1) <> split_part(a.protocol, '.', 1)))
)
        ) THEN
            RAISE EXCEPTION 'a session lies outside its authorisation'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'authorisations_cover', TABLE = 'authorisations';
        END IF;
        UPDATE authorisations a SET sessions_taken = a.sessions_taken + d.count
        FROM (
            SELECT authorisation_id, count(*) AS count FROM new_rows
            WHERE authorisation_id IS NOT NULL AND state IN ('held', 'booked', 'confirmed', 'arrived', 'completed') GROUP BY authorisation_id
        ) d WHERE a.id = d.authorisation_id;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE authorisations a SET sessions_taken = a.sessions_taken - d.count
        FROM (
            SELECT authorisation_id, count(*) AS count FROM old_rows
            WHERE authorisation_id IS NOT NULL AND state IN ('held', 'booked', 'confirmed', 'arrived', 'completed') GROUP BY authorisation_id
        ) d WHERE a.id = d.authorisation_id;
    ELSE
        IF NOT EXISTS (SELECT FROM new_rows WHERE authorisation_id IS NOT NULL)
            AND NOT EXISTS (SELECT FROM old_rows WHERE authorisation_id IS NOT NULL) THEN
            RETURN NULL;
        END IF;
        IF EXISTS (
            SELECT FROM new_rows n JOIN old_rows o ON o.id = n.id JOIN authorisations a ON a.id = n.authorisation_id
            WHERE n.state IN ('held', 'booked', 'confirmed', 'arrived', 'completed')
                AND ((n.authorisation_id, n.local_on, n.location_id, n.device_id, n.course_id, n.need)
                    IS DISTINCT FROM (o.authorisation_id, o.local_on, o.location_id, o.device_id, o.course_id, o.need)
                    OR NOT o.state IN ('held', 'booked', 'confirmed', 'arrived', 'completed'))
                AND (
        n.patient_id <> a.patient_id OR n.local_on NOT BETWEEN a.valid_from AND a.valid_until
        OR (a.location_id IS NOT NULL AND a.location_id <> n.location_id)
        OR (a.device_id IS NOT NULL AND a.device_id IS DISTINCT FROM n.device_id)
        OR (a.pathway = 'tms') <> (n.need IN ('tms', 'map'))
        OR (a.protocol IS NOT NULL AND EXISTS (
            SELECT FROM courses c WHERE c.id = n.course_id
                AND split_part(c.protocol, '.', 1) <> split_part(a.protocol, '.', 1)))
)
        ) THEN
            RAISE EXCEPTION 'a session lies outside its authorisation'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'authorisations_cover', TABLE = 'authorisations';
        END IF;
        UPDATE authorisations a SET sessions_taken = a.sessions_taken + d.count
        FROM (
            SELECT authorisation_id, sum(one) AS count FROM (
                SELECT authorisation_id, 1 AS one FROM new_rows WHERE authorisation_id IS NOT NULL AND state IN ('held', 'booked', 'confirmed', 'arrived', 'completed')
                UNION ALL
                SELECT authorisation_id, -1 FROM old_rows WHERE authorisation_id IS NOT NULL AND state IN ('held', 'booked', 'confirmed', 'arrived', 'completed')
            ) x GROUP BY authorisation_id HAVING sum(one) <> 0
        ) d WHERE a.id = d.authorisation_id;
    END IF;
    RETURN NULL;
END $$""",
    """CREATE TRIGGER treatment_sessions_ledger_insert AFTER INSERT ON treatment_sessions REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION keep_authorisation_ledger()""",
    """CREATE TRIGGER treatment_sessions_ledger_update AFTER UPDATE ON treatment_sessions REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION keep_authorisation_ledger()""",
    """CREATE TRIGGER treatment_sessions_ledger_delete AFTER DELETE ON treatment_sessions REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION keep_authorisation_ledger()""",
    """CREATE FUNCTION guard_authorisation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM treatment_sessions n, (SELECT NEW.*) a
        WHERE n.authorisation_id = NEW.id AND n.state IN ('held', 'booked', 'confirmed', 'arrived', 'completed') AND (
        n.patient_id <> a.patient_id OR n.local_on NOT BETWEEN a.valid_from AND a.valid_until
        OR (a.location_id IS NOT NULL AND a.location_id <> n.location_id)
        OR (a.device_id IS NOT NULL AND a.device_id IS DISTINCT FROM n.device_id)
        OR (a.pathway = 'tms') <> (n.need IN ('tms', 'map'))
        OR (a.protocol IS NOT NULL AND EXISTS (
            SELECT FROM courses c WHERE c.id = n.course_id
                AND split_part(c.protocol, '.', 1) <> split_part(a.protocol, '.', 1)))
)
    ) THEN
        RAISE EXCEPTION 'a session lies outside its authorisation'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'authorisations_cover', TABLE = 'authorisations';
    END IF;
    RETURN NEW;
END $$""",
    """CREATE TRIGGER authorisations_guard BEFORE UPDATE OF patient_id, valid_from, valid_until, location_id, device_id, pathway, protocol ON authorisations FOR EACH ROW EXECUTE FUNCTION guard_authorisation()""",
]


def upgrade() -> None:
    op.create_table(
        "self_pay_agreements",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("pathway", sa.String(length=40), nullable=False),
        sa.Column("what", sa.LargeBinary(), nullable=False),
        sa.Column("agreed_on", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "pathway IN ('tms', 'esketamine', 'iv_ketamine')", name=op.f("self_pay_agreements_pathway_known_check")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("self_pay_agreements_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("self_pay_agreements_pkey")),
    )
    with op.batch_alter_table("self_pay_agreements", schema=None) as batch_op:
        batch_op.create_index("self_pay_agreements_patient_idx", ["patient_id"], unique=False)

    op.create_table(
        "authorisations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("payer", sa.String(length=120), nullable=False),
        sa.Column("number", sa.LargeBinary(), nullable=False),
        sa.Column("pathway", sa.String(length=40), nullable=False),
        sa.Column("protocol", sa.String(length=60), nullable=True),
        sa.Column("location_id", sa.Integer(), nullable=True),
        sa.Column("device_id", sa.Integer(), nullable=True),
        sa.Column("sessions_approved", sa.SmallInteger(), nullable=False),
        sa.Column("sessions_taken", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "pathway IN ('tms', 'esketamine', 'iv_ketamine')", name=op.f("authorisations_pathway_known_check")
        ),
        sa.CheckConstraint("sessions_approved BETWEEN 1 AND 400", name=op.f("authorisations_approved_check")),
        sa.CheckConstraint(
            "sessions_taken BETWEEN 0 AND sessions_approved", name=op.f("authorisations_not_exceeded_check")
        ),
        sa.CheckConstraint("valid_from <= valid_until", name=op.f("authorisations_dates_check")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("authorisations_device_id_fkey")),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("authorisations_location_id_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("authorisations_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("authorisations_pkey")),
    )
    with op.batch_alter_table("authorisations", schema=None) as batch_op:
        batch_op.create_index("authorisations_patient_idx", ["patient_id"], unique=False)
        batch_op.create_index(
            "authorisations_until_idx", ["valid_until"], unique=False, postgresql_where=sa.text("ended_at IS NULL")
        )

    with op.batch_alter_table("treatment_sessions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("authorisation_id", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("self_pay_id", sa.BigInteger(), nullable=True))
        batch_op.create_index(
            "treatment_sessions_authorisation_idx",
            ["authorisation_id"],
            unique=False,
            postgresql_where=sa.text("authorisation_id IS NOT NULL"),
        )
        batch_op.create_foreign_key(
            batch_op.f("treatment_sessions_self_pay_id_fkey"), "self_pay_agreements", ["self_pay_id"], ["id"]
        )
        batch_op.create_foreign_key(
            batch_op.f("treatment_sessions_authorisation_id_fkey"), "authorisations", ["authorisation_id"], ["id"]
        )

    op.execute(f"ALTER TABLE treatment_sessions ADD CONSTRAINT treatment_sessions_one_payer_check CHECK ({ONE_PAYER})")
    for statement in LEDGER:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER authorisations_guard ON authorisations")
    for event in ("insert", "update", "delete"):
        op.execute(f"DROP TRIGGER treatment_sessions_ledger_{event} ON treatment_sessions")
    op.execute("DROP FUNCTION keep_authorisation_ledger()")
    op.execute("DROP FUNCTION guard_authorisation()")
    op.execute("ALTER TABLE treatment_sessions DROP CONSTRAINT treatment_sessions_one_payer_check")
    with op.batch_alter_table("treatment_sessions", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("treatment_sessions_authorisation_id_fkey"), type_="foreignkey")
        batch_op.drop_constraint(batch_op.f("treatment_sessions_self_pay_id_fkey"), type_="foreignkey")
        batch_op.drop_index(
            "treatment_sessions_authorisation_idx", postgresql_where=sa.text("authorisation_id IS NOT NULL")
        )
        batch_op.drop_column("self_pay_id")
        batch_op.drop_column("authorisation_id")

    with op.batch_alter_table("authorisations", schema=None) as batch_op:
        batch_op.drop_index("authorisations_until_idx", postgresql_where=sa.text("ended_at IS NULL"))
        batch_op.drop_index("authorisations_patient_idx")

    op.drop_table("authorisations")
    with op.batch_alter_table("self_pay_agreements", schema=None) as batch_op:
        batch_op.drop_index("self_pay_agreements_patient_idx")

    op.drop_table("self_pay_agreements")
