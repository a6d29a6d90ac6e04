/** The sentences that the page says in more than one place. */

export const ANSWERS = { A: 'A is better', TIE: 'Equally good', BOTH_BAD: 'Both bad', B: 'B is better' };
export const SAID = {
  A: 'You preferred A.',
  B: 'You preferred B.',
  TIE: 'You heard them as equally good.',
  BOTH_BAD: 'You found both bad.',
};
export const ANSWER_KEYS = { A: 'A', TIE: 'T', BOTH_BAD: 'N', B: 'B' };

export const seconds = (ms) => `${Math.ceil(ms / 1000)} s`;

export const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, '0')}`;

/** "4 s more of A and 2 s more of B", or "" when both have been heard. */
export function stillToHear(missing) {
  return ['A', 'B'].filter((slot) => missing[slot]).map((slot) => `${seconds(missing[slot])} more of ${slot}`).join(' and ');
}

/** Why the server did not take a vote, and so what became of it: for {status, body} of a refused vote. */
export function whyRefused({ status, body }) {
  if (body.code === 'already_voted') {
    return 'You have answered this one already, perhaps in another tab. The first answer stands; this one was not counted.';
  }
  if (body.code === 'skipped') return 'You have skipped this one already, perhaps in another tab, so this answer was not counted.';
  if (status === 410) return 'This comparison is too old to be answered, so your answer was not counted. Here is a fresh one.';
  if (status === 404) return 'This comparison is no longer yours to answer, so your answer was not counted.';
  if (status === 401) {
    return 'This browser has forgotten who you are (its cookie is gone), so your last answer could not be counted. Agree again to go on.';
  }
  return `Your answer was not taken: ${body.detail ?? `the server said ${status}`}`;
}
