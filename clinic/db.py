"""Database: base class, column types, and `transaction()`. Only operations open transactions."""

import base64
import hashlib
import hmac
import json
import re
import select
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cache, partial
from typing import Annotated, Any, TypeVar

import psycopg
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask_sqlalchemy import SQLAlchemy
from psycopg.pq import TransactionStatus
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ClauseElement,
    DateTime,
    Identity,
    LargeBinary,
    MetaData,
    String,
    TypeDecorator,
    event,
)
from sqlalchemy.dialects.postgresql import psycopg as postgres
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidatePoolError
from sqlalchemy.orm import DeclarativeBase, class_mapper, make_transient_to_detached, mapped_column
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.util import identity_key
from sqlalchemy.pool import Pool
from sqlalchemy.sql.compiler import SQLCompiler

CONVENTION = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}


class Base(DeclarativeBase):
    """Every table; constraints are named so that operations can translate them by name."""

    metadata = MetaData(naming_convention=CONVENTION)


DIALECT = postgres.dialect()

db = SQLAlchemy(model_class=Base, session_options={"join_transaction_mode": "create_savepoint"})


class UTCDateTime(TypeDecorator[datetime]):
    """`timestamptz` that refuses naive values and always answers in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("naive datetime: give it a zone")
        return value

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.astimezone(UTC)


# -- encryption -----------------------------------------------------------------------------------------------------


class Keyring:
    """The data keys, newest first. Encrypts with the newest, reads with any."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ValueError("no data keys: set CLINIC_DATA_KEYS")
        self._keys = tuple(keys)
        self._each = [Fernet(base64.urlsafe_b64encode(_derive(key, b"column"))) for key in keys]
        self._fernet = MultiFernet(self._each)
        self._blind = [_derive(key, b"blind") for key in keys]
        self._drafts = [_derive(key, b"draft") for key in keys]

    def encrypt(self, text: str) -> bytes:
        return self.encrypt_bytes(text.encode())

    def decrypt(self, token: bytes) -> str:
        return self.decrypt_bytes(token).decode()

    def encrypt_bytes(self, data: bytes) -> bytes:
        return self._fernet.encrypt(data)

    def decrypt_bytes(self, token: bytes) -> bytes:
        try:
            return self._fernet.decrypt(token)
        except InvalidToken:
            raise ValueError("no data key opens this value: is CLINIC_DATA_KEYS complete?") from None

    def place_of(self, token: bytes) -> int:
        """Which key opens the value: 0 is the newest; -1: none."""
        for place, fernet in enumerate(self._each):
            try:
                fernet.decrypt(bytes(token))
            except InvalidToken:
                continue
            return place
        return -1

    def names(self) -> list[str]:
        """A short name of each key, newest first, that tells nothing about it."""
        return [_derive(key, b"name").hex()[:8] for key in self._keys]

    def rotate(self, token: bytes) -> bytes:
        """The same value under the newest key."""
        return self._fernet.rotate(token)

    def sign(self, purpose: str, message: bytes) -> tuple[bytes, bytes]:
        """Id of the newest key, and an HMAC under it."""
        key_id, key = next(iter(self._signing(purpose).items()))
        return key_id, hmac.digest(key, message, hashlib.sha256)

    def verify(self, purpose: str, message: bytes, key_id: bytes, mac: bytes) -> bool | None:
        """Is the signature ours; None where its key is not among ours any more."""
        key = self._signing(purpose).get(bytes(key_id))
        return None if key is None else hmac.compare_digest(hmac.digest(key, message, hashlib.sha256), bytes(mac))

    def _signing(self, purpose: str) -> dict[bytes, bytes]:
        keys = [_derive(key, f"sign {purpose}".encode()) for key in self._keys]
        return {hashlib.sha256(b"id" + key).digest()[:8]: key for key in keys}

    def draft_keys(self, form: str) -> list[bytes]:
        """Keys of 256 bits for what a browser keeps of one form until it is sent: seals with the first, opens with any."""
        return [hmac.digest(key, form.encode(), hashlib.sha256) for key in self._drafts]

    def blind(self, kind: str, text: str) -> list[bytes]:
        """Search digests of a normalized value, one a key, newest first."""
        message = f"{kind}\0{normalize(kind, text)}".encode()
        return [hmac.digest(key, message, hashlib.sha256) for key in self._blind]


def _derive(key: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"daybreak " + purpose).derive(key.encode())


def normalize(kind: str, text: str) -> str:
    """The form in which a value is searched: email case-folded, phone digits only, others trimmed and case-folded."""
    text = text.strip()
    return re.sub(r"[^0-9+]", "", text) if kind == "phone" else text.casefold()


_keyring: Keyring | None = None


def use_keys(keys: Sequence[str]) -> None:
    """Set the data keys of this process."""
    global _keyring
    _keyring = Keyring(keys)


