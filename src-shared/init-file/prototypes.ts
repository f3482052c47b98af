import { nearest } from '../nearest.ts';
import { quote } from './name-rules.ts';
import { entryOf, type SourceEntry, type SourceMap, type SourceNode, type SourceProblem } from './source.ts';

const MAX_CHAIN = 20;

/**
 * Copies to every domain with `based-on` the keys of its prototype that it lacks (whole keys; lists and mappings are not merged). A
 * prototype may be based on another; cycles and unknown names are problems. Nodes keep their own positions, so an error in a prototype
 * is reported there.
 */
export function applyPrototypes(domains: SourceMap, prototypes: SourceNode | undefined): { domains: SourceMap; problems: SourceProblem[] } {
  const problems: SourceProblem[] = [];
  const entries = domains.entries.map((entry): SourceEntry => {
    if (entry.node.kind !== 'map') return entry;
    return { ...entry, node: complete(entry.node, prototypes, [], problems) };
  });
  return { domains: { ...domains, entries }, problems };
}

function complete(domain: SourceMap, prototypes: SourceNode | undefined, chain: readonly string[], problems: SourceProblem[]): SourceMap {
  const base = entryOf(domain, 'based-on');
  if (base === undefined || base.node.kind !== 'scalar' || base.node.value === null) return domain;
  const wanted = String(base.node.value);
  if (chain.includes(wanted) || chain.length >= MAX_CHAIN) {
    problems.push({
      offset: base.keyOffset,
      severity: 'error',
      message: `The prototypes form a loop: ${[...chain, wanted].map(quote).join(' → ')}.`,
      hint: 'Remove one of the based-on keys.',
    });
    return domain;
  }
  const found = entryOf(prototypes, wanted);
  if (found === undefined || found.node.kind !== 'map') {
    problems.push({ offset: base.keyOffset, severity: 'error', ...missing(wanted, prototypes) });
    return domain;
  }
  const prototype = complete(found.node, prototypes, [...chain, wanted], problems);
  const own = new Set(domain.entries.map((entry) => entry.key));
  const added = prototype.entries.filter((entry) => !own.has(entry.key) && entry.key !== 'comment');
  return { ...domain, entries: [...domain.entries, ...added] };
}

function missing(wanted: string, prototypes: SourceNode | undefined): { message: string; hint: string } {
  const names = prototypes?.kind === 'map' ? prototypes.entries.map((entry) => entry.key) : [];
  const meant = nearest(wanted, names);
  const known = names.length === 0 ? 'The file has no prototypes.' : `Known prototypes: ${names.slice(0, 10).join(', ')}.`;
  return { message: `There is no prototype ${quote(wanted)}.`, hint: meant === undefined ? known : `Did you mean ${quote(meant)}?` };
}
