"""What providers call: texts that come in, what became of a message, mail that came back. Each caller proves itself."""

import base64
import hashlib
import hmac
import logging
from html import escape
from typing import Any

from flask import Blueprint, Response, abort, current_app, request
from werkzeug.exceptions import Forbidden

from clinic.config import Settings
from clinic.reminders import bounces, inbound, receipts
from clinic.reminders.channels import gateways
from clinic.reminders.channels.sms import Gateway
from clinic.web import access

log = logging.getLogger(__name__)

bp = Blueprint("hooks", __name__)


@bp.post("/hooks/sms")
@access.public
def sms() -> Any:
    """A text that came in; what is written back goes in the answer (TwiML)."""
    caller = _caller()
    sid, sender = request.form.get("MessageSid") or request.form.get("SmsSid"), request.form.get("From")
    if not sid or not sender:
        abort(400)
    said = inbound.receive(inbound.Inbound(caller.name, sid, sender, request.form.get("Body", "")))
    message = f"<Message>{escape(said, quote=False)}</Message>" if said else ""
    page = f'<?xml version="1.0" encoding="UTF-8"?><Response>{message}</Response>'
    return Response(page, content_type="text/xml; charset=utf-8")


@bp.post("/hooks/sms/status")
@access.public
def sms_status() -> Any:
    """What became of a text. Unknown messages and words are no fault: the provider would call again and again."""
    caller = _caller()
    sid, status = request.form.get("MessageSid") or request.form.get("SmsSid"), request.form.get("MessageStatus")
    status = status or request.form.get("SmsStatus")
    if not sid or not status:
        abort(400)
    known = receipts.record_status(
        receipts.Status(
            provider=caller.name,
            provider_id=sid,
            status=status.lower(),
            code=request.form.get("ErrorCode"),
            reference=request.args.get("ref"),
        )
    )
    if not known:
        log.info("a status of a text that is not ours")
    return "", 204


@bp.post("/hooks/mail")
@access.public
def mail() -> Any:
    """A letter that came to the address of bounces, whole (message/rfc822), with the bearer token of the settings."""
    settings: Settings = current_app.config["SETTINGS"]
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not settings.mail_hook_token or not hmac.compare_digest(given.encode(), settings.mail_hook_token.encode()):
        abort(403)
    found = bounces.read(request.get_data(cache=False), settings.secret_keys)
    if found is not None:
        receipts.record_bounce(found.message_id, code=found.code, is_dead=found.is_dead)
    return "", 204


def _caller() -> Gateway:
    """The provider whose token signed the request: its address, then every field with its value, sorted."""
    settings: Settings = current_app.config["SETTINGS"]
    query = request.query_string.decode()
    said = settings.base_url + request.path + (f"?{query}" if query else "")
    for name in sorted(request.form):
        said += "".join(name + value for value in sorted(set(request.form.getlist(name))))
    given = request.headers.get("X-Twilio-Signature", "").encode()
    for gateway in gateways(settings):
        seal = base64.b64encode(hmac.digest(gateway.token.encode(), said.encode(), hashlib.sha1))
        if hmac.compare_digest(seal, given):
            return gateway
    raise Forbidden
