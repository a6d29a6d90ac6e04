/** The page's language: Django's catalogue (/jsi18n/, a classic script before the modules), or English without it. */

const catalogue = globalThis.django ?? {};

export const gettext = (text) => catalogue.gettext?.(text) ?? text;
export const ngettext = (singular, plural, n) => catalogue.ngettext?.(singular, plural, n) ?? (n === 1 ? singular : plural);

/** "%(name)s" in `text` filled in from `values`. */
export function interpolate(text, values) {
  return text.replace(/%\((\w+)\)s/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

const FROM_RIGHT = /[\u0590-\u08ff\u202b\u202e\u2067\ufb1d-\ufdff\ufe70-\ufefc]/;

/** A name within a sentence: one that is read from right to left does not turn round what stands beside it. */
export const isolated = (name) => (FROM_RIGHT.test(name) ? `\u2068${name}\u2069` : name);
