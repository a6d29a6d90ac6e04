"""Forms of the admin as a browser sends them."""


def as_sent(form):
    """What a browser sends of a form that nobody has touched."""
    shown = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in shown.items() if value is not None and value is not False}
