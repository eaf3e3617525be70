"""The application: settings, extensions, blueprints, error pages. Imports every feature."""

from pathlib import Path

from flask import Blueprint, Flask
from flask_migrate import Migrate
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from clinic import clock, jobs
from clinic.api.blueprint import make_app
from clinic.audit import sealing as _seals  # noqa: F401 - its table belongs to the schema
from clinic.config import Settings, SettingsError, read_settings
from clinic.db import db, use_keys
from clinic.web import access, assets, bodies, cookies, errors, headers, health, limits, origin
from clinic.web import views as web

HERE = Path(__file__).parent

csrf = CSRFProtect()
migrate = Migrate()


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application. Raises SettingsError with every problem named."""
    settings = settings or read_settings()
    settings.check()
    for name, value in (
        ("CLINIC_DATABASE_URL", settings.database_url),
        ("CLINIC_SECRET_KEYS", settings.secret_keys),
    ):
        if not value:
            raise SettingsError(f"{name} is not set: start the clinic with `make run`, or set it")
    app = make_app("clinic", root_path=str(HERE), template_folder="web/templates", static_folder="web/static")
    _configure(app, settings)
    clock.configure(settings.clock_offset)
    use_keys(settings.data_keys)
    db.init_app(app)
    migrate.init_app(app, db, directory=str(HERE.parent / "migrations"))
    bodies.init_app(app)
    csrf.init_app(app)
    jobs.init_celery(app, settings.redis_url)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    assets.init_app(app)
    origin.init_app(app)
    headers.init_app(app)
    errors.init_app(app)
    _add_features(app)
    bodies.set_json(app)
    _use_own_policies(settings)
    return app


def _use_own_policies(settings: Settings) -> None:
    from clinic.eligibility import rule_versions

    rule_versions.use_policies_of(settings.policy_folder, is_wanted=bool(settings.policy_dir))


def _configure(app: Flask, settings: Settings) -> None:
    app.config.update(
        SETTINGS=settings,
        SECRET_KEY=settings.secret_keys[0],
        SECRET_KEY_FALLBACKS=list(settings.secret_keys[1:]),
        TRUSTED_HOSTS=settings.trusted_hosts,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS={
            "pool_size": 8,
            "max_overflow": 8,
            "pool_timeout": 10,
            "hide_parameters": True,  # of a statement that fails
        },
        SESSION_COOKIE_NAME=cookies.own_name("daybreak_staff", is_https=settings.is_https),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.is_https,
        SESSION_COOKIE_PATH="/",
        MAX_CONTENT_LENGTH=1_000_000,
        MAX_FORM_PARTS=2000,
        WTF_CSRF_TIME_LIMIT=None,  # a form may stay open for days; the signature still binds it to the browser
        BABEL_DEFAULT_LOCALE="en",
        RATELIMIT_STORAGE_URI=settings.redis_url or "memory://",
        RATELIMIT_STORAGE_OPTIONS={"socket_connect_timeout": limits.SECONDS, "socket_timeout": limits.SECONDS}
        if settings.redis_url
        else {},
        RATELIMIT_SWALLOW_ERRORS=True,
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True,
    )


def _add_features(app: Flask) -> None:
    """Order matters: who calls is known before access is enforced."""
    from clinic.api import views as api
    from clinic.patients import reading, sites
    from clinic.patients import signin as patient_signin
    from clinic.reminders import hooks, signed_views
    from clinic.staff import signin as staff_signin
    from clinic.web import context, i18n

    staff_signin.init_app(app)
    patient_signin.init_app(app)
    limits.init_app(app)  # who calls is known
    i18n.init_app(app)
    app.before_request(access.enforce)
    sites.init_app(app)
    reading.init_app(app)
    context.init_app(app)
    for blueprint in _blueprints():
        app.register_blueprint(blueprint)
    csrf.exempt(api.bp)  # it knows its callers by bearer token and takes no cookie
    csrf.exempt(hooks.bp)  # programs, which prove themselves
    csrf.exempt(signed_views.bp)  # the signed address is what is needed, and no cookie counts


def _blueprints() -> list[Blueprint]:
    from clinic.api import views as api
    from clinic.care import views as care
    from clinic.eligibility import ask_views as asks
    from clinic.eligibility import packet_views as packets
    from clinic.eligibility import policy_views as policies
    from clinic.eligibility import views as eligibility
    from clinic.intake import consent_views as intake_consents
    from clinic.intake import file_views as intake_files
    from clinic.intake import kiosk_views as kiosk
    from clinic.intake import score_views as scores
    from clinic.intake import staff_views as staff_intakes
    from clinic.intake import views as intake
    from clinic.locations import views as locations
    from clinic.oversight import views as oversight
    from clinic.patients import views as patients
    from clinic.records import views as records
    from clinic.reminders import hooks, signed_views, text_views
    from clinic.reminders import views as reminders
    from clinic.scheduling import views as scheduling
    from clinic.staff import people_views as people
    from clinic.staff import views as staff
    from clinic.surveys import staff_views as staff_surveys
    from clinic.surveys import views as surveys
    from clinic.tasks import views as tasks
    from clinic.treatment import views as treatment

    return [
        health.bp,
        web.bp,
        locations.bp,
        staff.bp,
        people.bp,
        patients.bp,
        intake.bp,
        scores.bp,
        staff_intakes.bp,
        staff_intakes.form_bp,
        intake_files.bp,
        intake_consents.bp,
        kiosk.bp,
        eligibility.bp,
        asks.bp,
        packets.bp,
        policies.bp,
        tasks.bp,
        oversight.bp,
        scheduling.bp,
        treatment.bp,
        surveys.bp,
        staff_surveys.bp,
        care.bp,
        reminders.bp,
        records.bp,
        text_views.bp,
        signed_views.bp,
        hooks.bp,
        api.bp,
    ]
