import type { ScalarTag } from 'yaml';

/**
 * How PyYAML's safe loader reads plain scalars. Its resolver.py and constructor.py deviate from YAML 1.1: `y` and `n` are strings, a
 * float needs a dot, an exponent needs a sign. Dates stay text here.
 */
const BOOL = /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/;
const INT = /^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/;
const FLOAT =
  /^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;

/** The number that PyYAML reads from text that matches its integer rule: a leading 0 means octal, colons mean base 60. */
export function yamlInteger(source: string): number {
  let text = source.replaceAll('_', '');
  const sign = text.startsWith('-') ? -1 : 1;
  text = text.replace(/^[-+]/, '');
  if (text.startsWith('0b')) return sign * Number.parseInt(text.slice(2), 2);
  if (text.startsWith('0x')) return sign * Number.parseInt(text.slice(2), 16);
  if (text.includes(':')) return sign * sexagesimal(text);
  if (text.length > 1 && text.startsWith('0')) return sign * Number.parseInt(text, 8);
  return sign * Number(text);
}

function yamlFloat(source: string): number {
  let text = source.replaceAll('_', '').toLowerCase();
  const sign = text.startsWith('-') ? -1 : 1;
  text = text.replace(/^[-+]/, '');
  if (text === '.inf') return sign * Number.POSITIVE_INFINITY;
  if (text === '.nan') return Number.NaN;
  return sign * (text.includes(':') ? sexagesimal(text) : Number(text));
}

function sexagesimal(text: string): number {
  return text.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
}

function tag(name: string, test: RegExp, resolve: (source: string) => unknown): ScalarTag {
  return { tag: `tag:yaml.org,2002:${name}`, default: true, test, resolve, identify: () => false };
}

/** The scalar tags in the order in which PyYAML tries them. */
export const PYYAML_SCALARS: readonly ScalarTag[] = [
  tag('null', /^(?:~|null|Null|NULL|)$/, () => null),
  tag('bool', BOOL, (source) => /^(?:yes|true|on)$/i.test(source)),
  tag('int', INT, yamlInteger),
  tag('float', FLOAT, yamlFloat),
];
