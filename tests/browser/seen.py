"""Which long run looks at which page at every width and scheme, and which addresses no run looks at, and why."""

from collections.abc import Iterable
from itertools import chain
from urllib.parse import urlsplit

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

_RECORD = "/staff/patients/<int:patient_id>"
_SITE = "/staff/settings/locations/<int:location_id>"
_ASK = "/questions/<int:ask_id>"
_CHECK_IN = "/surveys/<int:survey_id>"
_FORM = "/staff/intakes/<int:on_behalf>/form"

LOOKED_AT: dict[str, tuple[str, ...]] = {
    "test_public_pages": (
        "/",
        "/dev/components",
        "/dev/outbox",
        "/intake/start",
        "/link",
        "/locations",
        "/locations/<slug>",
        "/staff/login",
        "/treatments",
    ),
    "test_public_pages_to_read": ("/guide", "/sources"),
    "test_every_page_of_the_intake": (
        "/intake/<page>",
        "/intake/later",
        "/intake/medicines",
        "/intake/medicines/<key>/<int:step>",
        "/intake/review",
        "/intake/safety",
    ),
    "test_pages_beside_the_plain_ones": ("/intake/files",),
    "test_the_whole_form_by_a_phone": (f"{_RECORD}/attachments", "/intake/done"),
    "test_pages_of_a_patient": (
        "/birth-date",
        "/l/<token>",
        "/me",
        "/me/consents",
        "/me/dates",
        "/me/history",
        "/me/messages",
        "/me/options",
        "/me/papers",
        "/me/tell",
        "/surveys",
    ),
    "test_pages_of_a_released_patient_and_a_question_by_keyboard": ("/me/plan", "/me/summary"),
    "test_a_patients_dates": ("/me/calendar", "/me/visits/<int:session_id>/cannot-come"),
    "test_a_patient_reads_who_looked": ("/me/access",),
    "test_new_times_and_a_course_that_came_free": ("/me/changes/<int:change_id>", "/me/offers/<int:offer_id>"),
    "test_places_that_are_held": ("/o/<token>",),
    "test_links_of_messages": ("/r/<token>", "/unsubscribe/<token>"),
    "test_questions_go_out_and_their_answers_come_back": (
        f"{_ASK}/<int(min=1, max=99):step>",
        f"{_ASK}/done",
        f"{_ASK}/later",
        f"{_ASK}/safety",
    ),
    "test_a_check_in_is_asked_for_answered_by_keys_in_spanish_and_shown": (
        f"{_CHECK_IN}/<int(min=1, max=200):number>",
        f"{_CHECK_IN}/<int(min=1, max=200):number>/medical",
        f"{_CHECK_IN}/done",
        f"{_CHECK_IN}/more/<int(min=1, max=3):step>",
        f"{_CHECK_IN}/safety",
        f"{_CHECK_IN}/send",
        f"{_RECORD}/enrollment",
        "/staff/check-ins/<int:survey_id>/paper",
    ),
    "test_what_staff_see_of_check_ins": (f"{_RECORD}/check-ins", f"{_RECORD}/progress"),
    "test_a_tablet_is_handed_over_and_back": ("/kiosk/over",),
    "test_a_colleague_is_invited_and_chooses_a_password": ("/staff/welcome/<token>",),
    "test_people_who_work_here": ("/staff/people", "/staff/people/<int:staff_id>", "/staff/people/invite"),
    "test_account_and_second_steps": (
        "/staff/account",
        "/staff/change",
        "/staff/mf-recovery-codes",
        "/staff/tf-setup",
        "/staff/verify",
        "/staff/wan-register",
        "/staff/wan-signin",
        "/staff/wan-verify",
    ),
    "test_a_code_from_an_app_or_a_recovery_code": (
        "/staff/mf-recovery",
        "/staff/tf-select",
        "/staff/tf-validate",
    ),
    "test_another_sites_record_and_who_looked": (
        "/staff/openings/<int:opening_id>",
        "/staff/patients/elsewhere",
        "/staff/reports/access",
    ),
    "test_how_long_a_record_is_kept": (_RECORD, f"{_RECORD}/keeping", f"{_RECORD}/log", "/staff/records/due"),
    "test_pages_of_the_desk": (
        "/staff/",
        f"{_RECORD}/contacts",
        "/staff/courses",
        "/staff/patients",
        "/staff/sessions/<int:session_id>/move",
        "/staff/tasks/<int:task_id>",
    ),
    "test_pages_of_clinicians": (
        "/staff/eligibility",
        "/staff/eligibility/<int:assessment_id>",
        "/staff/eligibility/<int:assessment_id>/facts",
        "/staff/eligibility/rules/<kind>/<key>/<version>",
        f"{_RECORD}/intake",
        f"{_RECORD}/intake/versions",
        f"{_RECORD}/scores",
    ),
    "test_the_packet_pages_hold_axe": (
        "/staff/eligibility/<int:assessment_id>/packet",
        "/staff/eligibility/<int:assessment_id>/packet/<policy_id>",
    ),
    "test_a_correction_by_staff_page_by_page": (
        f"{_RECORD}/intake/correct",
        "/staff/intakes/<int:intake_id>",
        f"{_FORM}/<page>",
        f"{_FORM}/medicines",
        f"{_FORM}/medicines/<key>/<int:step>",
    ),
    "test_pages_of_the_manager": (
        "/staff/settings",
        "/staff/settings/policies",
        "/staff/settings/policies/<policy_id>",
    ),
    "test_pages_of_the_managers_notes": (
        "/staff/settings/options",
        "/staff/settings/options/<option>/<field>/<language>",
    ),
    "test_pages_of_the_care_team": (
        f"{_RECORD}/plan",
        f"{_RECORD}/questions",
        f"{_RECORD}/referrals",
        f"{_RECORD}/summary",
        f"{_RECORD}/summary/preview",
        "/staff/referrals/<int:referral_id>/letter",
        "/staff/reports/next-steps",
    ),
    "test_outcomes_and_a_sites_certificate": ("/staff/reports/outcomes", f"{_SITE}/certification"),
    "test_the_room_and_the_records_of_sessions": ("/staff/room", "/staff/sessions/<int:session_id>/watch"),
    "test_a_session_from_its_checks_to_the_hold_that_is_lifted": (
        "/staff/holds/<int:hold_id>/lift",
        "/staff/sessions/<int:session_id>/event",
        "/staff/sessions/<int:session_id>/record",
    ),
    "test_messages_for_the_desk": (
        f"{_RECORD}/messages",
        "/staff/messages",
        "/staff/messages/<int:message_id>",
        "/staff/messages/in",
        "/staff/messages/in/<int:inbound_id>",
    ),
    "test_what_messages_say": ("/staff/settings/messages", "/staff/settings/messages/<key>/<language>"),
    "test_those_who_wait_are_planned_together_by_keyboard": (
        "/staff/waitlist",
        "/staff/waitlist/plans/<int:plan_id>",
    ),
    "test_an_outage_from_the_report_to_the_answers": (
        "/staff/day/<slug>/<on>",
        "/staff/outages",
        "/staff/outages/<int:outage_id>",
        "/staff/outages/new/<slug>",
    ),
    "test_lists_plans_and_capacity": (
        f"{_RECORD}/authorisations",
        "/staff/capacity/<slug>",
        "/staff/courses/<int:course_id>",
        "/staff/day/<slug>/<on>/run-sheet",
        "/staff/month/<slug>/<on>",
        "/staff/starts",
        "/staff/week/<slug>/<on>",
    ),
    "test_a_visit_from_the_wish_to_the_reason": (f"{_RECORD}/visits/new", "/staff/visits/<int:session_id>/move"),
    "test_three_plans_side_by_side_by_keyboard": ("/staff/courses/choose", "/staff/courses/new"),
    "test_settings_of_a_site": (
        "/staff/calendars/<slug>",
        _SITE,
        f"{_SITE}/devices",
        f"{_SITE}/devices/<int:device_id>",
        f"{_SITE}/rota",
        f"{_SITE}/rota/<int:shift_id>",
    ),
}

