/** Names become file names, host names, XML and arguments; these rules reject characters with a meaning there. */

export interface NameRule {
  /** What kind of name, for messages: "VM name". */
  readonly what: string;
  readonly pattern: RegExp;
  readonly maxLength: number;
  /** The rule in words. */
  readonly says: string;
}

const WORD = 'letters, digits, ".", "_" and "-", and begins with a letter, a digit or "_"';
const PATTERN = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/** A VM's name: mapping key, host name, part of file names (`images/VM_DISK.FORMAT`) and of the libvirt name. */
export const VM_NAME: NameRule = {
  what: 'VM name',
  pattern: PATTERN,
  maxLength: 63,
  says: `A VM name has at most 63 characters of ${WORD}.`,
};
export const NET_NAME: NameRule = {
  what: 'network name',
  pattern: PATTERN,
  maxLength: 63,
  says: `A network name has at most 63 characters of ${WORD}.`,
};
export const DISK_NAME: NameRule = {
  what: 'disk name',
  pattern: PATTERN,
  maxLength: 63,
  says: `A disk name has at most 63 characters of ${WORD}.`,
};
export const PROTOTYPE_NAME: NameRule = {
  what: 'prototype name',
  pattern: /^[^\u0000-\u001f]+$/,
  maxLength: 128,
  says: 'A prototype name has at most 128 characters.',
};
export const WORD_RULE: NameRule = { what: 'name', pattern: PATTERN, maxLength: 128, says: `It has at most 128 characters of ${WORD}.` };
/** CPU models as libvirt's maps call them: Westmere-IBRS, qemu64, 486, POWER9_v1.0, z13.2-base. */
export const CPU_MODEL: NameRule = {
  what: 'CPU model',
  pattern: /^[A-Za-z0-9][A-Za-z0-9_.+-]*$/,
  maxLength: 64,
  says: 'A CPU model has at most 64 letters, digits, ".", "_", "+" and "-"; "virsh cpu-models x86_64" lists those that libvirt knows.',
};
/** Linux accounts as useradd makes them. */
export const USER_NAME: NameRule = {
  what: 'user name',
  pattern: /^[A-Za-z_][A-Za-z0-9_.-]*\$?$/,
  maxLength: 32,
  says: 'A user name has at most 32 letters, digits, ".", "_" and "-", and begins with a letter or "_".',
};
export const DNS_NAME: NameRule = {
  what: 'DNS name',
  pattern: /^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/,
  maxLength: 253,
  says: 'A DNS name is made of words of letters, digits and "-", joined by dots, at most 253 characters.',
};

/** What is wrong with a name, as one sentence; undefined when it is valid. */
export function nameProblem(name: string, rule: NameRule): string | undefined {
  if (name === '') return `The ${rule.what} is empty. A name must be given.`;
  if (name === '__proto__') return `"__proto__" cannot be a ${rule.what}.`;
  if (name.length > rule.maxLength) return `The ${rule.what} ${quote(name)} has ${name.length} characters; ${rule.maxLength} are allowed.`;
  if (/\{\{|\{%|%\}|\}\}/.test(name)) return `The ${rule.what} ${quote(name)} holds a Jinja2 expression that nothing has filled in.`;
  if (!rule.pattern.test(name)) return `${quote(name)} cannot be a ${rule.what}.`;
  return undefined;
}

/** Quotes text from a file, shortened, with control characters made visible. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);
}
