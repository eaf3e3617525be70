"""Ways out of the clinic, chosen by the settings."""

from clinic.config import Settings
from clinic.reminders.channels.base import Accepted, Channel, ChannelBusy, ChannelRefused, Envelope
from clinic.reminders.channels.console import ConsoleChannel
from clinic.reminders.channels.email import EmailChannel
from clinic.reminders.channels.sms import Gateway, SmsChannel

__all__ = ["Accepted", "Channel", "ChannelBusy", "ChannelRefused", "Envelope", "channel_for", "gateways"]


def channel_for(kind: str, settings: Settings) -> Channel:
    """The channel of a kind (`email` or `sms`; calls are the desk's). Without a provider messages are kept and shown on /dev/outbox."""
    if kind == "email":
        return EmailChannel(settings.smtp_url, settings.mail_from) if settings.smtp_url else ConsoleChannel()
    if kind == "sms":
        known = gateways(settings)
        return SmsChannel(known) if known else ConsoleChannel()
    raise ValueError(f"no channel {kind!r}")


def gateways(settings: Settings) -> list[Gateway]:
    """The providers of texts, in the order in which they are asked."""
    return [
        Gateway(url, account, token, sender, name)
        for name, url, account, token, sender in (
            ("sms1", settings.sms_url, settings.sms_account, settings.sms_token, settings.sms_from),
            ("sms2", settings.sms2_url, settings.sms2_account, settings.sms2_token, settings.sms2_from),
        )
        if url
    ]