def keyring() -> Keyring:
    """The keys of this process."""
    if _keyring is None:
        raise RuntimeError("data keys are not set: create the application first")
    return _keyring


class Encrypted(TypeDecorator[str]):
    """Text that the database sees only as ciphertext."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> bytes | None:
        return None if value is None else keyring().encrypt(value)

    def process_result_value(self, value: bytes | None, dialect: Any) -> str | None:
        return None if value is None else keyring().decrypt(bytes(value))


class EncryptedDate(TypeDecorator[date]):
    """A date that the database sees only as ciphertext."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: date | None, dialect: Any) -> bytes | None:
        return None if value is None else keyring().encrypt(value.isoformat())

    def process_result_value(self, value: bytes | None, dialect: Any) -> date | None:
        return None if value is None else date.fromisoformat(keyring().decrypt(bytes(value)))


class EncryptedJSON(TypeDecorator[Any]):
    """JSON that the database sees only as ciphertext. Assign a new value to change it: mutation is not tracked."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> bytes | None:
        return None if value is None else keyring().encrypt(json.dumps(value, separators=(",", ":")))

    def process_result_value(self, value: bytes | None, dialect: Any) -> Any:
        return None if value is None else json.loads(keyring().decrypt(bytes(value)))


class EncryptedBytes(TypeDecorator[bytes]):
    """A file that the database sees only as ciphertext."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Any) -> bytes | None:
        return None if value is None else keyring().encrypt_bytes(value)

    def process_result_value(self, value: bytes | None, dialect: Any) -> bytes | None:
        return None if value is None else keyring().decrypt_bytes(bytes(value))


class Blind(TypeDecorator[Any]):
    """Digest of a value, so that an exact match can be searched without storing it. Write text; search with `blind_is`."""

    impl = LargeBinary(32)
    cache_ok = True

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: str | bytes | None, dialect: Any) -> bytes | None:
        if value is None or isinstance(value, bytes):
            return value
        return keyring().blind(self.kind, value)[0]


def blind_is(column: Any, text: str) -> Any:
    """Condition: the blind column holds this value, under any of the keys."""
    return column.in_(keyring().blind(column.type.kind, text))


# -- columns --------------------------------------------------------------------------------------------------------

PrimaryKey = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]
SmallKey = Annotated[int, mapped_column(Identity(), primary_key=True)]
Instant = Annotated[datetime, mapped_column(UTCDateTime)]
Secret = Annotated[str, mapped_column(Encrypted)]
SecretJSON = Annotated[Any, mapped_column(EncryptedJSON)]
Word = Annotated[str, mapped_column(String(40))]


def one_of(column: str, values: Sequence[str]) -> CheckConstraint:
    """CHECK that a text column holds one of the words of a StrEnum."""
    words = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({words})", name=f"{column}_known")


def array(values: Iterable[object]) -> str:
    """An array as PostgreSQL reads it, to be cast to its type: a fifth of what the driver takes to write one."""
    known = list(values)
    if known and known.count(known[0]) == len(known):  # most columns of a course
        return f"{{{','.join([_element(known[0])] * len(known))}}}"
    kinds = {*map(type, known)}
    if kinds == {datetime} or kinds == {date}:
        return '{"' + '","'.join([at.isoformat() for at in known]) + '"}'  # type: ignore[attr-defined]  # told by the kinds
    if kinds == {int}:
        return f"{{{','.join(map(str, known))}}}"
    if kinds == {str} and not any("\\" in x or '"' in x for x in known):  # type: ignore[operator]  # told by the kinds
        return '{"' + '","'.join(known) + '"}'  # type: ignore[arg-type]
    return f"{{{','.join(map(_element, known))}}}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    text = value.isoformat() if isinstance(value, date) else str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# -- connections ----------------------------------------------------------------------------------------------------

SILENT_FOR = 20.0  # seconds after which a connection that says nothing is asked whether somebody is there


@event.listens_for(Pool, "checkout")
def _refuse_dead(connection: Any, record: Any, _proxy: object) -> None:
    """Give out no connection whose server is gone.

    A server that stops or restarts closes its sockets, and that is seen without asking it. Only what died without a word,
    behind a network, has to be asked; asking at every checkout would be a round trip for each transaction.
    """
    seen = record.info.get("seen")
    if seen is None or (time.monotonic() - seen < SILENT_FOR and not _has_news(connection)):
        return
    try:
        was = connection.autocommit
        connection.autocommit = True
        connection.execute("SELECT 1")
        connection.autocommit = was
    except psycopg.Error as error:
        raise InvalidatePoolError from error


@event.listens_for(Pool, "checkin")
def _see(connection: Any, record: Any) -> None:
    record.info["seen"] = time.monotonic()


