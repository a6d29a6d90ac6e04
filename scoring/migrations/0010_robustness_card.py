"""How sure an edition is, and what moved it: two append-only tables."""

import django.db.models.deletion
from django.db import migrations, models

TABLES = ("robustnesscard", "editionchange")

FORWARD = "".join(
    f"CREATE TRIGGER {table}_never_changes BEFORE UPDATE OR DELETE ON scoring_{table}"
    f" FOR EACH ROW EXECUTE FUNCTION refuse_change();"
    for table in TABLES
)
BACKWARD = "".join(f"DROP TRIGGER {table}_never_changes ON scoring_{table};" for table in TABLES)


class Migration(migrations.Migration):

    dependencies = [
        ('scoring', '0007_embedding_attempts'),
    ]

    operations = [
        migrations.CreateModel(
            name='RobustnessCard',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('method_version', models.PositiveIntegerField()),
                ('config', models.JSONField(help_text='The reward model, its anchors and the last reward that it was made with.')),
                ('result', models.JSONField(help_text='Canonical; rebuilding gives the same.')),
                ('created_at', models.DateTimeField()),
                ('edition', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='cards', to='scoring.edition')),
            ],
            options={
                'ordering': ['edition', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='EditionChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('method_version', models.PositiveIntegerField()),
                ('result', models.JSONField(help_text='Canonical; rebuilding gives the same.')),
                ('created_at', models.DateTimeField()),
                ('edition', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='scoring.edition')),
            ],
            options={
                'ordering': ['edition', '-pk'],
                'constraints': [models.UniqueConstraint(fields=('edition', 'method_version'), name='edition_change_once')],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
