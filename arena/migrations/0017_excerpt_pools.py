"""Excerpts are cut for one study. Those from before have none: they are served until the study's own are cut."""

import django.core.validators
import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

FORWARD = """
-- What a file was cut from and for never changes: battles say by it what was heard.
CREATE TRIGGER excerpt_as_requested BEFORE UPDATE OF study_id, clip_id, start_ms, length_ms, codec, variant
    ON arena_excerpt FOR EACH ROW
    WHEN ((NEW.study_id, NEW.clip_id, NEW.start_ms, NEW.length_ms, NEW.codec, NEW.variant) IS DISTINCT FROM
          (OLD.study_id, OLD.clip_id, OLD.start_ms, OLD.length_ms, OLD.codec, OLD.variant))
    EXECUTE FUNCTION refuse_change();

-- Nothing that is served in one study is served in another.
CREATE FUNCTION refuse_excerpt_of_another_study() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM arena_excerpt
               WHERE id IN (NEW.excerpt_a_id, NEW.excerpt_b_id) AND study_id <> NEW.study_id) THEN
        RAISE EXCEPTION 'battle % has an excerpt that was cut for another study', NEW.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER battle_excerpts_of_its_study AFTER INSERT ON arena_battle FOR EACH ROW
    WHEN (NEW.excerpt_a_id IS NOT NULL) EXECUTE FUNCTION refuse_excerpt_of_another_study();

CREATE TRIGGER battle_starts_as_drawn BEFORE UPDATE OF start_a_ms, start_b_ms ON arena_battle FOR EACH ROW
    EXECUTE FUNCTION refuse_change();
"""
BACKWARD = """
DROP TRIGGER battle_starts_as_drawn ON arena_battle;
DROP TRIGGER battle_excerpts_of_its_study ON arena_battle;
DROP FUNCTION refuse_excerpt_of_another_study();
DROP TRIGGER excerpt_as_requested ON arena_excerpt;
"""


class Migration(migrations.Migration):

    atomic = False  # the tables may be large, and are not locked while their indexes are built

    dependencies = [
        ('arena', '0016_api_tokens'),
    ]

    operations = [
        migrations.AddField(
            model_name='battle',
            name='start_a_ms',
            field=models.PositiveIntegerField(blank=True, help_text='Where in clip A its excerpt begins.', null=True),
        ),
        migrations.AddField(
            model_name='battle',
            name='start_b_ms',
            field=models.PositiveIntegerField(blank=True, help_text='Where in clip B its excerpt begins.', null=True),
        ),
        migrations.AddField(
            model_name='excerpt',
            name='is_replaced',
            field=models.BooleanField(default=False, help_text='Whether another has been requested since it was served.'),
        ),
        migrations.AddField(
            model_name='excerpt',
            name='n_before',
            field=models.PositiveSmallIntegerField(default=0, help_text='Excerpts that its pool had when it was requested; those with few are cut first.'),
        ),
        migrations.AddField(
            model_name='excerpt',
            name='n_served',
            field=models.PositiveIntegerField(default=0, help_text='Battles that it was served in.'),
        ),
        migrations.AddField(
            model_name='excerpt',
            name='start_ms',
            field=models.PositiveIntegerField(default=0, help_text='Where in the clip it begins.'),
        ),
        migrations.AddField(
            model_name='excerpt',
            name='study',
            field=models.ForeignKey(blank=True, help_text='Where alone it is served. None: cut for all studies, by an earlier version.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='excerpts', to='arena.study'),
        ),
        migrations.AddField(
            model_name='excerptrequest',
            name='full_since',
            field=models.DateTimeField(blank=True, help_text='Since when its pools have not been filled, for want of room (excerpts_mb).', null=True),
        ),
        migrations.AddField(
            model_name='study',
            name='excerpts_mb',
            field=models.PositiveIntegerField(default=4000, help_text="Megabytes that the study's excerpts may take. Beyond that, clips keep one excerpt each.", validators=[django.core.validators.MinValueValidator(1)]),
        ),
        migrations.AddField(
            model_name='study',
            name='full_length',
            field=models.BooleanField(default=False, help_text='Play clips from their very beginning, and the shortest of a prompt to its end. Their excerpts then all begin at the same place and differ in their encoding only.'),
        ),
        migrations.AlterField(
            model_name='excerpt',
            name='status',
            field=models.CharField(choices=[('pending', 'Pending'), ('ready', 'Ready'), ('rejected', 'Rejected'), ('spent', 'spent: its file is deleted')], default='pending', max_length=10),
        ),
        migrations.RemoveConstraint(model_name='excerpt', name='excerpt_once'),
        AddIndexConcurrently(
            model_name='excerpt',
            index=models.Index(condition=models.Q(('status', 'pending')), fields=['n_before', 'id'], name='excerpt_to_cut'),
        ),
        AddIndexConcurrently(
            model_name='excerpt',
            index=models.Index(condition=models.Q(('status', 'rejected')), fields=['study'], name='excerpt_refused'),
        ),
        AddIndexConcurrently(
            model_name='excerpt',
            index=models.Index(condition=models.Q(('status', 'ready')), fields=['study', 'clip', 'length_ms', 'variant'], name='excerpt_pool'),
        ),
        AddIndexConcurrently(
            model_name='excerpt',
            index=models.Index(condition=models.Q(('is_replaced', False), ('n_served__gt', 0)), fields=['study'], name='excerpt_used'),
        ),
        AddIndexConcurrently(
            model_name='excerpt',
            index=models.Index(condition=models.Q(('is_replaced', True), ('status', 'ready')), fields=['id'], name='excerpt_to_tidy'),
        ),
        AddIndexConcurrently(
            model_name='excerpt',
            index=models.Index(condition=models.Q(('status', 'spent'), models.Q(('file', ''), _negated=True)), fields=['id'], name='excerpt_to_delete'),
        ),
        RemoveIndexConcurrently(model_name='excerpt', name='excerpt_pending'),
        RemoveIndexConcurrently(model_name='excerpt', name='excerpt_rejected'),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
