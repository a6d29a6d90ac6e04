from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('arena', '0012_excerpt_rejected'),
    ]

    operations = [
        migrations.RemoveField(model_name='excerpt', name='peaks'),
    ]
