"""Tokens of the API are kept as hashes. Those of before, which stood in the table as they are, go on working for a year
with every scope; only their hashes stay."""

import hashlib
from datetime import timedelta

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import arena.models.tokens

OLD_TABLE = "authtoken_token"


def hash_old_tokens(apps, schema_editor):
    connection = schema_editor.connection
    if OLD_TABLE not in connection.introspection.table_names():
        return
    ApiToken = apps.get_model("arena", "ApiToken")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT key, created, user_id FROM {OLD_TABLE}")
        old = cursor.fetchall()
    expires_at = django.utils.timezone.now() + timedelta(days=365)
    ApiToken.objects.bulk_create(
        ApiToken(
            user_id=user_id, name="from an earlier version", shown=key[:8], created_at=created, expires_at=expires_at,
            digest=hashlib.sha256(key.encode()).hexdigest(), scopes=["read", "export", "score", "admin"],
        )
        for key, created, user_id in old
    )
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with checks to come cannot be dropped
        cursor.execute(f"DROP TABLE {OLD_TABLE}")


class Migration(migrations.Migration):

    dependencies = [
        ('arena', '0015_limits'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ApiToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='What it is for, such as: notebook, nightly export.', max_length=100)),
                ('shown', models.CharField(editable=False, help_text='How the token begins.', max_length=8)),
                ('digest', models.CharField(editable=False, help_text='SHA-256 of the token.', max_length=64, unique=True)),
                ('scopes', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('read', 'read: boards of everybody, what margins mean'), ('export', 'export: votes and training pairs'), ('score', 'score: have files scored'), ('admin', 'admin: what only staff may see')], max_length=10), default=arena.models.tokens.every_scope, size=None)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('expires_at', models.DateTimeField(default=arena.models.tokens.in_a_year)),
                ('revoked_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('last_used_at', models.DateTimeField(blank=True, editable=False, help_text='To the minute.', null=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='api_tokens', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-created_at'],
                'constraints': [models.CheckConstraint(condition=models.Q(('scopes__contained_by', ['read', 'export', 'score', 'admin']), ('scopes__len__gt', 0)), name='token_has_known_scopes')],
            },
        ),
        migrations.RunPython(hash_old_tokens, migrations.RunPython.noop),
    ]
