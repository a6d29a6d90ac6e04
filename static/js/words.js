/** The sentences that the page says in more than one place, and those for the server's codes. */
import { gettext, interpolate } from './i18n.js';
import { owns } from './older.js';

export const ANSWERS = {
  A: gettext('A is better'),
  TIE: gettext('Equally good'),
  BOTH_BAD: gettext('Both bad'),
  B: gettext('B is better'),
};
export const SHORT = { A: 'A', TIE: gettext('Equal'), BOTH_BAD: gettext('Both bad'), B: 'B' };
export const SAID = {
  A: gettext('You preferred A.'),
  B: gettext('You preferred B.'),
  TIE: gettext('You found them equally good.'),
  BOTH_BAD: gettext('You found both bad.'),
};
export const ANSWER_KEYS = { A: 'A', TIE: 'T', BOTH_BAD: 'N', B: 'B' };

const AXES = {
  prompt_adherence: gettext('Which follows the prompt better?'),
  musicality: gettext('Which is more musical?'),
  audio_quality: gettext('Which has the better sound quality?'),
  lyrics: gettext('Whose lyrics come across better?'),
};

/** The question of an axis; one that only this study has is shown as it is written. */
export const axisQuestion = (name) => (owns(AXES, name) ? AXES[name] : name.replace(/_/g, ' '));

export const wholeSeconds = (ms) => Math.ceil(ms / 1000);

export const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, '0')}`;

export const other = (slot) => (slot === 'A' ? 'B' : 'A');

/** What is still to be heard, as a sentence: `single` for one clip (%(seconds)s, %(slot)s), `both` for two (%(a)s, %(b)s). */
export function stillToHear(missing, { single, both }) {
  const { A: a, B: b } = { A: wholeSeconds(missing.A ?? 0), B: wholeSeconds(missing.B ?? 0) };
  if (a && b) return interpolate(both, { a, b });
  return interpolate(single, a ? { seconds: a, slot: 'A' } : { seconds: b, slot: 'B' });
}

/** No answer came: whether nobody could be reached or the server said that it is busy. */
export function noAnswer(seconds, reason) {
  return interpolate(
    reason?.busy
      ? gettext('The server is busy. Trying again within %(seconds)s s…')
      : gettext('No connection. Trying again within %(seconds)s s…'),
    { seconds },
  );
}

const REFUSED = {
  already_voted: gettext('You have answered this one already, perhaps in another tab. The first answer stands; this one was not counted.'),
  skipped: gettext('You have skipped this one already, perhaps in another tab, so this answer was not counted.'),
  expired: gettext('This comparison is too old to be answered, so your answer was not counted. Here is a new one.'),
  not_found: gettext('This comparison is no longer assigned to you, so your answer was not counted.'),
  too_late_to_undo: gettext('The ten seconds are over: your answer stands.'),
  proof_needed: gettext('This study has many automatic visitors, so it asks each browser to do a small sum first. This browser could not do it: please try another one, or come back in an hour.'),
  too_many: gettext('More has come from your internet connection than this study takes from one place. Please try again later.'),
  too_many_places: gettext('More has come from your internet connection than this study takes from one place. Please try again later.'),
  none_left_like: gettext('You have heard everything there is for this prompt.'),
};
const BY_STATUS = {
  401: gettext('This browser has forgotten who you are (its cookie is gone), so your last answer could not be counted. Agree again to continue.'),
  404: REFUSED.not_found,
  410: REFUSED.expired,
};

/** Why the server refused, and what that means for the listener: for the {status, body} of a refusal. */
export function whyRefused({ status, body }) {
  if (owns(REFUSED, body.code ?? '')) return REFUSED[body.code];
  if (owns(BY_STATUS, status)) return BY_STATUS[status];
  return gettext('The server did not accept that. Reload the page, then try once more.');
}
