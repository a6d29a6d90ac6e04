"""The settings, from the environment; a bad value stops the start with an error that names it."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


def env(name: str, default: str | None = None) -> str:
    """The variable's value; ImproperlyConfigured where it is missing and has no default."""
    value = os.environ.get(name, "").strip() or default
    if value is None:
        raise ImproperlyConfigured(
            f"{name} is not set. `make run` sets it; beside a running `make run`, manage.py finds it. "
            f"To use your own services, see README.md."
        )
    return value


def env_bool(name: str, default: bool) -> bool:
    value = env(name, str(default)).lower()
    if value not in {"true", "false", "1", "0"}:
        raise ImproperlyConfigured(f"{name}={value!r}: write true or false.")
    return value in {"true", "1"}


def env_int(name: str, default: int) -> int:
    value = env(name, str(default))
    if not value.isdecimal():
        raise ImproperlyConfigured(f"{name}={value!r}: write a number, 0 or more.")
    return int(value)


def env_list(name: str, default: str = "") -> list[str]:
    return [item.strip() for item in env(name, default).split(",") if item.strip()]


ARENA_HOME = Path(env("ARENA_HOME", str(BASE_DIR / "var"))).resolve()
SECRET_KEY = env("SECRET_KEY")
DEBUG = env_bool("DEBUG", False)
HTTPS = env_bool("HTTPS", False)
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")
# Where people reach the arena, for the links that commands print; "": not known.
PUBLIC_URL = env("PUBLIC_URL", "").rstrip("/")
if PUBLIC_URL and not re.fullmatch(r"https?://[^/?#\s]+", PUBLIC_URL):
    raise ImproperlyConfigured(f"PUBLIC_URL={PUBLIC_URL!r}: write https:// and the host, as in https://arena.example.")

INSTALLED_APPS = [
    "arena.security.apps.ArenaAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "rest_framework",
    "drf_spectacular",
    "arena",
    "annotations",
    "scoring",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "arena.security.headers.policies",
    "arena.security.transport.api_over_https",
    "arena.addresses.without_nul",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "arena.disk.refuse_writes_when_full",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "arena.rater_cookie.under_its_new_name",
    "arena.language.PageLanguage",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "arena.security.sessions.staff_sessions",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "arena.urls"
WSGI_APPLICATION = "arena.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "arena.language.words_url",
            ]
        },
    }
]

DATABASES = {
    "default": dj_database_url.parse(env("DATABASE_URL"), conn_max_age=60, conn_health_checks=True),
}
if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
    raise ImproperlyConfigured("DATABASE_URL: the arena runs only on PostgreSQL.")
# The owner of the tables, as whom `manage.py migrate` connects where DATABASE_URL names a role that owns nothing.
DATABASE_OWNER = dj_database_url.parse(env("DATABASE_OWNER_URL")) if os.environ.get("DATABASE_OWNER_URL") else None
if DATABASE_OWNER and DATABASE_OWNER["NAME"] != DATABASES["default"]["NAME"]:
    raise ImproperlyConfigured("DATABASE_OWNER_URL names another database than DATABASE_URL.")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Clips are private: nothing below MEDIA_ROOT has a URL of its own.
MEDIA_ROOT = ARENA_HOME / "media"
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
STORAGES = {
    "default": {"BACKEND": "arena.storage.WholeFiles"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# The weights of the encoders, fetched only by `manage.py fetch_weights`. scoring.reward cannot read settings.
WEIGHTS_DIR = Path(env("WEIGHTS_DIR", str(ARENA_HOME / "weights"))).resolve()
os.environ["WEIGHTS_DIR"] = str(WEIGHTS_DIR)

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_MAX_AGE = 0  # no build step, so no hashed names: the browser asks again and gets a 304

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "German"), ("fr", "French")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "arena.formats"
TIME_ZONE = "UTC"
USE_TZ = True

# Sites that may frame a listening test, such as https://lab.qualtrics.com. Browsers keep a framed page's cookies only
# where they are SameSite=None, which they take over HTTPS alone.
FRAME_ANCESTORS = env_list("FRAME_ANCESTORS")
if FRAME_ANCESTORS and not HTTPS:
    raise ImproperlyConfigured("FRAME_ANCESTORS needs HTTPS=true: without, a framed page loses its cookies.")
for site in FRAME_ANCESTORS:
    if not re.fullmatch(r"https://[\w.*-]+(:\d+)?", site):
        raise ImproperlyConfigured(f"FRAME_ANCESTORS: {site!r} is no origin such as https://lab.qualtrics.com.")

# A browser takes a cookie named __Host-... only over HTTPS and from this very host.
HOST_ONLY = "__Host-" if HTTPS else ""
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{HOST_ONLY}sessionid", f"{HOST_ONLY}csrftoken"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "None" if FRAME_ANCESTORS else "Lax"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_HTTPONLY = True
RATER_COOKIE = f"{HOST_ONLY}rater"
RATER_COOKIE_DAYS = 365

# Pages redirect to HTTPS, the API refuses plain HTTP (arena/security/transport.py), health checks may come over it.
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^api/", r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = env_int("HSTS_SECONDS", 180 * 24 * 3600) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SILENCED_SYSTEM_CHECKS = ["security.W021"]  # preloading: nobody but the domain's owner may decide that, and for good
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
LOGIN_URL = "admin:login"
CSRF_FAILURE_VIEW = "arena.failures.csrf_failed"

# Proxies in front of the web process that append to X-Forwarded-For; 0: none, the header is ignored.
TRUSTED_PROXIES = env_int("TRUSTED_PROXIES", 0)

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "arena.security.passwords.NotTooLong"},
    {"NAME": "arena.security.passwords.NotTheName"},
    {"NAME": "arena.security.passwords.NotTheSame"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Failures to sign in, counted in the database by django-axes; arena/security/lockout.py says what follows.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "arena.security.lockout.connection"
AXES_LOCKOUT_CALLABLE = "arena.security.lockout.locked_out"
AXES_DISABLE_ACCESS_LOG = True
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "code", "csrfmiddlewaretoken"]
AXES_VERBOSE = False
# The second factor of staff: whoever has set one up needs it; with STAFF_SECOND_FACTOR=true everybody does.
STAFF_SECOND_FACTOR = env_bool("STAFF_SECOND_FACTOR", False)
OTP_TOTP_ISSUER = "Arena"
OTP_ADMIN_HIDE_SENSITIVE_DATA = True
# Sessions of staff end when they are idle, and after half a day.
SESSION_COOKIE_AGE = 60 * (env_int("STAFF_IDLE_MINUTES", 30) or 30)
SESSION_SAVE_EVERY_REQUEST = True  # of requests with a session: listeners have none
SESSION_LONGEST_S = 12 * 3600

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["arena.storable.StorableJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "URL_FORMAT_OVERRIDE": None,  # ?format= is ours: the format of an export
    "EXCEPTION_HANDLER": "arena.refusals.exception_handler",
    "STRICT_JSON": True,  # NaN and Infinity are not JSON
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Arena for generated music",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "GET_LIB_DOC_EXCLUDES": "arena.api.contract.bases_without_words",
}

