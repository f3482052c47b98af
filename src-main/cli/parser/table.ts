import type { OptionSpec, Values, VerbSpec } from '../../../src-shared/verb-table.ts';

export type { OptionSpec, PositionalSpec, Values, VerbSpec } from '../../../src-shared/verb-table.ts';

export interface ProgramSpec {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly options: readonly OptionSpec[];
  readonly verbs: readonly VerbSpec[];
}

/** The text of an option or positional, undefined when it was not given. */
export function textValue(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

export function flagValue(values: Values, name: string): boolean {
  return values[name] === true;
}

export function listValue(values: Values, name: string): readonly string[] | undefined {
  const value = values[name];
  return typeof value === 'object' ? value : undefined;
}