def _has_news(connection: Any) -> bool:
    """Something came that nobody asked for: most likely the end."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLPRI)
    return bool(poll.poll(0))


# -- transactions ---------------------------------------------------------------------------------------------------


AfterCommit = list[Callable[[], object]]


Said = tuple[str, Mapping[str, Any]]


def together(*asked: Said | Callable[[], Said], ends: bool = False) -> list[list[Any]]:
    """Statements in one round trip, one after the other, in the session's transaction; answers the rows of each.

    Each sees what the one before it waited for. SQL and values are the driver's own, `%(name)s` (see `Asked`). One that
    is given as a call is made while the server works on those before it; the call asks the database for nothing. ends:
    the commit goes with them. Raises what SQLAlchemy would.
    """
    db.session.flush()
    connection = db.session.connection()
    driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    ends = ends and not connection.in_nested_transaction()  # a savepoint has no commit to send
    try:
        if ends and len(asked) == 1 and driver.info.transaction_status is TransactionStatus.IDLE:
            return [_alone(driver, *_said(asked[0]))]
        with driver.pipeline():  # what was sent is answered where it ends
            cursors = [driver.execute(sql.encode(), values) for sql, values in map(_said, asked)]
            if ends:
                driver.execute(b"COMMIT", prepare=False)
    except psycopg.Error as error:
        raise DBAPIError.instance(None, None, error, psycopg.Error, dialect=connection.dialect) from error
    return [_rows(cursor) for cursor in cursors]


def _said(asked: Said | Callable[[], Said]) -> Said:
    return asked() if callable(asked) else asked


def _alone(driver: "psycopg.Connection[Any]", sql: str, values: Mapping[str, Any]) -> list[Any]:
    """A statement that is a transaction by itself: no BEGIN and no COMMIT to send."""
    driver.autocommit = True
    try:
        return _rows(driver.execute(sql.encode(), values))
    finally:
        if not driver.closed:
            driver.autocommit = False


def _rows(cursor: "psycopg.Cursor[Any]") -> list[Any]:
    return cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []


class Asked:
    """A statement that is built once, for `together`: called with values it answers SQL and values of the driver's own."""

    def __init__(self, statement: ClauseElement) -> None:
        made = statement.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
        assert isinstance(made, SQLCompiler)
        self._sql = str(made)
        self._constants = {name: value for name, value in made.params.items() if value is not None}
        written = {
            name: one.type.dialect_impl(DIALECT).bind_processor(DIALECT) for one, name in made.bind_names.items()
        }
        self._as_written = [(name, write) for name, write in written.items() if write is not None]

    def __call__(self, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        said = {**self._constants, **values}
        for name, write in self._as_written:
            said[name] = write(said[name])
        return self._sql, said


Row = TypeVar("Row", bound=Base)


def read_as(model: type[Base], values: Sequence[Any], names: Sequence[str] = ()) -> list[Any]:
    """What `together` read of a table's row, all columns in their order or those named, as the columns' own types say it."""
    readers = _readers(model, tuple(names))
    return [value if read is None else read(value) for (_, read), value in zip(readers, values, strict=True)]


def loaded(model: type[Row], values: Sequence[Any], names: Sequence[str] = ()) -> Row:
    """The same as a row that the session loaded; other columns are read when they are asked for.

    One that the session knows already is told the new values.
    """
    read = dict(zip([name for name, _ in _readers(model, tuple(names))], read_as(model, values, names), strict=True))
    known = db.session().identity_map.get(identity_key(model, read["id"]))
    row = model() if known is None else known
    for name, value in read.items():
        set_committed_value(row, name, value)
    if known is None:
        make_transient_to_detached(row)
        db.session.add(row)
    return row


@cache
def _readers(model: type[Base], names: tuple[str, ...]) -> Sequence[tuple[str, Callable[[Any], Any] | None]]:
    """Columns, and what makes a value of each from what the driver answers."""
    columns = class_mapper(model).columns
    kinds = {name: columns[name].type for name in names or columns.keys()}
    own = {name: kind for name, kind in kinds.items() if isinstance(kind, TypeDecorator)}
    return [(name, partial(own[name].process_result_value, dialect=DIALECT) if name in own else None) for name in kinds]


@contextmanager
def transaction() -> Iterator[AfterCommit]:
    """One operation, one transaction. Yields the list of calls to make after the commit; refuses nesting."""
    session = db.session()
    if session.info.get("operation"):
        raise RuntimeError("operations do not nest: call the private helper")
    session.info["operation"] = True
    after_commit: AfterCommit = []
    try:
        yield after_commit
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info.pop("operation", None)
    for call in after_commit:
        call()


def broken_constraint(error: IntegrityError) -> str | None:
    """Name of the constraint that refused a write."""
    diagnosis = getattr(error.orig, "diag", None)
    return getattr(diagnosis, "constraint_name", None)
