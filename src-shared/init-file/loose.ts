import { z } from 'zod';
import { type NameRule, nameProblem } from './name-rules.ts';

/**
 * Schemas for values as real init files write them: numbers in quotes, numeric passwords and versions, `yes` in JSON. Each one normalises
 * to one type and has a single error sentence.
 */

/** Uses the same sentence for every way in which a value can be wrong. */
export function told(expected: string): { error: () => string } {
  return { error: () => `It must be ${expected}.` };
}

/** A whole number in a range, also as a string of digits. */
export function wholeNumber(minimum: number, maximum: number, unit = ''): z.ZodType<number, number | string> {
  const expected = `a whole number from ${minimum} to ${maximum}${unit === '' ? '' : ` (${unit})`}`;
  const why = told(expected);
  return z
    .union([z.number(why).int(why).min(minimum, why).max(maximum, why), z.string(why).regex(/^\s*\d{1,12}\s*$/, why)], why)
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, told(expected));
}

/** true or false, also as a quoted YAML 1.1 word, or 1 and 0. */
export function flag(): z.ZodType<boolean, boolean | string | number> {
  return z
    .union(
      [z.boolean(), z.string().regex(/^(?:true|yes|on|1|false|no|off|0)$/i, told('true or false')), z.literal([0, 1])],
      told('true or false'),
    )
    .transform((value) => (typeof value === 'string' ? /^(?:true|yes|on|1)$/i.test(value) : Boolean(value)));
}

/** One line of text; a number becomes its digits. */
export function line(expected = 'text', maxLength = 1024): z.ZodType<string, string | number> {
  const why = told(`${expected}, at most ${maxLength} characters`);
  return z
    .union([z.string().max(maxLength, why), z.number()], why)
    .transform(String)
    .refine((value) => !hasControlCharacter(value), { error: 'It must not contain control characters or line breaks.' });
}

/** A path or URL: any single-line text without NUL. */
export function path(expected = 'a path'): z.ZodType<string, string> {
  return z
    .string(told(expected))
    .min(1, told(expected))
    .max(4096, { error: 'It is longer than a path can be (4096 characters).' })
    .refine((value) => !hasControlCharacter(value), { error: 'A path must not contain control characters.' });
}

/** A name that follows a rule; a number becomes its digits. */
export function name(rule: NameRule): z.ZodType<string, string | number> {
  return z
    .union([z.string(), z.number()], told(`a ${rule.what}`))
    .transform(String)
    .superRefine((value, context) => refuse(value, rule, context));
}

/** The same for keys of a mapping. */
export function nameKey(rule: NameRule): z.ZodString {
  return z
    .string()
    .superRefine((value, context) => refuse(value, rule, context))
    .meta({ pattern: rule.pattern.source, maxLength: rule.maxLength });
}

function refuse(value: string, rule: NameRule, context: z.RefinementCtx): void {
  const problem = nameProblem(value, rule);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem, params: { hint: rule.says } });
}

/** A string or number that keeps its type (passwords: Lago saves them as the file wrote them). */
export function password(): z.ZodType<string | number, string | number> {
  const why = told('text, at most 512 characters');
  return z
    .union([z.string().max(512, why), z.number()], why)
    .refine((value) => !hasControlCharacter(String(value)), { error: 'A password must not contain control characters or line breaks.' });
}

/** A list of at most 1000 entries. */
export function list<T extends z.ZodType>(item: T, expected: string): z.ZodArray<T> {
  return z.array(item, told(expected)).max(1000, { error: 'It has more than 1000 entries.' });
}

export function mapping(expected = 'a mapping (key: value)'): z.ZodRecord<z.ZodString, z.ZodUnknown> {
  return z.record(z.string(), z.unknown(), told(expected));
}

export function hasControlCharacter(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    // Reject lone surrogates and characters that XML does not allow.
    if (code < 0x20 || code === 0x7f || code === 0xfffe || code === 0xffff) return true;
    if (code >= 0xd800 && code <= 0xdfff) {
      if (code >= 0xdc00 || text.charCodeAt(index + 1) >> 10 !== 0xdc00 >> 10) return true;
      index += 1;
    }
  }
  return false;
}
