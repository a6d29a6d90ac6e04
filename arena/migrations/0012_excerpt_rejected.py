from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False  # the table may be large, and is not locked while the index is built

    dependencies = [
        ('arena', '0011_sweeps'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='excerpt',
            index=models.Index(condition=models.Q(('status', 'rejected')), fields=['codec'], name='excerpt_rejected'),
        ),
    ]
