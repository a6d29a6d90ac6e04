"""Where several of the jury's models change together: boards, anchors, the live model, rewards."""

from dataclasses import asdict

from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from annotations import ledger
from annotations.alarms import raise_alarm
from annotations.models import Ledger
from arena.refusals import Conflict, NotFound
from scoring import inputs, outputs
from scoring.boards import pairing_tables, standings
from scoring.inputs.covariates import in_order, known_of_systems
from scoring.registry import live as registry
from scoring.stats import anchor_drift, board_method
from scoring.stats.bradley_terry import BadCovariate, NotOffered
from scoring.workers.locks import Lock, hold

from .models import Reward

ANCHOR_CONFIG = {
    "l2": anchor_drift.RIDGE,
    "level": 0.95,
    "ties": "excluded",
    "cluster": "rater",
    "anchor_system": None,
    "half_width": 0.25,  # logits, wanted of each bias: the probability of an even pair to 6 percentage points
}
UNKNOWN = ("draw_unknown", "covariate_unknown")  # reasons why a vote is left out that come of what was chosen
CHOSEN_OF_ANCHORS = ("anchor_system", "half_width")


# ---- boards -------------------------------------------------------------------------------------------


def board_is_due(study, now=None):
    """Whether the study's ledger has run far enough ahead of its last edition, the study's settings are not those of
    that edition, or votes weigh as much as raters are reliable and reliabilities are new."""
    now = now or timezone.now()
    entries = Ledger.objects.filter(study=study, seq__isnull=False)
    last = study.editions.order_by("-number").first()
    if not last:
        return entries.filter(vote__isnull=False).exists()
    config = _config(study, board_method.choice_of(last.config))
    if board_method.settings_of(config) != board_method.settings_of(last.config):
        return True
    new = entries.filter(seq__gt=last.ledger_seq).order_by("seq").select_related("vote", "flag")
    oldest, reweighed = new.first(), config != last.config
    if not oldest and not reweighed:
        return False
    came_at = (oldest.vote.received_at if oldest.vote else oldest.flag.created_at) if oldest else now
    n_counted = last.n_votes + sum(last.excluded.values())
    return board_method.is_due(
        n_counted=n_counted,
        n_new_entries=new.count() + reweighed,
        n_votes=n_counted + new.filter(vote__isnull=False).count(),
        oldest_wait_s=(now - came_at).total_seconds(),
        since_last_s=(now - last.created_at).total_seconds(),
    )


@transaction.atomic
def refit_board(study, now=None, only_if_due=False, **chosen):
    """Compute the study's board at the head of the ledger and write it as the next edition.

    With `only_if_due`, None where another worker has just done so: the question is asked under the lock.
    chosen: `treatment`, `covariates` or `weighting`, from this edition on; see `board_method.config_for`. NotOffered,
    BadCovariate or Conflict where the votes do not bear it. What is not chosen stays as in the last edition, or goes
    back to the default where the votes no longer bear that.
    """
    hold(Lock.BOARD, study)
    if only_if_due and not board_is_due(study, now):
        return None
    if "covariates" in chosen:
        chosen["covariates"] = in_order(chosen["covariates"])
    seq = ledger.head()
    last = study.editions.order_by("-number").first()
    try:
        config, votes, result = _board(study, seq, {**board_method.choice_of(last.config if last else {}), **chosen})
    except (NotOffered, BadCovariate, Conflict):
        if chosen:
            raise
        config, votes, result = _board(study, seq, {})
    edition = outputs.write_edition(
        study,
        number=last.number + 1 if last else 1,
        method=board_method.METHOD,
        method_version=board_method.METHOD_VERSION,
        config=config,
        ledger_seq=seq,
        input_hash=votes.input_hash,
        result=result,
        now=now or timezone.now(),
    )
    standings.start(edition, votes)
    pairing_tables.write(edition, votes)
    return edition


def _board(study, seq, choice):
    """(configuration, votes, result) of the study's board at `seq`. Conflict where the choice leaves out every vote."""
    config = _config(study, choice)
    votes = inputs.board_votes(study, seq, config)
    if not len(votes.outcome) and (unknown := [reason for reason in UNKNOWN if reason in votes.excluded]):
        raise Conflict(f"Every vote would be left out: {', '.join(unknown)}.", reasons=unknown)
    return config, votes, board_method.compute(votes, config)


def _config(study, choice):
    known = known_of_systems(study, choice.get("covariates", ()))
    return board_method.config_for(study, _last_reliability(study), **choice, known_of_systems=known)


def _last_reliability(study):
    return study.reliabilities.order_by("-pk").values_list("pk", flat=True).first()


def rebuild_edition(edition):
    """The edition's canonical JSON, computed again from the database."""
    if edition.method != board_method.METHOD or edition.method_version not in board_method.VERSIONS:
        raise NotFound(f"{edition}: its method {edition.method} {edition.method_version} is not in this code.")
    votes = inputs.board_votes(edition.study, edition.ledger_seq, edition.config)
    return board_method.canonical_json(board_method.compute(votes, edition.config))


