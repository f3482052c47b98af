import { EngineError } from '../../../src-shared/errors.ts';
import type { Config, OutputPlugin, PluginRegistry } from '../../engine/index.ts';
import { formatDefault } from './default.ts';
import { formatFlat } from './flat.ts';
import { formatJson } from './json.ts';
import { type KeyOrder, type Plain, toPlain } from './plain.ts';
import { formatYaml } from './yaml.ts';

const format = (name: string, write: (value: Plain, order: KeyOrder) => string): OutputPlugin => ({
  apiVersion: 1,
  kind: 'output',
  name,
  format: write,
});

/** Lago's own formats, registered like those of plugins. */
export const FORMATS: readonly OutputPlugin[] = [
  format('default', (value) => formatDefault(value)),
  format('flat', formatFlat),
  format('json', (value, order) => formatJson(value, order)),
  format('yaml', (value) => formatYaml(value)),
];

/**
 * Formats a value, without a trailing newline. Keys are sorted, as in Lago; JSON can keep the value's order. Throws `plugin.failed`
 * naming the format.
 */
export function formatValue(format: OutputPlugin, value: unknown, order: KeyOrder = 'sorted'): string {
  let text: unknown;
  try {
    text = format.format(toPlain(value), order);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new EngineError('plugin.failed', `The output format "${format.name}" failed: ${message}`, {
      cause: error,
      details: { stack: error instanceof Error ? (error.stack ?? '') : '' },
    });
  }
  if (typeof text === 'string') return text;
  throw new EngineError('plugin.failed', `The output format "${format.name}" did not return text.`);
}

/** The format that the configuration chooses. Throws `input.invalid` with the setting's origin and the known formats. */
export function chosenFormat(config: Config, plugins: PluginRegistry): OutputPlugin {
  const entry = config.entry('out_format');
  const found = plugins.find('output', entry?.value ?? 'default');
  if (found !== undefined) return found;
  const names = plugins.list('output').map((one) => one.name);
  throw new EngineError(
    'input.invalid',
    `${entry?.source.place ?? 'out_format'}: out_format must be one of ${names.join(', ')}, not "${entry?.value ?? ''}".`,
  );
}
