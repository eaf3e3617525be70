"""Ways out of the clinic, chosen by the settings."""

from clinic.config import Settings
from clinic.reminders.channels.base import Accepted, Channel, ChannelBusy, ChannelRefused, Envelope
from clinic.reminders.channels.console import ConsoleChannel
from clinic.reminders.channels.email import EmailChannel
from clinic.reminders.channels.sms import Gateway, SmsChannel

__all__ = ["Accepted", "Channel", "ChannelBusy", "ChannelRefused", "Envelope", "channel_for"]


def channel_for(kind: str, settings: Settings) -> Channel:
    """The channel of a kind (`email` or `sms`). Without a provider messages are kept and shown on /dev/outbox."""
    if kind == "email":
        return EmailChannel(settings.smtp_url, settings.mail_from) if settings.smtp_url else ConsoleChannel()
    if kind == "sms":
        gateways = [
            Gateway(url, account, token, sender)
            for url, account, token, sender in (
                (settings.sms_url, settings.sms_account, settings.sms_token, settings.sms_from),
                (settings.sms2_url, settings.sms2_account, settings.sms2_token, settings.sms2_from),
            )
            if url
        ]
        return SmsChannel(gateways) if gateways else ConsoleChannel()
    raise ValueError(f"no channel {kind!r}")
