"""What every endpoint shares: strict requests, and how a refusal is described."""

from drf_spectacular.utils import OpenApiResponse, inline_serializer
from rest_framework import serializers

REFUSED = OpenApiResponse(
    inline_serializer("Refused", {"code": serializers.CharField(), "detail": serializers.CharField()})
)


class StrictSerializer(serializers.Serializer):
    """A serializer that refuses unknown fields by name instead of dropping them."""

    def to_internal_value(self, data):
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError({name: ["Unknown field."] for name in unknown})
        return super().to_internal_value(data)


def validated(serializer_class, data):
    serializer = serializer_class(data=data)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data
