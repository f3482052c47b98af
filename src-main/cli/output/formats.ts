import { formatDefault } from './default.ts';
import { formatFlat } from './flat.ts';
import { formatJson } from './json.ts';
import { toPlain } from './plain.ts';
import { formatYaml } from './yaml.ts';

/** The text of a value in the chosen format, without the newline that printing adds. */
export function formatValue(format: string, value: unknown): string {
  const plain = toPlain(value);
  switch (format) {
    case 'flat':
      return formatFlat(plain);
    case 'json':
      return formatJson(plain);
    case 'yaml':
      return formatYaml(plain);
    default:
      return formatDefault(plain);
  }
}
