"""The form in which staff choose how a study's board is computed: the arguments of `refit_board`.

A choice is stored in the configuration of the last edition and nowhere else, and the next edition keeps it, so the
form, the command and the board cannot disagree. Whether the votes support a choice is only known once the board is
computed, so this is the one computation of `scoring` that a person waits for: seconds for a million votes.
"""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from arena.models import Study
from arena.refusals import Conflict
from scoring.boards.refit import refit_board
from scoring.inputs.covariates import COVARIATES, in_order
from scoring.models import Edition
from scoring.stats import board_method
from scoring.stats.bradley_terry import BadCovariate, NotOffered
from scoring.wording.boards import EFFECTS, EXCLUDED
from scoring.wording.methods import METHODS, WEIGHTINGS


class MethodForm(forms.Form):
    """Its `cleaned_data` is what `refit_board` is called with."""

    treatment = forms.ChoiceField(
        label=gettext_lazy("Ties and “both bad”"),
        choices=list(METHODS.items()),
        widget=forms.RadioSelect,
    )
    weighting = forms.ChoiceField(
        label=gettext_lazy("Weights"), choices=list(WEIGHTINGS.items()), widget=forms.RadioSelect
    )
    covariates = forms.MultipleChoiceField(
        label=gettext_lazy("Adjusted for"),
        choices=[(name, EFFECTS[name]) for name in COVARIATES],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Only where ties count half. Votes for which one of these is unknown are left out."),
    )

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("covariates") and self.cleaned_data.get("treatment") not in (
            None,
            board_method.HALF_TIE,
        ):
            self.add_error(
                "covariates",
                _("Adjusting works only where ties count half: clear the adjustments, or choose “ties count half”."),
            )
        return self.cleaned_data

    def refit(self, study: Study) -> Edition | None:
        """The next edition, computed as the form says. None, with the reason among the form's errors, where the votes
        do not support the choice or nothing would change: then the board stays as it is."""
        try:
            return _refit(study, self.cleaned_data)
        except BadCovariate as refusal:
            self.add_error("covariates", f"{EFFECTS[refusal.name]}: {refusal.reason}.")
        except NotOffered as refusal:
            self.add_error("treatment", f"{METHODS[self.cleaned_data['treatment']]}: {refusal}.")
        except Conflict as refusal:
            self.add_error(None, _left_out(refusal.facts["reasons"]) if refusal.facts else refusal.message)
        return None


def _left_out(reasons):
    why = " ".join(f"{EXCLUDED[reason]}." for reason in reasons)
    return _("Every vote would be left out. %(why)s") % {"why": why}


def _refit(study, choice):
    last = study.editions.newest()
    if not last:
        raise Conflict(_("There is no edition yet, so it is not known which methods these votes allow."))
    before = board_method.choice_of(last.config)
    if {**before, "covariates": in_order(before["covariates"])} == choice:
        raise Conflict(_("The board is already computed this way."))
    return refit_board(study, **choice)
