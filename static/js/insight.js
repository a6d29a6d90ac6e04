/** The insight after a vote in sentences: what the model prefers, what others said, how often the listener agrees. */
import { gettext, interpolate, isolated, ngettext } from './i18n.js';

const percent = (share) => new Intl.NumberFormat(document.documentElement.lang || 'en', { style: 'percent' }).format(share);

function modelSentence(model) {
  if (!model) return gettext('No reward model has an opinion on these two yet.');
  const share = model.prefers === 'A' ? model.probability_a : 1 - model.probability_a;
  return interpolate(share > 0.99
    ? gettext('The reward model %(model)s prefers %(slot)s; it is more than %(share)s sure.')
    : gettext('The reward model %(model)s prefers %(slot)s; it is %(share)s sure.'), {
    model: isolated(model.reward_model), slot: model.prefers, share: percent(Math.min(share, 0.99)),
  });
}

function crowdSentence(crowd, systems) {
  if (!crowd) return gettext('Nobody else has compared these two systems yet.');
  const { share_a: shareA, n_votes: n } = crowd;
  if (shareA === 0.5) return interpolate(ngettext(
    'The only other vote between these two systems was a tie.',
    'The other votes are split evenly between these two systems (%(n)s so far).',
    n,
  ), { n });
  const system = isolated(systems[shareA > 0.5 ? 'A' : 'B']);
  return interpolate(ngettext(
    'The only other vote between these two systems went to %(system)s.',
    'Of %(n)s other votes between these two systems, %(share)s went to %(system)s.',
    n,
  ), { n, system, share: percent(Math.max(shareA, 1 - shareA)) });
}

/** `insight` as the server gives it, `systems` {A, B} by name. A list of sentences. */
export function insightSentences({ model, crowd, agreement }, systems) {
  const { with_model: withModel, with_crowd: withCrowd } = agreement;
  return [
    modelSentence(model),
    crowdSentence(crowd, systems),
    withModel && interpolate(gettext('So far you agree with the model on %(agreed)s of %(of)s pairs.'), withModel),
    withCrowd && interpolate(gettext('So far you agree with most other listeners on %(agreed)s of %(of)s pairs.'), withCrowd),
  ].filter(Boolean);
}
