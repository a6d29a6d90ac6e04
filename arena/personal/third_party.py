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
    lifetime = "two weeks after the last login; `manage.py clearsessions` deletes the rows that have run out"


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
}