# ---- anchors ------------------------------------------------------------------------------------------


def anchors_are_due(study, model):
    """The study's board or the model's rewards have moved since the last anchor fit."""
    edition = study.editions.order_by("-number").first()
    if not edition:
        return False
    last = study.anchor_fits.filter(reward_model=model).order_by("-created_at").first()
    if not last or last.ledger_seq < edition.ledger_seq:
        return True
    if last.config.get("excluded_flags") != edition.config["excluded_flags"] or "half_width" not in last.config:
        return True  # the second: a fit from before fits had intervals and parts
    return last.n_unscored > 0 and model.rewards.count() != last.config["n_rewards"]


@transaction.atomic
def refit_anchors(study, model, now=None, only_if_due=False, **chosen):
    """Fit the model's per-system bias to the study's decisive votes on scored clips, as a whole and by time, and ring
    where the newest part of them says something else than those before it.

    chosen: `anchor_system`, a name or None, held at bias 0; `half_width`, logits, of the intervals that are wanted.
    What is not chosen stays as in the last fit.
    """
    hold(Lock.ANCHORS, study)
    if only_if_due and not anchors_are_due(study, model):
        return None
    now = now or timezone.now()
    n_rewards = model.rewards.count()  # before the rewards are read: one that comes meanwhile is seen as new
    edition = study.editions.order_by("-number")[0]
    seq, excluded_flags = edition.ledger_seq, edition.config["excluded_flags"]
    pairs, n_unscored = inputs.anchor_pairs(study, model, seq, excluded_flags)
    last, config = _last_fits(study, model), dict(ANCHOR_CONFIG)
    config |= {name: last[0].config[name] for name in CHOSEN_OF_ANCHORS if last[0] and name in last[0].config} | chosen
    fit, parts, changes = None, [], []
    if len(pairs):
        fit, l2, pinned = anchor_drift.fit(pairs, config["anchor_system"])
        config |= {"l2": l2, "pinned": pinned}
        parts = anchor_drift.parts(pairs)
        changes = anchor_drift.changes(parts, config["anchor_system"], config["level"])
    looked_at = last[1].config.get("looked_at", 0) if last[1] else 0
    looks = bool(changes) and len(pairs) >= anchor_drift.LOOK_AFTER * looked_at
    config |= {
        "n_rewards": n_rewards,
        "excluded_flags": excluded_flags,
        "looked_at": len(pairs) if looks else looked_at,
    }
    written = outputs.write_anchor_fit(
        study,
        model,
        ledger_seq=seq,
        config=config,
        anchors=fit,
        parts=[(part, anchor_drift.fit(part, config["anchor_system"])[0]) for part in parts],
        changes=changes,
        n_pairs=len(pairs),
        n_unscored=n_unscored,
        now=now,
    )
    if looks and any(change.moved for change in changes):
        _ring_for_drift(study, model, changes, now)
    return written


def _last_fits(study, model):
    """(the study's last fit of any model, and of this one), None where there is none."""
    fits = study.anchor_fits.order_by("-created_at", "-pk")
    return fits.first(), fits.filter(reward_model=model).first()


def _ring_for_drift(study, model, changes, now):
    moved = [change for change in changes if change.moved]
    said = "; ".join(
        f"{one.system} by {one.change:+.2f} ({one.low:+.2f} to {one.high:+.2f}) from {one.before:+.2f}" for one in moved
    )
    detail = {"reward_model": model.name, "changes": [asdict(one) for one in moved]}
    raise_alarm(study, "bias", f"The bias of {model} has moved in the newest votes: {said}.", detail, now)


# ---- the live model and its rewards -------------------------------------------------------------------


def activate_model(model, by="manage.py"):
    """Make a reward model the live one; the one before retires, and its rewards stay. Returns the model."""
    registry.activate(model, by)
    return model


@transaction.atomic
def last_reward():
    """The id up to which every reward that will ever be there is there; 0 before the first."""
    hold(Lock.REWARDS)
    return Reward.objects.aggregate(last=Max("pk"))["last"] or 0


@transaction.atomic
def store_rewards(model, values):
    """Write {clip id: reward}; a clip already scored under the model keeps its reward. Returns how many are new."""
    lock_rewards()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO scoring_reward (clip_id, reward_model_id, protocol, value, created_at)
            SELECT clip_id, %(model)s, %(protocol)s, value, %(now)s
            FROM unnest(%(clips)s::bigint[], %(values)s::float8[]) AS scored (clip_id, value)
            ON CONFLICT DO NOTHING
            """,
            {
                "model": model.pk,
                "protocol": Reward.PROMPT_TEXT,
                "now": timezone.now(),
                "clips": [int(clip) for clip in values],
                "values": [float(value) for value in values.values()],
            },
        )
        return cursor.rowcount


def lock_rewards():
    """Until the transaction ends nobody else writes rewards: so ids become visible in their order (see last_reward),
    and no two workers score the same clips."""
    hold(Lock.REWARDS)
