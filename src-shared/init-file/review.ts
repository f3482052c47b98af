import { z } from 'zod';
import { nearest } from '../nearest.ts';
import { quote } from './name-rules.ts';
import { DiskDefinition, DomainDefinition, NetDefinition, NicDefinition, SAVED_KEYS } from './schema.ts';
import { entryOf, type PathKey, type SourceMap, type SourceNode, type SourceProblem } from './source.ts';

export interface Finding {
  readonly problem: SourceProblem;
  readonly path: readonly PathKey[];
}

/** A warning for every key that the schema does not know, suggesting the most similar known key. */
export function unknownKeys(schema: z.ZodType, node: SourceNode, path: readonly PathKey[] = []): Finding[] {
  const bare = unwrap(schema);
  if (bare instanceof z.ZodArray && node.kind === 'list') {
    return node.items.flatMap((item, index) => unknownKeys(bare.element as z.ZodType, item, [...path, index]));
  }
  if (bare instanceof z.ZodRecord && node.kind === 'map') {
    return node.entries.flatMap((entry) => unknownKeys(bare.valueType as z.ZodType, entry.node, [...path, entry.key]));
  }
  if (!(bare instanceof z.ZodObject) || node.kind !== 'map') return [];
  const shape = bare.shape as Readonly<Record<string, z.ZodType>>;
  const saved = savedKeysOf(bare);
  return node.entries.flatMap((entry) => {
    const here = [...path, entry.key];
    const known = Object.hasOwn(shape, entry.key) ? shape[entry.key] : undefined;
    if (known !== undefined) return unknownKeys(known, entry.node, here);
    if (saved.includes(entry.key)) return [];
    const meant = nearest(entry.key, Object.keys(shape));
    const problem: SourceProblem = {
      offset: entry.keyOffset,
      severity: 'warning',
      message: `${quote(entry.key)} is not a known key; it is kept but has no effect.`,
      ...(meant === undefined ? {} : { hint: `Did you mean ${meant}?` }),
    };
    return [{ problem, path: here }];
  });
}

function unwrap(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodOptional ? unwrap(schema.unwrap() as z.ZodType) : schema;
}

function savedKeysOf(schema: z.ZodType): readonly string[] {
  if (schema === DomainDefinition) return SAVED_KEYS.domain;
  if (schema === DiskDefinition) return SAVED_KEYS.disk;
  if (schema === NicDefinition) return SAVED_KEYS.nic;
  if (schema === NetDefinition) return SAVED_KEYS.net;
  return [];
}

/** Advice on what is allowed but probably unintended or goes by an old name, and on networks missing from the file. */
export function adviceOf(document: SourceMap): Finding[] {
  const findings: Finding[] = [];
  const nets = mapOf(document, 'nets');
  const netNames = nets?.entries.map((entry) => entry.key) ?? [];
  for (const domain of mapOf(document, 'domains')?.entries ?? []) {
    const path = ['domains', domain.key];
    if (domain.node.kind !== 'map') continue;
    findings.push(...domainAdvice(domain.node, path));
    const nics = entryOf(domain.node, 'nics')?.node;
    if (nics?.kind !== 'list') continue;
    for (const [index, nic] of nics.items.entries()) {
      const net = entryOf(nic, 'net')?.node;
      if (net?.kind !== 'scalar' || nets === undefined) continue;
      const name = typeof net.value === 'number' ? net.text : String(net.value);
      if (netNames.includes(name)) continue;
      findings.push({
        path: [...path, 'nics', index, 'net'],
        problem: { offset: net.offset, severity: 'error', ...unknownNet(name, netNames) },
      });
    }
  }
  return findings;
}

/** The message about a network that is missing from `nets`. */
export function unknownNet(name: string, names: readonly string[]): { message: string; hint: string } {
  const meant = nearest(name, names);
  const all = `Networks of this file: ${names.slice(0, 10).join(', ')}.`;
  return { message: `There is no network ${quote(name)}.`, hint: meant === undefined ? all : `Did you mean ${meant}?` };
}

function domainAdvice(domain: SourceMap, path: readonly PathKey[]): Finding[] {
  const findings: Finding[] = [];
  for (const key of ['root-password', 'ssh-password']) {
    const entry = entryOf(domain, key);
    if (entry?.node.kind !== 'scalar' || typeof entry.node.value !== 'number' || entry.node.text === String(entry.node.value)) continue;
    const message = `The password is written ${entry.node.text} and is read as the number ${entry.node.value}.`;
    findings.push({
      path: [...path, key],
      problem: { offset: entry.node.offset, severity: 'warning', message, hint: 'Put it in quotes.' },
    });
  }
  const serviceClass = entryOf(domain, 'service_class');
  if (serviceClass !== undefined) {
    const problem: SourceProblem = {
      offset: serviceClass.keyOffset,
      severity: 'warning',
      message: 'service_class is deprecated.',
      hint: 'Use service_provider: systemd, sysvinit or systemdcontainer.',
    };
    findings.push({ path: [...path, 'service_class'], problem });
  }
  const scripts = entryOf(entryOf(domain, 'metadata')?.node, 'ovirt-scripts');
  if (scripts !== undefined) {
    const problem: SourceProblem = {
      offset: scripts.keyOffset,
      severity: 'warning',
      message: 'ovirt-scripts is the old name of deploy-scripts.',
      hint: 'Call it deploy-scripts.',
    };
    findings.push({ path: [...path, 'metadata', 'ovirt-scripts'], problem });
  }
  return findings;
}

function mapOf(document: SourceMap, key: string): SourceMap | undefined {
  const node = entryOf(document, key)?.node;
  return node?.kind === 'map' ? node : undefined;
}
