import type { NamedVerb, VerbInputKind, VerbInputs } from '../../src-shared/verbs.ts';
import type { Operation } from './core/operation.ts';
import type { ActionOptions, Engine } from './engine.ts';

type Method = (prefix: string, input: VerbInputs[VerbInputKind], options?: ActionOptions) => Operation<void>;

/** Calls any verb of the table by its entry: `engine.prefix.start(…)` for callers that do not know the verb beforehand. */
export function callVerb(
  engine: Engine,
  verb: Pick<NamedVerb, 'noun' | 'name'>,
  prefix: string,
  input: VerbInputs[VerbInputKind],
  options?: ActionOptions,
): Operation<void> {
  const methods = engine[verb.noun] as unknown as Readonly<Record<string, Method>>;
  return (methods[verb.name] as Method)(prefix, input, options);
}
