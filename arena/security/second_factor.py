"""The second factor of staff: codes of an app (TOTP, by django-otp), and codes on paper for when the app is lost.

Of the codes on paper only keyed hashes are stored; each works once.
"""

import base64
import secrets
from typing import Any

import segno
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils.crypto import salted_hmac
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

N_CODES = 10
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without letters that look alike


def has_one(user: Any) -> bool:
    return TOTPDevice.objects.devices_for_user(user, confirmed=True).exists()


def verify(user: Any, code: str) -> bool:
    """Whether the code is the app's of this moment, or one of those on paper, which is then used up. After failures a
    device refuses every code for a time that doubles."""
    code = "".join(code.split()).replace("-", "").lower()
    if code.isdecimal():
        return _verify(TOTPDevice, user, code)
    return _verify(StaticDevice, user, _stored(user, code))


@transaction.atomic
def _verify(devices, user, token):
    found = devices.objects.devices_for_user(user, confirmed=True).select_for_update()
    return any(device.verify_token(token) for device in found)


def pending(user: Any) -> TOTPDevice:
    """The device that is being set up: it counts once its owner has shown that the app has its key."""
    begun = TOTPDevice.objects.filter(user=user, confirmed=False).order_by("pk").first()
    return begun or TOTPDevice.objects.create(user=user, confirmed=False, name="app")


def confirm(device: TOTPDevice, code: str) -> bool:
    """Make it the account's device, if this is its code."""
    with transaction.atomic():
        device = TOTPDevice.objects.select_for_update().get(pk=device.pk)
        if not device.verify_token("".join(code.split())):
            return False
        TOTPDevice.objects.devices_for_user(device.user).exclude(pk=device.pk).delete()
        device.confirmed = True
        device.save()
        return True


def new_paper_codes(user: AbstractBaseUser) -> list[str]:
    """Ten codes, instead of those before. They are nowhere else."""
    codes = ["".join(secrets.choice(ALPHABET) for _ in range(10)) for _ in range(N_CODES)]
    with transaction.atomic():
        StaticDevice.objects.filter(user=user).delete()
        device = StaticDevice.objects.create(user=user, name="paper")
        for code in codes:
            device.token_set.create(token=_stored(user, code))
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def remove(user: Any) -> None:
    for devices in (TOTPDevice, StaticDevice):
        devices.objects.filter(user=user).delete()


def _stored(user, code):
    """16 letters are all that the table has room for: 80 bits, under a key that is not in the database."""
    digest = salted_hmac("arena.second_factor", f"{user.pk}:{code}", algorithm="sha256").digest()
    return base64.b32encode(digest[:10]).decode().lower()


def drawing(device: TOTPDevice) -> str:
    """The device's key as a QR code, in SVG without styles."""
    return segno.make(device.config_url, error="m").svg_inline(omitsize=True, border=2)


def key_in_words(device: TOTPDevice) -> str:
    """The key to type, in groups of four."""
    key = base64.b32encode(device.bin_key).decode()
    return " ".join(key[i : i + 4] for i in range(0, len(key), 4))
