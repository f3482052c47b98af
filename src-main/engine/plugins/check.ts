import { PLUGIN_API_VERSION, type Plugin } from './contract.ts';

const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,62}$/;

type Members = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === 'string' && value !== '';
const func: Check = (value) => typeof value === 'function';
const mapping: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf =
  (each: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(each);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);

const option: Check = (value) => {
  const { flags, name, kind, help } = (mapping(value) ? value : {}) as Members;
  const wellFormed: Check = (flag) => typeof flag === 'string' && /^(-[A-Za-z]|--[A-Za-z][\w-]*)$/.test(flag);
  return (
    listOf(wellFormed)(flags) &&
    (flags as []).length > 0 &&
    text(name) &&
    text(help) &&
    ['flag', 'value', 'optional', 'list', 'repeated'].includes(String(kind))
  );
};
const positional: Check = (value) => {
  const { name, metavar, arity, help } = (mapping(value) ? value : {}) as Members;
  return text(name) && text(metavar) && text(help) && ['one', 'optional', 'many', 'rest'].includes(String(arity));
};
const example: Check = (value) => mapping(value) && text((value as Members)['line']) && text((value as Members)['does']);

/** Required members of each kind: key, check, and name for messages. */
const SHAPES: Readonly<Record<Plugin['kind'], readonly (readonly [string, Check, string])[]>> = {
  cli: [
    ['summary', text, 'a text'],
    ['description', optional(text), 'a text'],
    ['positionals', optional(listOf(positional)), 'a list of { name, metavar, arity, help }'],
    ['options', optional(listOf(option)), 'a list of { flags, name, kind, help }'],
    ['examples', optional(listOf(example)), 'a list of { line, does }'],
    ['run', func, 'a function'],
  ],
  output: [['format', func, 'a function']],
  vm: [
    ['artifacts', optional(listOf(text)), 'a list of paths'],
    ['metadata', optional(mapping), 'a mapping'],
    ['extend', optional(func), 'a function'],
    ['adopts', optional(func), 'a function'],
    ['review', optional(func), 'a function'],
  ],
  'vm-provider': [
    ['start', func, 'a function'],
    ['stop', func, 'a function'],
    ['shutdown', optional(func), 'a function'],
    ['reboot', optional(func), 'a function'],
    ['state', func, 'a function'],
    ['address', optional(func), 'a function'],
  ],
  'vm-service': [
    ['className', optional(text), 'a text'],
    ['detect', func, 'a function'],
    ['state', func, 'a function'],
    ['start', func, 'a function'],
    ['stop', func, 'a function'],
  ],
};

/** The plugins among a module's exports, and the problems of the rest, one sentence each. */
export function checkExports(exported: unknown): { readonly plugins: readonly Plugin[]; readonly problems: readonly string[] } {
  const value = defaultOf(exported);
  if (value === undefined) return { plugins: [], problems: ['it has no default export; that has to be a plugin or a list of plugins.'] };
  const plugins: Plugin[] = [];
  const problems: string[] = [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  for (const [index, one] of list.entries()) {
    const problem = problemOf(one);
    if (problem === undefined) plugins.push(one as Plugin);
    else problems.push(`${titleOf(one, Array.isArray(value) ? index : undefined)} is left out: ${problem}.`);
  }
  if (list.length === 0) problems.push('its default export is an empty list.');
  return { plugins, problems };
}

/** In a CommonJS module transpiled from an ES module, the default export is one level deeper. */
function defaultOf(exported: unknown): unknown {
  const value = mapping(exported) ? (exported as Members)['default'] : undefined;
  const inner = mapping(value) ? (value as Members) : {};
  return inner['__esModule'] === true ? inner['default'] : value;
}

function titleOf(value: unknown, index: number | undefined): string {
  const { kind, name } = (mapping(value) ? value : {}) as Members;
  if (text(name)) return text(kind) ? `its ${String(kind)} plugin "${String(name)}"` : `its plugin "${String(name)}"`;
  return index === undefined ? 'its plugin' : `its plugin number ${index + 1}`;
}

function problemOf(value: unknown): string | undefined {
  if (!mapping(value)) return 'a plugin is an object';
  const plugin = value as Members;
  const { kind, name, apiVersion } = plugin;
  if (apiVersion !== PLUGIN_API_VERSION) {
    const said = apiVersion === undefined ? 'it has no apiVersion' : `it was written for plugin API ${JSON.stringify(apiVersion)}`;
    return `${said}, and this program has version ${PLUGIN_API_VERSION}`;
  }
  if (typeof kind !== 'string' || !Object.hasOwn(SHAPES, kind)) {
    return `its kind is ${JSON.stringify(kind) ?? 'not given'}, and has to be one of ${Object.keys(SHAPES).join(', ')}`;
  }
  if (typeof name !== 'string' || !NAME.test(name)) return 'its name has to be letters, digits, ".", "_" and "-"';
  if (kind === 'vm-provider' && plugin['hosted'] === true) return undefined;
  const wrong = SHAPES[kind as Plugin['kind']].find(([key, check]) => !check(plugin[key]));
  return wrong === undefined ? undefined : `${wrong[0]} has to be ${wrong[2]}`;
}
