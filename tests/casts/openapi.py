"""The API's own description as something that answers can be held against."""

from datetime import datetime

from jsonschema import Draft202012Validator, FormatChecker

METHODS = ("get", "post", "put", "patch", "delete")
REF = "#/components/schemas/"
formats = FormatChecker(["uuid"])


@formats.checks("date-time", raises=ValueError)
def is_time(value):
    """With a zone; what is no text is the matter of `type`."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


class Description:
    """An OpenAPI 3.0 document. What it does not declare, an answer must not have."""

    def __init__(self, document):
        self.paths = document["paths"]
        self.schemas = {name: _strict(schema) for name, schema in document["components"]["schemas"].items()}
        self.operations = {
            operation["operationId"]: operation
            for path in self.paths.values()
            for method, operation in path.items()
            if method in METHODS
        }

    def statuses(self, operation_id):
        return {int(status) for status in self.operations[operation_id]["responses"]}

    def schema_of(self, operation_id, response):
        """The schema that the response must fit; None where it has no body."""
        declared = self.operations[operation_id]["responses"][str(response.status_code)].get("content")
        if not declared:
            return None
        content_type = response.headers["Content-Type"].split(";")[0]
        assert content_type in declared, f"{content_type} is not declared, only {', '.join(declared)}"
        return _strict(declared[content_type]["schema"])

    def errors(self, schema, content):
        """Sentences, each with the place it is about."""
        checked = Draft202012Validator({"components": {"schemas": self.schemas}, **schema}, format_checker=formats)
        return [
            f"{'.'.join(map(str, error.absolute_path)) or 'the answer'}: {error.message[:300]}"
            for error in checked.iter_errors(content)
        ]

    def not_shown(self, schema, contents):
        """{"Component.property"} of all that the schema declares and that has no value in any of the contents."""
        shown, declared = set(), set()
        for content in contents:
            self._walk(schema, content, shown)
        self._collect(schema, declared, set())
        return declared - shown

    def _walk(self, schema, value, shown, name=""):
        if value is None:
            return
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(REF)
            schema = self.schemas[name]
        for part in (part for key in ("allOf", "anyOf", "oneOf") for part in schema.get(key, ())):
            if not self.errors(part, value):
                self._walk(part, value, shown, name)
        for key, part in schema.get("properties", {}).items():
            if value.get(key) is not None:
                shown.add(f"{name}.{key}")
                self._walk(part, value[key], shown)
        if isinstance(value, list):
            for item in value:
                self._walk(schema.get("items", {}), item, shown)
        elif isinstance(schema.get("additionalProperties"), dict):
            for item in value.values():
                self._walk(schema["additionalProperties"], item, shown)

    def _collect(self, schema, declared, visited, name=""):
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(REF)
            if name in visited:
                return
            visited.add(name)
            schema = self.schemas[name]
        parts = [part for key in ("allOf", "anyOf", "oneOf") for part in schema.get(key, ())]
        for part in parts:
            self._collect(part, declared, visited, name)
        for key, part in schema.get("properties", {}).items():
            declared.add(f"{name}.{key}")
            self._collect(part, declared, visited)
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                self._collect(schema[key], declared, visited)


def _strict(schema):
    """As JSON Schema of 2020-12, in which `nullable` is a type; objects have no other keys than those declared."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {key: _strict(part) for key, part in schema.items() if key not in ("nullable", "properties")}
    if "properties" in schema:
        parts["properties"] = {name: _strict(part) for name, part in schema["properties"].items()}
        parts.setdefault("additionalProperties", False)
    return {"anyOf": [parts, {"type": "null"}]} if schema.get("nullable") else parts


def body_of(response):
    """JSON, or text of what is streamed or no JSON; None where there is none."""
    raw = b"".join(response.streaming_content) if response.streaming else response.content
    if not raw:
        return None
    return response.json() if response.headers["Content-Type"] == "application/json" else raw.decode()
