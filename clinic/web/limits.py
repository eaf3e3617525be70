"""How often a caller may ask. One Limiter for the application; routes name their own limits."""

from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

limiter = Limiter(get_remote_address, headers_enabled=True)