LEFT_OUT: dict[str, tuple[str, ...]] = {
    "data for programs, no page": (
        "/api/v1/openapi.json",
        "/healthz",
        "/intake/drugs",
        "/metrics",
        "/readyz",
        "/staff/held",
        "/staff/sessions/<int:session_id>/places",
    ),
    "a part that a page fetches, looked at in that page": (
        "/staff/alerts",
        "/staff/day/<slug>/<on>/changes",
        "/staff/room/<slug>/now",
        "/staff/sessions/<int:session_id>/panel",
    ),
    "a file": (
        "/calendar/<token>.ics",
        "/staff/attachments/<int:attachment_id>",
        "/staff/capacity/<slug>.csv",
        "/staff/eligibility/<int:assessment_id>/packet/<policy_id>/draft.pdf",
        "/staff/fs-static/<path:filename>",
        "/staff/packets/<int:packet_id>.pdf",
        "/staff/referrals/<int:referral_id>/letter.pdf",
        "/staff/reports/outcomes.csv",
        "/static/<path:filename>",
    ),
    "sends on to another page": (
        "/intake",
        _ASK,
        "/staff/day",
        "/staff/eligibility/of/<int:patient_id>",
        *(f"{_FORM}/{aside}" for aside in ("done", "later", "resume", "review", "safety", "start")),
        "/staff/tf-rescue",
        "/staff/wan-delete",
        _CHECK_IN,
    ),
}

looked_at: list[str] = []  # addresses, by the test that runs
_RULES = [*chain.from_iterable(LOOKED_AT.values()), *chain.from_iterable(LEFT_OUT.values())]
_PATHS = Map([Rule(rule, endpoint=rule) for rule in dict.fromkeys(_RULES)]).bind("localhost")


def missed(test: str, addresses: Iterable[str]) -> set[str]:
    """What the test of this name is to look at, and none of the addresses is."""
    seen = set()
    for address in addresses:
        try:
            seen.add(_PATHS.match(urlsplit(address).path)[0])
        except HTTPException:
            continue
    return set(LOOKED_AT.get(test, ())) - seen
