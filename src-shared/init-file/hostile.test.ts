import { describe, expect, it } from 'vitest';
import { parseInitFile } from './parse.ts';

/** Texts with a meaning in XML, paths, shells or templates. */
const HOSTILE = ['"><script>', 'a&b', "a'b", 'a b', '../..', 'a/b', '-rf', '$(id)', 'a\nb', 'a\u0000b', 'a\u200bb', '\ud800', '{{ x }}'];
const UNPRINTABLE = ['a\u0000b', 'a\u001bb', 'a\nb', 'a\u007fb', '\ud800', 'a\udc00', '\uffff'];

function file(change: (data: { domains: Record<string, Data>; nets: Record<string, Data> }) => void): string {
  const data = {
    domains: { vm: { memory: 512, nics: [{ net: 'net' }], disks: [{ name: 'root', type: 'empty', size: '1G', dev: 'vda' }] } as Data },
    nets: { net: { type: 'nat' } as Data },
  };
  change(data);
  return JSON.stringify(data);
}
interface Data {
  [key: string]: unknown;
}

const FIELDS: Readonly<Record<string, (text: string) => string>> = {
  'a VM name': (text) => file((data) => Object.assign(data.domains, { [text]: data.domains['vm'] })),
  'a network name': (text) => file((data) => Object.assign(data.nets, { [text]: { type: 'bridge' } })),
  'a disk name': (text) => file((data) => Object.assign(data.domains['vm'] ?? {}, { disks: [{ name: text, type: 'empty', dev: 'vda' }] })),
  'a device': (text) => file((data) => Object.assign(data.domains['vm'] ?? {}, { disks: [{ name: 'a', type: 'empty', dev: text }] })),
  'a format': (text) =>
    file((data) => Object.assign(data.domains['vm'] ?? {}, { disks: [{ name: 'a', type: 'empty', dev: 'vda', format: text }] })),
  'a size': (text) =>
    file((data) => Object.assign(data.domains['vm'] ?? {}, { disks: [{ name: 'a', type: 'empty', dev: 'vda', size: text }] })),
  'a card’s network': (text) => file((data) => Object.assign(data.domains['vm'] ?? {}, { nics: [{ net: text }] })),
  'a card’s address': (text) => file((data) => Object.assign(data.domains['vm'] ?? {}, { nics: [{ net: 'net', ip: text }] })),
  'a gateway': (text) => file((data) => Object.assign(data.nets['net'] ?? {}, { gw: text })),
  'a domain': (text) => file((data) => Object.assign(data.nets['net'] ?? {}, { dns_domain_name: text })),
  'a record’s name': (text) => file((data) => Object.assign(data.nets['net'] ?? {}, { dns_records: { [text]: '10.0.0.1' } })),
  'a record’s address': (text) => file((data) => Object.assign(data.nets['net'] ?? {}, { dns_records: { a: text } })),
  cpu_model: (text) => file((data) => Object.assign(data.domains['vm'] ?? {}, { cpu_model: text })),
  memory: (text) => file((data) => Object.assign(data.domains['vm'] ?? {}, { memory: text })),
  'vm-type': (text) => file((data) => Object.assign(data.domains['vm'] ?? {}, { 'vm-type': text })),
  'ssh-user': (text) => file((data) => Object.assign(data.domains['vm'] ?? {}, { 'ssh-user': text })),
  distro: (text) => file((data) => Object.assign(data.domains['vm'] ?? {}, { distro: text })),
  'a group': (text) => file((data) => Object.assign(data.domains['vm'] ?? {}, { groups: [text] })),
};

describe.each(Object.entries(FIELDS))('%s', (_name, make) => {
  it.each(HOSTILE)('is never %j', (text) => {
    const { value, issues } = parseInitFile(make(text), 'f');
    expect(value).toBeUndefined();
    for (const issue of issues) expect(issue.line).toBeGreaterThan(0);
  });
});

describe.each(['path', 'url', 'template_name', 'template_version'])('%s of a disk', (field) => {
  it.each(UNPRINTABLE)('never holds %j', (text) => {
    const disk = { name: 'a', type: 'template', dev: 'vda', [field]: text };
    expect(
      parseInitFile(
        file((data) => Object.assign(data.domains['vm'] ?? {}, { disks: [disk] })),
        'f',
      ).value,
    ).toBeUndefined();
  });
});

it.each(['Westmere', 'Westmere-IBRS', 'qemu64', 486, 'POWER9_v1.0', 'z13.2-base', 'Icelake-Server-noTSX', 'n270', 'cortex-a57'])(
  'cpu_model %s is a good one',
  (model) => {
    const { value } = parseInitFile(
      file((data) => Object.assign(data.domains['vm'] ?? {}, { cpu_model: model })),
      'f',
    );
    expect(value?.domains['vm']?.cpu_model).toBe(String(model));
  },
);
