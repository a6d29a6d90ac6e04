from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False  # the table may be large, and is not locked while the index is built

    dependencies = [
        ('annotations', '0008_sweeps'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='vote',
            index=models.Index(fields=['received_at'], name='vote_by_time'),
        ),
    ]