# The sweeps. A message that waits longer than its period is dropped: the next one finds the same work.
CELERY_BROKER_URL = env("REDIS_URL")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_TIME_LIMIT = 600
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"


def sweep(task: str, seconds: float, queue: str = "default", expires: float | None = None) -> dict[str, Any]:
    return {"task": task, "schedule": seconds, "options": {"queue": queue, "expires": expires or seconds}}


# Queues by urgency, each with processes of its own (see arena/run/apps.py), so that no sweep can keep a more urgent one
# waiting: "urgent" takes milliseconds and never waits for sound; "ingest" decodes; "default" is the boards and who is
# counted on them; "slow" is what follows from a board, and all that takes minutes.
CELERY_BEAT_SCHEDULE = {
    "ledger": sweep("annotations.tasks.extend_ledger", 2, "urgent"),
    "watch": sweep("arena.tasks.watch_sweeps", 30, "urgent"),
    "ingest": sweep("arena.tasks.ingest_clips", 2, "ingest"),
    "requests": sweep("arena.tasks.request_excerpts", 3, "ingest"),
    "excerpts": sweep("arena.tasks.cut_excerpts", 3, "ingest"),
    "tidy": sweep("arena.tasks.tidy_excerpts", 60, "slow"),
    "boards": sweep("scoring.tasks.refit_boards", 5),
    "standings": sweep("scoring.tasks.move_standings_on", 5),
    "anchors": sweep("scoring.tasks.refit_anchors", 5),
    "identities": sweep("annotations.tasks.screen_identities", 60),
    "raters": sweep("scoring.tasks.screen_raters", 20),
    "groups": sweep("scoring.tasks.screen_groups", 10),
    "bursts": sweep("annotations.tasks.watch_bursts", 30, "urgent"),
    "proxies": sweep("annotations.tasks.watch_proxies", 600, "slow"),
    "arrivals": sweep("arena.tasks.forget_arrivals", 3600, "slow"),
    "leftovers": sweep("arena.tasks.tidy_files", 3600, "slow"),
    "sign-ins": sweep("arena.tasks.forget_sign_ins", 3600, "slow"),
    "robustness": sweep("scoring.tasks.write_cards", 10, "slow"),
    "editions": sweep("scoring.tasks.explain_editions", 10, "slow"),
    "categories": sweep("scoring.tasks.compute_categories", 5, "slow"),
    "figures": sweep("scoring.tasks.draw_figures", 10, "slow"),
    "pass rates": sweep("annotations.tasks.watch_pass_rates", 3600, "slow"),
    "prediction-powered": sweep("scoring.tasks.power_boards", 5, "slow"),
    "erasures": sweep("scoring.tasks.erase_scored_files", 600, "slow"),
    "releases": sweep("scoring.tasks.release_pairs", 3600, "slow"),
    "retraining": sweep("scoring.tasks.retrain", 15, "slow"),
    "rewards": sweep("scoring.tasks.score_clips", 3, "gpu"),
    # Researchers wait for these: a message survives a long batch of clips, and is then the next in the queue.
    "score jobs": sweep("scoring.tasks.work_off_score_jobs", 1, "gpu", expires=60),
}
# Seconds after which a sweep leaves the rest to its next turn. One row may take longer, up to the task's time limit.
SWEEP_TURN_S = {
    "default": 20,
    "categories": 60,
    "robustness": 60,
    "prediction-powered": 60,
    "raters": 60,
    "releases": 600,
    "retraining": 6 * 3600,
    "rewards": 600,
    "score jobs": 600,
}
# What waits while the disk is nearly full (arena/disk.py), so that votes can still be stored.
SWEEPS_THAT_WRITE_FILES = {
    "ingest",
    "requests",
    "excerpts",
    "rewards",
    "figures",
    "releases",
    "retraining",
    "robustness",
}
SWEEP_ALARM = "annotations.alarms.raise_about_sweep"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL", "INFO")},
    "loggers": {
        "httpx2": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
    },  # the hub's client would log every request
}
