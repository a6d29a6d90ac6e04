"""Declarations for tables of other packages. All of them concern staff and researchers: a rater has no account."""


class User:
    user = "self"
    deleted = {
        "id, username, first_name, last_name, email, password": "the account of a researcher or of staff, its password "
        "as a salted hash",
        "last_login, date_joined, is_superuser, is_staff, is_active, groups, user_permissions": "when it was made and "
        "last used, and what it may do",
    }


class LogEntry:
    user = "user"
    deleted = {
        "action_time, content_type, object_id, object_repr, action_flag, change_message": "what somebody of staff did "
        "in the admin and when. Raters and their answers can only be looked at there, which writes no entry. What "
        "others did to the account stays with theirs, its name included",
    }


class Session:
    deleted = {"session_key, session_data": "who of staff is logged in to the admin; listeners have no session"}
    lifetime = "half an hour after the last request (STAFF_IDLE_MINUTES), when an hourly sweep finds it"


class SecondFactor:
    user = "user"
    deleted = {
        "name, key, confirmed, step, t0, digits, tolerance, drift, last_t": "the app with which somebody of staff "
        "signs in: the key that it shares with us",
        "created_at, last_used_at, throttling_failure_timestamp, throttling_failure_count": "when it was set up and "
        "used, and how often a code was wrong",
    }


class PaperCodes:
    user = "user"
    deleted = {
        "name, confirmed": "that somebody of staff has codes on paper, in case the app is lost",
        "created_at, last_used_at, throttling_failure_timestamp, throttling_failure_count": "when they were made and "
        "used, and how often one was wrong",
    }


class PaperCode:
    user = "device__user"
    deleted = {"device, token": "a keyed hash of a code that was not used yet"}


class FailureToSignIn:
    deleted = {
        "username, ip_address, user_agent, http_accept, path_info, get_data, post_data": "who failed to sign in to the "
        "admin, from where, without the password",
        "attempt_time, failures_since_start": "when, and how often",
    }
    lifetime = "a day after the last failure, when an hourly sweep finds it; the admin may delete it before"


class NotKept:
    not_personal = {
        "user_agent, ip_address, username, http_accept, path_info": "nothing: signing in is not logged here",
    }


class SignInsNotKept:
    not_personal = {
        "user_agent, ip_address, username, http_accept, path_info, session_hash": "nothing: signing in is not logged "
        "here",
    }


class Group:
    not_personal = {"name": "names of groups of accounts, such as researchers"}


class Permission:
    not_personal = {"name, codename": "what may be done with which table, as the code says"}


class ContentType:
    not_personal = {"app_label, model": "the names of the tables"}


DECLARED = {
    "auth.User": User,
    "auth.Group": Group,
    "auth.Permission": Permission,
    "admin.LogEntry": LogEntry,
    "sessions.Session": Session,
    "contenttypes.ContentType": ContentType,
    "otp_totp.TOTPDevice": SecondFactor,
    "otp_static.StaticDevice": PaperCodes,
    "otp_static.StaticToken": PaperCode,
    "axes.AccessAttempt": FailureToSignIn,
    "axes.AccessFailureLog": NotKept,
    "axes.AccessLog": SignInsNotKept,
}
